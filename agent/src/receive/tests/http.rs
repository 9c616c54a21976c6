//! Every answer over HTTP, and what is kept.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use super::*;
use crate::receive::limits;

fn small() -> Limits {
    Limits {
        body_bytes_max: 1 << 20,
        unpacked_bytes_max: 2 << 20,
        ..Limits::default()
    }
}

#[tokio::test]
async fn every_encoding_and_packing_is_taken() {
    let running = start(Limits::default(), None).await;
    let plain = encoded(vec![span(1, 1), span(2, 2)]);
    let packings = [
        ("", plain.clone()),
        ("content-encoding: identity\r\n", plain.clone()),
        ("content-encoding: gzip\r\n", gzip(&plain)),
        (
            "content-encoding: zstd\r\n",
            zstd::encode_all(&*plain, 1).unwrap(),
        ),
    ];
    for (encoding, body) in &packings {
        let headers = format!("{PROTOBUF}{encoding}");
        let answer = running.post("/v1/traces", &headers, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/x-protobuf")
        );
        assert!(answer.body.is_empty(), "{answer:?}");
    }
    let json = br#"{"resourceSpans":[{"future":{"a":[1]},"scopeSpans":[{"spans":[
        {"traceId":"01010101010101010101010101010101","spanId":"0000000000000003","name":"span 2","new":null}]}]}]}"#;
    let answer = running
        .post(
            "/v1/traces",
            "content-type: application/json; charset=utf-8\r\n",
            json,
        )
        .await;
    assert_eq!(
        (answer.status, &*answer.body),
        (200, &b"{}"[..]),
        "{answer:?}"
    );
    let spans = running.twin.spans();
    assert_eq!(spans.len(), 9);
    assert!(
        spans
            .iter()
            .any(|(_, span)| span.name == "span 2" && span.span_id[7] == 3)
    );
    assert!(running.twin.letters().is_empty());
}

#[tokio::test]
async fn a_body_in_chunks_is_taken() {
    let running = start(Limits::default(), None).await;
    let body = encoded(vec![span(1, 1)]);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{PROTOBUF}\r\n"
    );
    let (one, two) = body.split_at(10);
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let chunks = [chunk(one), chunk(two), b"0\r\n\r\n".to_vec()].concat();
    assert_eq!(running.send(&head, &chunks).await.status, 200);
    assert_eq!(running.twin.spans().len(), 1);
}

#[tokio::test]
async fn fields_that_nobody_knows_survive() {
    let running = start(Limits::default(), None).await;
    // Field 200 of a span, a varint.
    let mut one = span(1, 1).encode_to_vec();
    one.extend([0xc0, 0x0c, 7]);
    let nest = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let body = nest(0x0a, &nest(0x12, &nest(0x12, &one)));
    assert_eq!(running.post_spans(&body).await.status, 200);
    let stored = &running.twin.values("otlp_spans")[0].value;
    assert!(stored.windows(3).any(|three| three == [0xc0, 0x0c, 7]));
}

#[tokio::test]
async fn malformed_bodies_are_named() {
    let running = start(Limits::default(), None).await;
    let plain = encoded(vec![span(1, 1)]);
    let packed = gzip(&plain);
    let cases: [(&str, &[u8], &str); 6] = [
        ("", &plain[..plain.len() - 1], "protobuf"),
        ("", b"not protobuf", "protobuf"),
        (
            "content-encoding: gzip\r\n",
            &packed[..packed.len() - 9],
            "gzip, or is cut short",
        ),
        ("content-encoding: gzip\r\n", &plain, "is not gzip"),
        ("content-encoding: zstd\r\n", &packed, "is not zstd"),
        ("content-encoding: gzip\r\n", &gzip(b"hello"), "protobuf"),
    ];
    for (encoding, body, text) in cases {
        let headers = format!("{PROTOBUF}{encoding}");
        let answer = running.post("/v1/traces", &headers, body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/x-protobuf")
        );
        let status = tonic_types::pb::Status::decode(&*answer.body).unwrap();
        assert_eq!(status.code, tonic::Code::InvalidArgument as i32);
        assert!(status.message.contains(text), "{}", status.message);
        assert!(status.details.is_empty());
    }
    for body in [&b""[..], b"{", b"[]", br#"{"resourceSpans":1}"#] {
        let answer = running.post("/v1/traces", JSON, body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.message().contains("JSON"), "{answer:?}");
    }
    let answer = running.post("/v1/metrics", JSON, b"{").await;
    assert_eq!(answer.status, 400);
    assert!(running.twin.values("otlp_spans").is_empty());
}

