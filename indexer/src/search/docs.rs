//! Sets of documents as tantivy queries, with complements kept apart: an intersection with "not x"
//! excludes x, instead of intersecting with everything else.

use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, Query};

use super::steady::Steady;

#[derive(Debug)]
pub(crate) enum Docs {
    Nothing,
    Everything,
    In(Box<dyn Query>),
    NotIn(Box<dyn Query>),
}

impl Clone for Docs {
    fn clone(&self) -> Docs {
        match self {
            Docs::Nothing => Docs::Nothing,
            Docs::Everything => Docs::Everything,
            Docs::In(query) => Docs::In(query.box_clone()),
            Docs::NotIn(query) => Docs::NotIn(query.box_clone()),
        }
    }
}

impl Docs {
    pub(crate) fn of(query: impl Query) -> Docs {
        Docs::In(Box::new(query))
    }

    pub(crate) fn complement(self) -> Docs {
        match self {
            Docs::Nothing => Docs::Everything,
            Docs::Everything => Docs::Nothing,
            Docs::In(query) => Docs::NotIn(query),
            Docs::NotIn(query) => Docs::In(query),
        }
    }

    pub(crate) fn intersection(sets: impl IntoIterator<Item = Docs>) -> Docs {
        let (mut within, mut without) = (Vec::new(), Vec::new());
        for set in sets {
            match set {
                Docs::Nothing => return Docs::Nothing,
                Docs::Everything => {}
                Docs::In(query) => within.push(query),
                Docs::NotIn(query) => without.push(query),
            }
        }
        if within.is_empty() {
            return match any_of(without) {
                Some(query) => Docs::NotIn(query),
                None => Docs::Everything,
            };
        }
        if within.len() == 1 && without.is_empty() {
            return Docs::In(within.remove(0));
        }
        let must = within.into_iter().map(|query| (Occur::Must, query));
        let must_not = without
            .into_iter()
            .map(|query| (Occur::MustNot, steady(query)));
        Docs::of(BooleanQuery::new(must.chain(must_not).collect()))
    }

    pub(crate) fn union(sets: impl IntoIterator<Item = Docs>) -> Docs {
        let (mut within, mut complements) = (Vec::new(), Vec::new());
        for set in sets {
            match set {
                Docs::Everything => return Docs::Everything,
                Docs::Nothing => {}
                Docs::In(query) => within.push(query),
                Docs::NotIn(query) => complements.push(Docs::In(query)),
            }
        }
        let within = any_of(within);
        if complements.is_empty() {
            return within.map_or(Docs::Nothing, Docs::In);
        }
        // a ∪ ¬b ∪ ¬c = ¬(b ∩ c ∖ a)
        let excluded = within.map(Docs::NotIn);
        Docs::intersection(complements.into_iter().chain(excluded)).complement()
    }

    pub(crate) fn into_query(self) -> Box<dyn Query> {
        match self {
            Docs::Nothing => Box::new(EmptyQuery),
            Docs::Everything => Box::new(AllQuery),
            Docs::In(query) => query,
            Docs::NotIn(query) => Box::new(BooleanQuery::new(vec![
                (Occur::Must, Box::new(AllQuery)),
                (Occur::MustNot, steady(query)),
            ])),
        }
    }
}

fn steady(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(Steady(query))
}

fn any_of(mut queries: Vec<Box<dyn Query>>) -> Option<Box<dyn Query>> {
    match queries.len() {
        0 => None,
        1 => queries.pop(),
        _ => Some(Box::new(BooleanQuery::union(queries))),
    }
}
