//! One of the two brokers, and what it has answered so far.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, RequestKind, ResponseKind};
use kafka_protocol::protocol::Decodable;
use tokio::io::AsyncReadExt;

use crate::answer::{Members, fields};
use crate::common::wire::{Wire, frame};

/// How long a new topic or coordinator may need until it can be used.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough that a broker which wants to say something has said it.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) struct Side {
    pub(crate) address: SocketAddr,
    pub(crate) wire: Wire,
    members: Members,
    scenario: &'static str,
    /// Path, beginning with scenario and step, to value.
    pub(crate) answers: BTreeMap<String, String>,
}

impl Side {
    pub(crate) async fn connect(address: SocketAddr) -> Side {
        Side {
            address,
            wire: Wire::connect(address).await,
            members: Members::default(),
            scenario: "",
            answers: BTreeMap::new(),
        }
    }

    /// What follows belongs to this scenario.
    pub(crate) fn begin(&mut self, scenario: &'static str) {
        self.scenario = scenario;
    }

    /// Asks on the first connection and notes the answer.
    pub(crate) async fn ask(
        &mut self,
        step: &str,
        key: ApiKey,
        version: i16,
        request: impl Into<RequestKind>,
    ) -> ResponseKind {
        // The last line says who waited in vain.
        println!("{}: {}/{step}", self.address, self.scenario);
        let response = self.wire.call(key, version, request).await;
        self.note(step, &response);
        response
    }

    /// Notes an answer that came another way.
    pub(crate) fn note(&mut self, step: &str, response: &impl std::fmt::Debug) {
        for (path, value) in fields(response, &mut self.members) {
            let path = format!("{}/{step}/{path}", self.scenario);
            let known = self.answers.insert(path.clone(), value);
            assert!(known.is_none(), "{path} is noted twice");
        }
    }

    /// Sends bytes on a connection of their own and notes whether they are answered.
    pub(crate) async fn ask_bytes(
        &mut self,
        step: &str,
        key: i16,
        version: i16,
        body: &[u8],
    ) -> Option<Bytes> {
        let mut wire = Wire::connect(self.address).await;
        wire.send_bytes(&frame(key, version, 1, body)).await;
        let answer = async {
            let length = wire.stream.read_i32().await.ok()?;
            let mut answer = vec![0; length as usize];
            wire.stream.read_exact(&mut answer).await.ok()?;
            Some(Bytes::from(answer))
        };
        let (what, answer) = match tokio::time::timeout(SILENCE, answer).await {
            Ok(Some(answer)) => ("answered", Some(answer)),
            Ok(None) => ("closed", None),
            Err(_) => ("silent", None),
        };
        self.answers.insert(
            format!("{}/{step}/connection", self.scenario),
            what.to_owned(),
        );
        answer
    }

    /// An answer in the first version of ApiVersions, whatever was asked for.
    pub(crate) fn note_versions(&mut self, step: &str, mut answer: Bytes) {
        answer.advance(4);
        let decoded = ApiVersionsResponse::decode(&mut answer, 0).expect("version 0 is answered");
        assert!(!answer.has_remaining(), "nothing follows");
        self.note(step, &decoded);
    }

    /// Asks, without noting it, until the answer is as wanted.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        key: ApiKey,
        version: i16,
        request: impl Into<RequestKind>,
        wanted: impl Fn(&ResponseKind) -> bool,
    ) {
        let request = request.into();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let response = self.wire.call(key, version, request.clone()).await;
            if wanted(&response) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "never: {what}: {response:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A batch that claims to be of a producer.
pub(crate) fn of_producer(mut batch: BytesMut, id: i64, epoch: i16, sequence: i32) -> Bytes {
    batch[43..51].copy_from_slice(&id.to_be_bytes());
    batch[51..53].copy_from_slice(&epoch.to_be_bytes());
    batch[53..57].copy_from_slice(&sequence.to_be_bytes());
    crate::common::wire::sign(&mut batch);
    batch.freeze()
}

/// A batch all of whose records have one time.
pub(crate) fn at_time(mut batch: BytesMut, time_ms: i64) -> Bytes {
    batch[27..35].copy_from_slice(&time_ms.to_be_bytes());
    batch[35..43].copy_from_slice(&time_ms.to_be_bytes());
    crate::common::wire::sign(&mut batch);
    batch.freeze()
}
