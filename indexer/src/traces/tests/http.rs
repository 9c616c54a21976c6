//! The same through the server and its client.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::indexes::tests::indexes;
use crate::pipeline::Pipeline;
use crate::remote::{Remote, RemoteError};
use crate::search::SearchRequest;
use crate::server::Server;

/// A server of these spans.
async fn serving(all: &[Indexed]) -> (Remote, CancellationToken) {
    let indexes = indexes();
    for served in indexes.iter() {
        served.catalog.caught_up();
    }
    let spans = indexes.named(SPANS).unwrap();
    let split = split_of(Kind::Spans, all);
    spans.catalog.load(vec![Arc::into_inner(split).unwrap()]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = Remote::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let stop = CancellationToken::new();
    let server = Server::new(indexes, Arc::new(Pipeline::default()), stop.clone());
    tokio::spawn(server.run(listener));
    (remote, stop)
}

#[tokio::test]
async fn questions_and_their_refusals_survive_the_wire() {
    let mut rng = StdRng::seed_from_u64(8);
    let sent = sent(&mut rng, 200);
    let all = indexed(&mut rng, &sent, false);
    let (remote, stop) = serving(&all).await;
    let naive = Naive::of(&all);

    let search = TraceSearch {
        limit: 5,
        ..TraceSearch::default()
    };
    let found = remote.traces(&search).await.unwrap();
    let query = parse_in("", Some(SPANS)).unwrap();
    assert_eq!(found.traces, naive.list(&all, &query, &search));
    let id = &found.traces[0].trace_id;
    let trace = remote.trace(id).await.unwrap().unwrap();
    naive.check(u128::from_str_radix(id, 16).unwrap(), &trace);
    let span = &trace.spans.id[0];
    let hit = remote.span(id, span).await.unwrap().unwrap();
    assert_eq!(hit.span_id.as_deref(), Some(span.as_str()));
    let absent = "f".repeat(32);
    assert_eq!(remote.trace(&absent).await.unwrap(), None);
    assert_eq!(remote.span(&absent, span).await.unwrap(), None);
    let request = ServicesRequest {
        step_ns: Some(SECOND_NS),
        ..ServicesRequest::default()
    };
    naive.check_services(&request, &remote.services(&request).await.unwrap());
    let dependencies = remote.dependencies(None, None).await.unwrap();
    naive.check_dependencies(None, None, &dependencies);
    let names = remote.names(None, None).await.unwrap();
    assert_eq!(names.services, naive.names(None, None));
    let table = SearchRequest {
        q: "index:spans * | stats count()".to_owned(),
        ..SearchRequest::default()
    };
    let table = remote.search(&table).await.unwrap().table.unwrap();
    assert_eq!(table.rows, [[json!(all.len())]]);

    let bad = TraceSearch {
        q: "status:sad".to_owned(),
        ..search
    };
    let refused = remote.traces(&bad).await.unwrap_err();
    assert!(
        matches!(
            refused,
            RemoteError::Query {
                from: 0,
                to: 10,
                ..
            }
        ),
        "{refused:?}"
    );
    let refused = remote.trace("no id").await.unwrap_err();
    assert!(matches!(&refused, RemoteError::Request { message } if message.contains("`no id`")));
    stop.cancel();
}
