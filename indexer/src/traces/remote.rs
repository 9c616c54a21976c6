//! Asking an indexer about traces.

use super::answer::{
    Dependencies, Names, ServicesAnswer, ServicesRequest, Trace, TraceList, TraceSearch,
};
use super::routes::{Named, Within};
use crate::remote::{Remote, RemoteError};
use crate::search::Hit;

impl Remote {
    pub async fn traces(&self, search: &TraceSearch) -> Result<TraceList, RemoteError> {
        self.ask("traces", search).await
    }

    /// `None`: there is no span of it.
    pub async fn trace(&self, trace_id: &str) -> Result<Option<Trace>, RemoteError> {
        let named = Named {
            trace_id: trace_id.to_owned(),
            span_id: String::new(),
        };
        self.ask("trace", &named).await
    }

    /// `None`: it is not there.
    pub async fn span(&self, trace_id: &str, span_id: &str) -> Result<Option<Hit>, RemoteError> {
        let named = Named {
            trace_id: trace_id.to_owned(),
            span_id: span_id.to_owned(),
        };
        self.ask("span", &named).await
    }

    pub async fn services(&self, request: &ServicesRequest) -> Result<ServicesAnswer, RemoteError> {
        self.ask("services", request).await
    }

    pub async fn dependencies(
        &self,
        from_ns: Option<i64>,
        to_ns: Option<i64>,
    ) -> Result<Dependencies, RemoteError> {
        self.ask("dependencies", &Within { from_ns, to_ns }).await
    }

    pub async fn names(
        &self,
        from_ns: Option<i64>,
        to_ns: Option<i64>,
    ) -> Result<Names, RemoteError> {
        self.ask("names", &Within { from_ns, to_ns }).await
    }
}