#[tokio::test]
async fn what_is_not_served_says_what_is() {
    let running = start(Limits::default(), None).await;
    let answer = running.post("/v2/traces", JSON, b"{}").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer
            .message()
            .contains("/v1/logs, /v1/traces and /v1/metrics"),
        "{answer:?}"
    );

    let answer = running
        .send(
            "GET /v1/logs HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
            b"",
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("POST")),
        "{answer:?}"
    );

    for headers in [
        "",
        "content-type: text/plain\r\n",
        "content-type: application/jsonx\r\n",
    ] {
        let answer = running.post("/v1/logs", headers, b"{}").await;
        assert_eq!(answer.status, 415);
        assert!(
            answer
                .message()
                .contains("application/x-protobuf or application/json")
        );
    }
    let headers = format!("{JSON}content-encoding: br\r\n");
    let answer = running.post("/v1/logs", &headers, b"{}").await;
    assert_eq!(answer.status, 415);
    assert!(
        answer.message().contains("`br`") && answer.message().contains("gzip, zstd or identity")
    );
    assert_eq!(
        answer.header("accept-encoding"),
        Some("gzip, zstd, identity")
    );
}

#[tokio::test]
async fn only_the_token_lets_in() {
    let running = start(Limits::default(), Some("s3cret")).await;
    for (header, text) in [
        ("", "a token is needed"),
        ("authorization: Bearer wrong\r\n", "not the one"),
        ("authorization: Basic s3cret\r\n", "a token is needed"),
    ] {
        let headers = format!("{JSON}{header}");
        let answer = running.post("/v1/logs", &headers, b"{}").await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, Some("Bearer"))
        );
        assert!(answer.message().contains(text), "{answer:?}");
        assert!(!answer.message().contains("s3cret"));
    }
    let headers = format!("{JSON}authorization: Bearer s3cret\r\n");
    assert_eq!(running.post("/v1/logs", &headers, b"{}").await.status, 200);
}

