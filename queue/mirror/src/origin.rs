//! The two headers by which copies know where they come from.
//!
//! | header | value |
//! |---|---|
//! | `lb.origin` | ids of the clusters that the record has passed, oldest first, separated by commas |
//! | `lb.mirror.offset` | decimal: its offset in the last of them |
//!
//! A record whose `lb.origin` names the target has been there and is not copied to it again: that stops loops of any
//! length. A copy of a copy has one longer list and the offset of its last hop only.

use logboom_client::RawRecord;

use crate::error::Error;
use crate::limits::{CLUSTER_ID_BYTES_MAX, HOPS_MAX};

const PASSED: &str = "lb.origin";
const OFFSET: &str = "lb.mirror.offset";

/// The two clusters of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clusters {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Says whether an id can stand in a list, and returns it.
pub(crate) fn cluster_id(address: &str, found: Option<String>) -> Result<String, Error> {
    let is_good = |id: &String| {
        (1..=CLUSTER_ID_BYTES_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b',')
    };
    match found {
        Some(id) if is_good(&id) => Ok(id),
        found => Err(Error::ClusterId {
            address: address.to_owned(),
            found: found.map_or("none".to_owned(), |id| format!("`{}`", id.escape_debug())),
        }),
    }
}

/// What the headers of a copy are made of.
pub(crate) struct CopyHeaders {
    passed: Vec<u8>,
    offset: String,
}

impl Clusters {
    /// `None` for a record that has been in the target, or has passed more clusters than there can be.
    pub(crate) fn copy_headers(&self, record: &RawRecord) -> Option<CopyHeaders> {
        let before = record.header(PASSED).unwrap_or_default();
        let mut hops = before.split(|byte| *byte == b',');
        if before.len() > HOPS_MAX * (CLUSTER_ID_BYTES_MAX + 1)
            || hops.clone().count() >= HOPS_MAX
            || hops.any(|id| id == self.to.as_bytes())
        {
            return None;
        }
        let mut passed = before.to_vec();
        if !passed.is_empty() {
            passed.push(b',');
        }
        passed.extend_from_slice(self.from.as_bytes());
        Some(CopyHeaders {
            passed,
            offset: record.offset.to_string(),
        })
    }

    /// The offset in the source that this record of the target was copied from, if it was.
    pub(crate) fn copied_offset(&self, record: &RawRecord) -> Option<i64> {
        let last = record.header(PASSED)?.rsplit(|byte| *byte == b',').next()?;
        if last != self.from.as_bytes() {
            return None;
        }
        let offset = std::str::from_utf8(record.header(OFFSET)?).ok()?;
        offset.parse().ok().filter(|offset| *offset >= 0)
    }
}

impl CopyHeaders {
    /// Those of the record in their order, then ours.
    pub(crate) fn after<'a>(&'a self, record: &'a RawRecord) -> Vec<(&'a str, Option<&'a [u8]>)> {
        let own = record.headers.iter();
        let own = own.filter(|(name, _)| name != PASSED && name != OFFSET);
        let mut headers: Vec<(&str, Option<&[u8]>)> = own
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        headers.push((PASSED, Some(&self.passed)));
        headers.push((OFFSET, Some(self.offset.as_bytes())));
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logboom_client::RawRecord;

    fn record(offset: i64, headers: &[(&str, Option<&str>)]) -> RawRecord {
        let headers = headers.iter().map(|(name, value)| {
            let value = value.map(|value| value.to_owned().into());
            ((*name).to_owned(), value)
        });
        RawRecord {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp_ms: Some(1),
            key: None,
            value: None,
            headers: headers.collect(),
        }
    }

    fn hop(from: &str, to: &str, record: &RawRecord) -> Option<RawRecord> {
        let clusters = Clusters {
            from: from.into(),
            to: to.into(),
        };
        let made = clusters.copy_headers(record)?;
        let headers = made.after(record).into_iter();
        let headers = headers.map(|(name, value)| {
            let value = value.map(|value| value.to_vec().into());
            (name.to_owned(), value)
        });
        let copy = RawRecord {
            offset: 1000,
            headers: headers.collect(),
            ..record.clone()
        };
        assert_eq!(clusters.copied_offset(&copy), Some(record.offset));
        Some(copy)
    }

    #[test]
    fn a_record_passes_each_cluster_once_and_keeps_its_headers() {
        let own = [("x", None), ("lb.src", Some("7")), ("x", Some(""))];
        let in_b = hop("A", "B", &record(5, &own)).unwrap();
        assert!(hop("B", "A", &in_b).is_none(), "it was born in A");
        let in_c = hop("B", "C", &in_b).unwrap();
        assert_eq!(in_c.header(PASSED), Some(b"A,B".as_slice()));
        assert_eq!(in_c.header(OFFSET), Some(b"1000".as_slice()));
        assert!(hop("C", "A", &in_c).is_none() && hop("C", "B", &in_c).is_none());
        assert_eq!(in_c.headers[..3], record(5, &own).headers);
        assert_eq!(in_c.headers.len(), 5, "ours are replaced, not repeated");
    }

    #[test]
    fn a_list_without_end_stops() {
        let mut travelling = record(0, &[]);
        let mut hops = 0;
        while let Some(next) = hop(&format!("c{hops}"), "target", &travelling) {
            travelling = next;
            hops += 1;
        }
        assert_eq!(hops, HOPS_MAX);
        let long = "c".repeat(1 << 20);
        assert!(hop("A", "B", &record(0, &[(PASSED, Some(&long))])).is_none());
    }

    #[test]
    fn what_was_not_copied_from_here_says_no_offset() {
        let clusters = Clusters {
            from: "A".into(),
            to: "B".into(),
        };
        for headers in [
            vec![],
            vec![(PASSED, Some("A"))],
            vec![(OFFSET, Some("1"))],
            vec![(PASSED, Some("A,C")), (OFFSET, Some("1"))],
            vec![(PASSED, Some("A")), (OFFSET, Some("-1"))],
            vec![(PASSED, Some("A")), (OFFSET, Some("1e3"))],
            vec![(PASSED, Some("A")), (OFFSET, None)],
        ] {
            assert_eq!(
                clusters.copied_offset(&record(9, &headers)),
                None,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn an_id_that_cannot_stand_in_the_list_is_refused_and_named() {
        for bad in ["", "a,b", "a b", "ü", &"x".repeat(129)] {
            let error = cluster_id("host:1", Some(bad.to_owned())).unwrap_err();
            assert!(error.to_string().contains("`host:1`"), "{error}");
        }
        assert!(cluster_id("host:1", None).is_err());
        assert_eq!(
            cluster_id("host:1", Some("4L6g3nShT-eMCtK--X86sw".into())).unwrap(),
            "4L6g3nShT-eMCtK--X86sw"
        );
    }
}
