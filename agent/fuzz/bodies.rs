//! What the fuzz targets check, shared with the property test that runs on every commit.

use bytes::Bytes;
use logboom_agent::receive::{
    Compression, Format, Kind, Opened, Payload, Refusal, Topic, Topics, limits, sort, unframe,
};

/// Small, so that bombs are found soon.
const UNPACKED_BYTES_MAX: usize = 1 << 20;

/// The first byte picks path, content type and encoding; the rest is the body.
pub(crate) fn http(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let format = match first & 1 {
        0 => Format::Protobuf,
        _ => Format::Json,
    };
    take(
        first >> 1,
        format,
        compression(first >> 4),
        Bytes::copy_from_slice(body),
    );
}

/// The first byte picks service and encoding; the rest is the frame.
pub(crate) fn grpc(data: &[u8]) {
    let Some((first, framed)) = data.split_first() else {
        return;
    };
    let framed = Bytes::copy_from_slice(framed);
    if let Ok((compression, message)) = unframe(framed, compression(first >> 4)) {
        take(first >> 1, Format::Protobuf, compression, message);
    }
}

fn compression(number: u8) -> Compression {
    match number % 3 {
        0 => Compression::Identity,
        1 => Compression::Gzip,
        _ => Compression::Zstd,
    }
}

/// Nothing panics, no more is unpacked than was granted, and every item is in a record of its size or rejected.
fn take(kind: u8, format: Format, compression: Compression, bytes: Bytes) {
    let kind = [Kind::Logs, Kind::Traces, Kind::Metrics][usize::from(kind % 3)];
    let payload = Payload {
        kind,
        format,
        compression,
        bytes,
    };
    let mut granted = 0;
    let opened = payload.open(UNPACKED_BYTES_MAX, |bytes| {
        granted += bytes;
        Ok::<(), Refusal>(())
    });
    // JSON is in memory as protobuf, too.
    assert!(granted <= 2 * UNPACKED_BYTES_MAX + 1);
    let request = match opened {
        Ok(Opened::Request(request)) => request,
        Ok(Opened::Points(_)) | Err(_) => return,
    };
    let topic = |name: &str, partitions| Topic {
        name: name.into(),
        partitions,
    };
    let topics = Topics {
        logs: topic("l", 4),
        spans: topic("s", 4),
        rejected: topic("r", 1),
    };
    let sorted = sort(&request, &topics, 3, "now", |_| Ok(()))
        .expect("1 MiB in four partitions is within bounds");
    assert_eq!(
        sorted.items as u64 + sorted.letters.len(),
        request.len() as u64
    );
    for parcel in &sorted.parcels {
        let size = parcel.value.len();
        let read = logboom_agent::receive::Payload {
            kind,
            format: Format::Protobuf,
            compression: Compression::Identity,
            bytes: parcel.value.clone(),
        };
        let Ok(Opened::Request(read)) = read.open(UNPACKED_BYTES_MAX, |_| Ok(())) else {
            panic!("a record is a request again");
        };
        assert!(size <= limits::RECORD_BYTES || read.len() == 1);
    }
}