#[tokio::test]
async fn bodies_beyond_the_limits_are_refused() {
    let running = start(small(), None).await;
    // Said in advance, and found out.
    let large = vec![0; (1 << 20) + 1];
    let answer = running.post("/v1/traces", JSON, &large).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(answer.message().contains("1048576 bytes"), "{answer:?}");
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{JSON}\r\n100001\r\n"
    );
    let answer = running
        .send(&head, &[&large[..], b"\r\n0\r\n\r\n"].concat())
        .await;
    assert_eq!(answer.status, 413);
    for (encoding, body) in [
        ("gzip", gzip(&vec![0; (2 << 20) + 1])),
        (
            "zstd",
            zstd::encode_all(&*vec![0; (2 << 20) + 1], 1).unwrap(),
        ),
    ] {
        let headers = format!("{JSON}content-encoding: {encoding}\r\n");
        let answer = running.post("/v1/traces", &headers, &body).await;
        assert_eq!((answer.status, answer.header("retry-after")), (413, None));
        assert!(
            answer
                .message()
                .contains("unpacked body has more than 2097152"),
            "{answer:?}"
        );
    }
    let many = encoded(vec![Span::default(); 100_001]);
    let answer = running.post("/v1/traces", PROTOBUF, &many).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_in_a_mebibyte_costs_no_memory() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    // Deflate packs at most 1 to 1032, so this is the whole of it.
    assert!((1 << 20..8 << 20).contains(&bomb.len()));
    let running = start(Limits::default(), None).await;
    let headers = format!("{JSON}content-encoding: gzip\r\n");
    let before = resident();
    for _ in 0..4 {
        let answer = running.post("/v1/traces", &headers, &bomb).await;
        assert_eq!(answer.status, 413);
    }
    let grown = resident().saturating_sub(before);
    // A body and what it may unpack to, doubled as vectors are. Other tests share the process.
    let bound = 2 * (limits::BODY_BYTES_MAX + limits::UNPACKED_BYTES_MAX);
    assert!(grown < bound, "{} MiB more", grown >> 20);
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_its_request() {
    let limits = Limits {
        body_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let running = start(limits, None).await;
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n{JSON}\r\n{{");
    let answer = running.send(&head, b"").await;
    let retry = (answer.status, answer.header("retry-after"));
    assert_eq!(retry, (503, Some("1")), "it may come sooner next time");
    assert!(answer.message().contains("0.2 s"));
}

#[tokio::test]
async fn a_body_that_ends_early_may_be_sent_again() {
    let running = start(Limits::default(), None).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n{JSON}\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_answer(&mut stream).await;
    let retry = (answer.status, answer.header("retry-after"));
    assert_eq!(retry, (503, Some("1")), "{answer:?}");
}

#[tokio::test]
async fn connections_that_ask_nothing_are_closed() {
    let limits = Limits {
        header_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let running = start(limits, None).await;
    for start in ["", "POST /v1/lo", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest));
        let _reset_is_fine_too = closed.await.unwrap();
    }
}

#[tokio::test]
async fn a_queue_that_fails_refuses_the_whole_request() {
    let running = start(Limits::default(), None).await;
    running.twin.set(Mood::Fails);
    let body = encoded(vec![span(1, 1), span(0, 2)]);
    let answer = running.post_spans(&body).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("3")),
        "{answer:?}"
    );
    let status = tonic_types::pb::Status::decode(&*answer.body).unwrap();
    assert_eq!(status.code, tonic::Code::Unavailable as i32);
    assert!(
        status.message.contains("send the whole request again"),
        "{}",
        status.message
    );
    assert_eq!(status.details.len(), 1);
    let json = running.post(
        "/v1/logs",
        JSON,
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#,
    );
    assert_eq!(json.await.json()["details"][0]["retryDelay"], "3s");
    // Dead letters are written before the answer, so without them there is no success.
    running.twin.set(Mood::FailsFor("_logboom_rejected"));
    assert_eq!(running.post_spans(&body).await.status, 503);
    running.twin.set(Mood::Acks);
    assert_eq!(running.post_spans(&body).await.status, 200);
    assert_eq!(running.twin.spans().len(), 1);
}

#[tokio::test]
async fn before_the_queue_was_reached_senders_are_told_to_wait() {
    let (running, intake) = start_closed(Limits::default(), None).await;
    let body = encoded(vec![span(1, 1)]);
    let answer = running.post_spans(&body).await;
    assert_eq!(answer.status, 503);
    intake.open(topics());
    assert_eq!(running.post_spans(&body).await.status, 200);
}

