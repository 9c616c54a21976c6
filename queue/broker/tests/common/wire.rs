//! The protocol by hand: frames, requests and batches of which every byte can be wrong.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Wire<S = TcpStream> {
    pub(crate) stream: S,
    next_id: i32,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn over(stream: S) -> Wire<S> {
        Wire { stream, next_id: 1 }
    }

    /// Sends a request without waiting and returns its correlation id.
    pub(crate) async fn send(
        &mut self,
        key: ApiKey,
        version: i16,
        request: impl Into<RequestKind>,
    ) -> i32 {
        let mut body = BytesMut::new();
        request.into().encode(&mut body, version).unwrap();
        let id = self.next_id;
        self.next_id += 1;
        self.send_bytes(&frame(key as i16, version, id, &body))
            .await;
        id
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer, whichever it is: correlation id and what follows.
    pub(crate) async fn receive_bytes(&mut self) -> Bytes {
        let reading = async {
            let length = self.stream.read_i32().await.unwrap();
            let mut answer = vec![0; length as usize];
            self.stream.read_exact(&mut answer).await.unwrap();
            Bytes::from(answer)
        };
        tokio::time::timeout(Duration::from_secs(20), reading)
            .await
            .expect("an answer in time")
    }

    pub(crate) async fn receive(&mut self, key: ApiKey, version: i16) -> (i32, ResponseKind) {
        let mut answer = self.receive_bytes().await;
        let header =
            ResponseHeader::decode(&mut answer, key.response_header_version(version)).unwrap();
        let response = ResponseKind::decode(key, &mut answer, version).unwrap();
        assert!(
            !answer.has_remaining(),
            "answer has more than its version knows"
        );
        (header.correlation_id, response)
    }

    pub(crate) async fn call(
        &mut self,
        key: ApiKey,
        version: i16,
        request: impl Into<RequestKind>,
    ) -> ResponseKind {
        let sent = self.send(key, version, request).await;
        let (id, response) = self.receive(key, version).await;
        assert_eq!(id, sent);
        response
    }

    /// The broker has closed this connection without another word.
    pub(crate) async fn expect_closed(mut self) {
        let mut rest = [0; 16];
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut rest)).await;
        match read.expect("closed in time") {
            Ok(0) | Err(_) => {}
            Ok(count) => panic!("answered with {:?}", &rest[..count]),
        }
    }
}

/// A whole frame with the header that belongs to the key and version.
pub(crate) fn frame(key: i16, version: i16, correlation_id: i32, body: &[u8]) -> Bytes {
    let header_version =
        ApiKey::try_from(key).map_or(1, |key| key.request_header_version(version).max(1));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")))
        .encode(&mut frame, header_version)
        .unwrap();
    frame.put_slice(body);
    let length = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// A record batch of the given values, uncompressed, without a producer id.
pub(crate) fn batch(values: &[&str]) -> BytesMut {
    let mut records = BytesMut::new();
    for (index, value) in values.iter().enumerate() {
        let mut record = BytesMut::new();
        record.put_u8(0);
        put_varint(&mut record, 0);
        put_varint(&mut record, index as i64);
        put_varint(&mut record, -1);
        put_varint(&mut record, value.len() as i64);
        record.put_slice(value.as_bytes());
        put_varint(&mut record, 0);
        put_varint(&mut records, record.len() as i64);
        records.put_slice(&record);
    }
    let mut batch = BytesMut::new();
    batch.put_i64(0);
    batch.put_i32(49 + records.len() as i32);
    batch.put_i32(-1);
    batch.put_i8(2);
    batch.put_u32(0);
    batch.put_i16(0);
    batch.put_i32(values.len() as i32 - 1);
    batch.put_i64(1_700_000_000_000);
    batch.put_i64(1_700_000_000_000);
    batch.put_i64(-1);
    batch.put_i16(-1);
    batch.put_i32(-1);
    batch.put_i32(values.len() as i32);
    batch.put_slice(&records);
    sign(&mut batch);
    batch
}

/// Makes the checksum right again after a field was changed.
pub(crate) fn sign(batch: &mut BytesMut) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn put_varint(out: &mut BytesMut, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        out.put_u8(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.put_u8(zigzag as u8);
}
