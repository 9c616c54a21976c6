//! Counting the data points of a metrics request, in either format, without keeping any of it.
//!
//! ```text
//! ExportMetricsServiceRequest 1: ResourceMetrics* 2: ScopeMetrics* 2: Metric*
//!   Metric 5: gauge  7: sum  9: histogram  10: exponential histogram  11: summary, each 1: data point*
//! ```

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::payload::Format;
use super::refusal::Refusal;

pub(crate) fn count(format: Format, body: &[u8]) -> Result<u64, Refusal> {
    let counted = match format {
        Format::Protobuf => protobuf(body, &PATH).ok_or_else(|| "it is cut short".to_owned()),
        Format::Json => serde_json::from_slice::<Request>(body)
            .map(|request| request.resource_metrics.sum)
            .map_err(|error| error.to_string()),
    };
    counted.map_err(|reason| Refusal::Metrics { format, reason })
}

/// Fields to go down to a data point.
const PATH: [&[usize]; 5] = [&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]];

fn protobuf(mut message: &[u8], path: &[&[usize]]) -> Option<u64> {
    let Some((wanted, below)) = path.split_first() else {
        return Some(1);
    };
    let mut points = 0;
    while !message.is_empty() {
        // A varint, as all keys and lengths are.
        let key = prost::decode_length_delimiter(&mut message).ok()?;
        let len = match key & 7 {
            0 => {
                prost::decode_length_delimiter(&mut message).ok()?;
                0
            }
            1 => 8,
            2 => prost::decode_length_delimiter(&mut message).ok()?,
            5 => 4,
            _ => return None,
        };
        let (content, rest) = message.split_at_checked(len)?;
        if key & 7 == 2 && wanted.contains(&(key >> 3)) {
            points += protobuf(content, below)?;
        }
        message = rest;
    }
    Some(points)
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    resource_metrics: Sum<ResourceMetrics>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics {
    #[serde(default)]
    scope_metrics: Sum<ScopeMetrics>,
}

#[derive(serde::Deserialize)]
struct ScopeMetrics {
    #[serde(default)]
    metrics: Sum<Metric>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    gauge: Option<Data>,
    sum: Option<Data>,
    histogram: Option<Data>,
    exponential_histogram: Option<Data>,
    summary: Option<Data>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(default)]
    data_points: Sum<IgnoredAny>,
}

/// How many points an element is or has.
trait Points {
    fn points(&self) -> u64;
}

impl Points for ResourceMetrics {
    fn points(&self) -> u64 {
        self.scope_metrics.sum
    }
}

impl Points for ScopeMetrics {
    fn points(&self) -> u64 {
        self.metrics.sum
    }
}

impl Points for Metric {
    fn points(&self) -> u64 {
        let data = [
            &self.gauge,
            &self.sum,
            &self.histogram,
            &self.exponential_histogram,
            &self.summary,
        ];
        data.into_iter()
            .flatten()
            .map(|data| data.data_points.sum)
            .sum()
    }
}

impl Points for IgnoredAny {
    fn points(&self) -> u64 {
        1
    }
}

/// Adds up an array while it is read: two bytes of `{}` cost no more than that.
struct Sum<T> {
    sum: u64,
    of: PhantomData<T>,
}

impl<T> Default for Sum<T> {
    fn default() -> Sum<T> {
        Sum {
            sum: 0,
            of: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de> + Points> Deserialize<'de> for Sum<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sum<T>, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Points> Visitor<'de> for Elements<T> {
            type Value = Sum<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array")
            }

            fn visit_unit<E>(self) -> Result<Sum<T>, E> {
                Ok(Sum::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Sum<T>, A::Error> {
                let mut total = Sum::default();
                while let Some(element) = elements.next_element::<T>()? {
                    total.sum += element.points();
                }
                Ok(total)
            }
        }
        deserializer.deserialize_any(Elements(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_counted_alike() {
        // A gauge of two points and a histogram of one, beside a field that nobody knows.
        let gauge = [0x2a, 4, 0x0a, 0, 0x0a, 0];
        let histogram = [0x4a, 2, 0x0a, 0];
        let metrics = [
            &[0x12, gauge.len() as u8][..],
            &gauge,
            &[0x12, histogram.len() as u8],
            &histogram,
            &[0xf8, 0x07, 0xff, 0x01],
        ]
        .concat();
        let scope = [&[0x12, metrics.len() as u8][..], &metrics].concat();
        let request = [&[0x0a, scope.len() as u8][..], &scope].concat();
        assert_eq!(count(Format::Protobuf, &request).unwrap(), 3);
        for cut in 1..request.len() {
            let cut = count(Format::Protobuf, &request[..cut]);
            assert!(cut.is_err(), "{cut:?}");
        }

        let json = br#"{"resourceMetrics":[{"scopeMetrics":[{"x":[1],"metrics":[
            {"name":"a","gauge":{"dataPoints":[{"asInt":"1"},{}]}},
            {"histogram":{"dataPoints":[{}]},"sum":null}]},{"metrics":null}]}]}"#;
        assert_eq!(count(Format::Json, json).unwrap(), 3);
        assert_eq!(count(Format::Json, b"{}").unwrap(), 0);
        assert!(count(Format::Json, b"{").is_err());
        assert!(count(Format::Json, br#"{"resourceMetrics":{}}"#).is_err());
    }
}