#[tokio::test]
async fn too_much_at_once_is_refused_and_the_rest_is_not_disturbed() {
    let limits = Limits {
        requests_max: 2,
        in_flight_bytes_max: 200_000,
        ..Limits::default()
    };
    let running = Arc::new(start(limits, None).await);
    running.twin.set(Mood::Waits);
    let body = encoded(vec![span(1, 1)]);
    let mut under_way = Vec::new();
    for _ in 0..2 {
        let (one, body) = (Arc::clone(&running), body.clone());
        under_way.push(tokio::spawn(async move { one.post_spans(&body).await }));
        running.twin.0.waits.notified().await;
    }
    let answer = running.post("/v1/traces", JSON, b"{}").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert!(
        answer
            .message()
            .contains("too many requests at once, at most 2"),
        "{answer:?}"
    );
    running.twin.set(Mood::Acks);
    running.twin.0.go_on.notify_waiters();
    for one in under_way {
        assert_eq!(one.await.unwrap().status, 200);
    }
    let answer = running.post("/v1/traces", JSON, &vec![b' '; 200_001]).await;
    assert_eq!(answer.status, 503);
    assert!(answer.message().contains("bytes in flight"), "{answer:?}");
    // All room came back.
    let answer = running
        .post("/v1/logs", JSON, &[&[b' '; 90_000][..], b"{}"].concat())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn what_is_bad_for_ever_is_kept_with_its_reason() {
    let running = start(Limits::default(), None).await;
    let mut short = span(1, 3);
    short.span_id = vec![1, 2, 3];
    let body = encoded(vec![span(1, 1), span(0, 2), short, span(2, 4)]);
    let answer = running.post_spans(&body).await;
    assert_eq!(answer.status, 200);
    let partial = ExportTraceServiceResponse::decode(&*answer.body).unwrap();
    let partial = partial.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(
        partial.error_message.contains("_logboom_rejected"),
        "{}",
        partial.error_message
    );
    assert_eq!(running.twin.spans().len(), 2);
    let letters = running.twin.letters();
    assert_eq!(letters.len(), 2);
    assert!(
        letters[1]["reason"]
            .as_str()
            .unwrap()
            .contains("`span_id` has 3 bytes"),
        "{letters:?}"
    );
    for letter in &letters {
        assert_eq!(letter["signal"], "traces");
        assert!(letter["received"].as_str().unwrap().ends_with('Z'));
    }
    let name = &letters[0]["record"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"];
    assert_eq!(name, "span 2");

    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","spanId":""}]}]}]}"#;
    let answer = running.post("/v1/traces", JSON, json).await;
    assert_eq!(
        answer.json()["partialSuccess"]["rejectedSpans"],
        "1",
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_item_that_the_queue_never_takes_is_a_dead_letter() {
    let running = start(Limits::default(), None).await;
    running.twin.set(Mood::Refuses(limits::RECORD_BYTES));
    let mut large = span(1, 1);
    large.name = "x".repeat(1 << 20);
    let mut huge = span(1, 2);
    huge.name = "y".repeat(4 << 20);
    let answer = running
        .post_spans(&encoded(vec![large, huge, span(1, 3)]))
        .await;
    let partial = ExportTraceServiceResponse::decode(&*answer.body).unwrap();
    let partial = partial.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert_eq!(running.twin.spans().len(), 1);
    let letters = running.twin.values("_logboom_rejected");
    assert_eq!(letters.len(), 2);
    assert!(
        letters
            .iter()
            .all(|letter| letter.value.len() < 2 * limits::REJECTED_BYTES_MAX)
    );
    assert!(
        partial.error_message.contains("the queue refused it"),
        "{}",
        partial.error_message
    );
}

#[tokio::test]
async fn metrics_are_answered_as_rejected() {
    let running = start(Limits::default(), None).await;
    let json =
        br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[{},{}]}}]}]}]}"#;
    let answer = running.post("/v1/metrics", JSON, json).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "2");
    assert!(
        partial["errorMessage"]
            .as_str()
            .unwrap()
            .contains("metrics are not kept")
    );
}

#[tokio::test]
async fn logs_of_a_request_stay_together_and_requests_spread() {
    let running = start(Limits::default(), None).await;
    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},{"traceId":"zz"}]}]}]}"#;
    let good =
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},{}]}]}]}"#;
    let odd = running.post("/v1/logs", JSON, json).await;
    assert_eq!(odd.status, 400, "{odd:?}");
    for _ in 0..4 {
        assert_eq!(running.post("/v1/logs", JSON, good).await.status, 200);
    }
    let stored = running.twin.values("otlp_logs");
    let partitions: std::collections::BTreeSet<i32> =
        stored.iter().map(|parcel| parcel.partition).collect();
    assert_eq!((stored.len(), partitions.len()), (4, 4));
    let request = ExportLogsServiceRequest::decode(&*stored[0].value).unwrap();
    assert_eq!(request.resource_logs[0].scope_logs[0].log_records.len(), 2);
}

#[tokio::test]
async fn a_stop_finishes_what_was_accepted() {
    let running = start(Limits::default(), None).await;
    running.twin.set(Mood::Waits);
    let body = encoded(vec![span(1, 1)]);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n{PROTOBUF}\r\n",
        body.len()
    );
    // One waits for the queue, one for the rest of its body, one for nothing.
    let mut stored = TcpStream::connect(running.address).await.unwrap();
    stored
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();
    running.twin.0.waits.notified().await;
    running.twin.set(Mood::Acks);
    let mut half = TcpStream::connect(running.address).await.unwrap();
    half.write_all(&[head.as_bytes(), &body[..9]].concat())
        .await
        .unwrap();
    let _idle = TcpStream::connect(running.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.twin.0.go_on.notify_waiters();
    assert_eq!(read_answer(&mut stored).await.status, 200);
    half.write_all(&body[9..]).await.unwrap();
    assert_eq!(read_answer(&mut half).await.status, 200);
    tokio::time::timeout(Duration::from_secs(5), running.task)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
    assert_eq!(running.twin.spans().len(), 2);
}
