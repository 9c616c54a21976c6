//! The indexes of this process, as searches, live tails and the status choose from them.

use std::sync::Arc;

use logboom_query::{Query, parse_in};

use crate::{
    catalog::Catalog,
    kind::Kind,
    search::{RequestError, SearchError},
    tail::Tail,
};

/// All of them, in the order of the configuration. Cheap to clone; never empty.
#[derive(Clone)]
pub(crate) struct Indexes(Arc<[Served]>);

/// What one index shows of itself.
pub(crate) struct Served {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) tail: Arc<Tail>,
}

impl Indexes {
    pub(crate) fn new(indexes: Vec<Served>) -> Indexes {
        assert!(!indexes.is_empty(), "a configuration has an index");
        Indexes(indexes.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Served> {
        self.0.iter()
    }

    /// Reads a query as one of the index that it names, else of the one `asked` for, else of the first, and
    /// gives that index.
    pub(crate) fn choose(
        &self,
        q: &str,
        asked: Option<&str>,
    ) -> Result<(Query, &Served), SearchError> {
        let default = asked.unwrap_or(&self.0[0].name);
        let query = parse_in(q, Some(default))?;
        let name = query.index.as_deref().unwrap_or(default);
        if asked.is_some_and(|asked| asked != name) {
            return Err(RequestError::TwoIndexes {
                query: name.to_owned(),
                request: default.to_owned(),
            }
            .into());
        }
        let chosen = self.named(name)?;
        debug_assert_eq!(query.signal, chosen.kind.signal());
        Ok((query, chosen))
    }

    pub(crate) fn named(&self, name: &str) -> Result<&Served, RequestError> {
        let found = self.iter().find(|served| &*served.name == name);
        found.ok_or_else(|| {
            let known: Vec<String> = self
                .iter()
                .map(|served| format!("`{}`", served.name))
                .collect();
            RequestError::UnknownIndex {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use logboom_query::Signal;

    use super::*;

    pub(crate) fn indexes() -> Indexes {
        let served = |name: &str, kind| Served {
            name: name.into(),
            kind,
            catalog: Arc::new(Catalog::new(kind)),
            tail: Arc::new(Tail::new()),
        };
        Indexes::new(vec![
            served("logs", Kind::Logs),
            served("spans", Kind::Spans),
        ])
    }

    #[test]
    fn the_query_chooses_its_index_else_the_request_else_the_first_is_meant() {
        let indexes = indexes();
        let chosen = |q: &str, asked: Option<&str>| {
            let (query, served) = indexes.choose(q, asked).unwrap();
            (query.signal, served.name.to_string())
        };
        assert_eq!(chosen("x", None), (Signal::Logs, "logs".into()));
        assert_eq!(
            chosen("duration:>5ms", Some("spans")),
            (Signal::Spans, "spans".into())
        );
        assert_eq!(
            chosen("index:spans duration:>5ms", None),
            (Signal::Spans, "spans".into())
        );
        assert_eq!(
            chosen("index:spans x", Some("spans")),
            (Signal::Spans, "spans".into())
        );
    }

    #[test]
    fn an_index_that_is_not_there_or_not_the_one_is_refused_by_name() {
        let indexes = indexes();
        let refused = |q: &str, asked: Option<&str>| {
            let chosen = indexes.choose(q, asked).map(|_| ());
            chosen.unwrap_err().to_string()
        };
        for (q, asked) in [("index:spam x", None), ("x", Some("spam"))] {
            assert_eq!(
                refused(q, asked),
                "no index `spam`; there is `logs`, `spans`"
            );
        }
        assert!(refused("index:logs x", Some("spans")).contains("reads one index"));
        assert!(refused("level:", None).contains("`level:`"));
    }
}
