//! gRPC with tonic's own client, and frames that it would not send.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::*;
use crate::receive::compression::Compression;
use crate::receive::grpc::unframe;
use crate::receive::refusal::Refusal;

async fn channel(running: &Running) -> Channel {
    let uri = format!("http://{}", running.address);
    Channel::from_shared(uri).unwrap().connect().await.unwrap()
}

async fn refused(running: &Running, spans: Vec<Span>) -> Status {
    let mut client = TraceServiceClient::new(channel(running).await);
    client.export(request(spans)).await.unwrap_err()
}

#[tokio::test]
async fn every_service_and_packing_is_taken() {
    let running = start(Limits::default(), None).await;
    let channel = channel(&running).await;
    for packing in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ] {
        let mut client = TraceServiceClient::new(channel.clone());
        if let Some(packing) = packing {
            client = client.send_compressed(packing);
        }
        let answer = client
            .export(request(vec![span(1, 1), span(3, 2)]))
            .await
            .unwrap();
        assert_eq!(answer.into_inner().partial_success, None);
    }
    assert_eq!(running.twin.spans().len(), 6);
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord::default(); 3],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let mut client = LogsServiceClient::new(channel.clone());
    client.export(logs.clone()).await.unwrap();
    let stored = &running.twin.values("otlp_logs")[0].value;
    assert_eq!(ExportLogsServiceRequest::decode(&**stored).unwrap(), logs);
    let mut client = MetricsServiceClient::new(channel);
    let answer = client
        .export(ExportMetricsServiceRequest::default())
        .await
        .unwrap();
    let partial = answer.into_inner().partial_success.unwrap();
    assert!(partial.error_message.contains("metrics are not kept"));
}

#[tokio::test]
async fn rejected_spans_are_a_partial_success() {
    let running = start(Limits::default(), None).await;
    let mut client = TraceServiceClient::new(channel(&running).await);
    let answer = client
        .export(request(vec![span(0, 1), span(1, 2)]))
        .await
        .unwrap();
    let partial = answer.into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert_eq!(running.twin.letters().len(), 1);
}

#[tokio::test]
async fn a_queue_that_fails_is_unavailable_with_a_time_to_wait() {
    let running = start(Limits::default(), None).await;
    running.twin.set(Mood::Fails);
    let status = refused(&running, vec![span(1, 1)]).await;
    assert_eq!(status.code(), Code::Unavailable);
    let retry = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn what_is_too_large_is_never_to_be_sent_again() {
    let limits = Limits {
        body_bytes_max: 100_000,
        unpacked_bytes_max: 100_000,
        ..Limits::default()
    };
    let running = start(limits, None).await;
    let mut large = span(1, 1);
    large.name = "x".repeat(100_000);
    let status = refused(&running, vec![large.clone()]).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("100000 bytes"), "{status}");
    assert!(status.get_details_retry_info().is_none());
    let client = TraceServiceClient::new(channel(&running).await);
    let mut client = client.send_compressed(CompressionEncoding::Zstd);
    let status = client.export(request(vec![large])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("unpacked"), "{status}");
}

#[tokio::test]
async fn only_the_token_lets_in() {
    let running = start(Limits::default(), Some("s3cret")).await;
    let status = refused(&running, vec![span(1, 1)]).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut with_token = Request::new(request(vec![span(1, 1)]));
    with_token
        .metadata_mut()
        .insert("authorization", "Bearer s3cret".parse().unwrap());
    let mut client = TraceServiceClient::new(channel(&running).await);
    client.export(with_token).await.unwrap();
}

#[tokio::test]
async fn methods_and_content_types_that_nobody_knows() {
    let running = start(Limits::default(), None).await;
    let answer = running
        .post(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            JSON,
            b"{}",
        )
        .await;
    assert_eq!(answer.status, 415);
    assert!(answer.message().contains("application/grpc"), "{answer:?}");
    let answer = running
        .post("/x.Y/Z", "content-type: application/grpc\r\n", b"")
        .await;
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("12")),
        "{answer:?}"
    );
    let headers = "content-type: application/grpc+proto\r\ngrpc-encoding: snappy\r\n";
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let answer = running.post(path, headers, b"").await;
    assert_eq!(answer.header("grpc-status"), Some("12"));
    assert_eq!(
        answer.header("grpc-accept-encoding"),
        Some("identity,gzip,zstd")
    );
    let answer = running
        .post(path, "content-type: application/grpc\r\n", b"\0\0\0\0\x01x")
        .await;
    assert_eq!(answer.header("grpc-status"), Some("3"), "{answer:?}");
}

#[tokio::test]
async fn a_stop_finishes_calls_under_way() {
    let running = start(Limits::default(), None).await;
    running.twin.set(Mood::Waits);
    let mut client = TraceServiceClient::new(channel(&running).await);
    let mut calling = client.clone();
    let call = tokio::spawn(async move { calling.export(request(vec![span(1, 1)])).await });
    running.twin.0.waits.notified().await;
    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.twin.0.go_on.notify_waiters();
    call.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(5), running.task)
        .await
        .unwrap()
        .unwrap();
    let late = client.export(request(vec![span(1, 1)])).await.unwrap_err();
    assert_eq!(late.code(), Code::Unavailable);
}

#[test]
fn frames_that_are_not_one_message() {
    let frame = |bytes: &'static [u8], encoding| unframe(bytes.into(), encoding);
    let (compression, message) = frame(b"\x01\0\0\0\x02ab", Compression::Gzip).unwrap();
    assert_eq!((compression, &*message), (Compression::Gzip, &b"ab"[..]));
    let plain = frame(b"\0\0\0\0\0", Compression::Gzip).unwrap();
    assert_eq!(plain, (Compression::Identity, "".into()));
    for (bytes, text) in [
        (&b""[..], "cut short"),
        (b"\0\0\0\0", "cut short"),
        (b"\0\0\0\0\x03ab", "cut short"),
        (b"\0\xff\xff\xff\xffab", "cut short"),
        (b"\0\0\0\0\x01ab", "another follows"),
        (b"\x01\0\0\0\0", "grpc-encoding"),
        (b"\x02\0\0\0\0", "neither 0 nor 1"),
    ] {
        let refusal = frame(bytes, Compression::Identity).unwrap_err();
        assert!(matches!(refusal, Refusal::Frame { .. }));
        assert!(refusal.to_string().contains(text), "{refusal}");
    }
}
