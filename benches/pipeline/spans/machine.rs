//! What the machine can do with the same spans without logboom: HTTP, disk, compression, decoding, tantivy.

use std::path::Path;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::input::Input;
use super::{rate, send};
use crate::limits;

pub(super) async fn print(directory: &Path, input: &Input) {
    println!("\nthe machine, with these spans");
    bare_server(input).await;
    // As many requests as make a MiB, which is what the queue syncs at once under load.
    let together = ((1 << 20) * input.bodies.len() / input.bytes() as usize).max(1);
    let chunks = input.bodies.chunks(together).map(<[Bytes]>::concat);
    let wall = limits::sequential_write(directory, chunks);
    rate("sequential write, fsync a MiB", input.spans, wall, None);
    let bodies = input.bodies.iter().map(Bytes::as_ref);
    let (wall, compressed) = limits::compression(bodies);
    rate("lz4, one core", input.spans, wall, None);
    println!(
        "{:34} {:8.2}",
        "lz4 ratio",
        input.bytes() as f64 / compressed as f64
    );
    // A tenth is enough for a rate.
    let part = &input.bodies[..(input.bodies.len() / 10).max(1)];
    let start = Instant::now();
    let spans: Vec<Span> = part.iter().flat_map(decoded).collect();
    rate("prost, one core", spans.len() as u64, start.elapsed(), None);
    let texts = spans.iter().map(text);
    let wall = limits::raw_tantivy(directory, texts);
    rate(
        "raw tantivy, one text field",
        spans.len() as u64,
        wall,
        None,
    );
}

/// Takes the same requests and drops them: the ceiling of a receiver that shares the machine with its senders.
async fn bare_server(input: &Input) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/", post(|_: Bytes| async { StatusCode::OK }))
        .layer(DefaultBodyLimit::disable());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let (wall, _) = send::all(&url, &input.bodies).await;
    rate("bare HTTP server, bodies dropped", input.spans, wall, None);
    server.abort();
}

fn decoded(body: &Bytes) -> impl Iterator<Item = Span> {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans)
}

/// Name and attributes as one text.
fn text(span: &Span) -> String {
    let mut text = span.name.clone();
    for attribute in &span.attributes {
        match attribute
            .value
            .as_ref()
            .and_then(|value| value.value.as_ref())
        {
            Some(Value::StringValue(value)) => text.extend([" ", &attribute.key, " ", value]),
            Some(Value::IntValue(value)) => {
                text.extend([" ", &attribute.key, " ", &value.to_string()])
            }
            _ => {}
        }
    }
    text
}
