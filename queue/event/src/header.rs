//! The `lb.*` headers: how an agent says where a record came from.
//!
//! | header | value |
//! |---|---|
//! | `lb.src` | 32 hex digits |
//! | `lb.prev`, `lb.off`, `lb.end` | decimal; prev ≤ off ≤ end |
//! | `lb.host`, `lb.path` | text |
//! | `lb.service`, `lb.tz` | text, optional |
//! | `lb.format` | see [`Format`]; `auto` when absent |
//! | `lb.flags` | comma list of `truncated`, `continues`; unknown ones are ignored |
//! | `lb.len` | decimal, with `truncated` only |
//!
//! The position headers carry the exactly-once promise, so one that cannot be read is an error. A format
//! that cannot be used (a newer agent's) must not cost that promise: it is read as `auto` and counted.

use std::{collections::HashMap, sync::Arc};

use crate::{
    error::OriginError,
    format::Format,
    hex,
    limits::{CONTEXT_CACHE_BYTES_MAX, FORMATS_MAX, HEADER_BYTES_MAX},
    record::{Context, Origin},
    source::SourceId,
};

const SOURCE: &str = "lb.src";
const PREV: &str = "lb.prev";
const OFFSET: &str = "lb.off";
const END: &str = "lb.end";
const HOST: &str = "lb.host";
const PATH: &str = "lb.path";
const SERVICE: &str = "lb.service";
const FORMAT: &str = "lb.format";
const ZONE: &str = "lb.tz";
const FLAGS: &str = "lb.flags";
const LENGTH: &str = "lb.len";

const TRUNCATED: &str = "truncated";
const CONTINUES: &str = "continues";

impl Origin {
    /// The headers that [`origin_from_headers`] turns back into this origin.
    pub fn to_headers(&self) -> Vec<(&'static str, Vec<u8>)> {
        let context = &*self.context;
        let decimal = |number: u64| number.to_string().into_bytes();
        let mut headers = vec![
            (SOURCE, self.source.to_string().into_bytes()),
            (PREV, decimal(self.prev)),
            (OFFSET, decimal(self.offset)),
            (END, decimal(self.end)),
            (HOST, context.host.clone().into_bytes()),
            (PATH, context.path.clone().into_bytes()),
            (FORMAT, context.format.to_string().into_bytes()),
        ];
        if let Some(service) = &context.service {
            headers.push((SERVICE, service.clone().into_bytes()));
        }
        if let Some(zone) = &context.timezone {
            headers.push((ZONE, zone.clone().into_bytes()));
        }
        let flags = match (self.true_len.is_some(), self.continues) {
            (true, true) => "truncated,continues",
            (true, false) => TRUNCATED,
            (false, true) => CONTINUES,
            (false, false) => "",
        };
        if !flags.is_empty() {
            headers.push((FLAGS, flags.as_bytes().to_vec()));
        }
        if let Some(true_len) = self.true_len {
            headers.push((LENGTH, decimal(true_len)));
        }
        headers
    }
}

/// The headers as they stand in the record; of a repeated one the first counts.
#[derive(Default)]
struct Headers<'a> {
    source: Option<&'a [u8]>,
    prev: Option<&'a [u8]>,
    offset: Option<&'a [u8]>,
    end: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    service: Option<&'a [u8]>,
    format: Option<&'a [u8]>,
    zone: Option<&'a [u8]>,
    flags: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
}

/// Reads the `lb.*` headers among a record's headers. `None` when there is no `lb.src`: the record
/// is not an agent's.
pub fn origin_from_headers<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    cache: &mut ContextCache,
) -> Result<Option<Origin>, OriginError> {
    let mut found = Headers::default();
    for (name, value) in headers {
        let (name, slot) = match name {
            SOURCE => (SOURCE, &mut found.source),
            PREV => (PREV, &mut found.prev),
            OFFSET => (OFFSET, &mut found.offset),
            END => (END, &mut found.end),
            HOST => (HOST, &mut found.host),
            PATH => (PATH, &mut found.path),
            SERVICE => (SERVICE, &mut found.service),
            FORMAT => (FORMAT, &mut found.format),
            ZONE => (ZONE, &mut found.zone),
            FLAGS => (FLAGS, &mut found.flags),
            LENGTH => (LENGTH, &mut found.length),
            _ => continue,
        };
        if value.len() > HEADER_BYTES_MAX {
            return Err(OriginError::TooLong(name, value.len()));
        }
        if slot.is_none() {
            *slot = Some(value);
        }
    }
    let Some(source) = found.source else {
        return Ok(None);
    };
    let source = hex::decode(source)
        .map(SourceId)
        .ok_or(OriginError::Malformed(SOURCE))?;
    let (prev, offset, end) = (
        decimal(PREV, found.prev)?,
        decimal(OFFSET, found.offset)?,
        decimal(END, found.end)?,
    );
    if prev > offset || offset > end {
        return Err(OriginError::Range { prev, offset, end });
    }
    let flags = found.flags.unwrap_or_default();
    let has = |flag: &str| {
        flags
            .split(|&byte| byte == b',')
            .any(|found| found == flag.as_bytes())
    };
    let true_len = match has(TRUNCATED) {
        true => Some(decimal(LENGTH, found.length)?),
        false => None,
    };
    Ok(Some(Origin {
        source,
        prev,
        offset,
        end,
        continues: has(CONTINUES),
        true_len,
        context: cache.intern(&found)?,
    }))
}

/// Digits only: `str::parse` would also take a plus sign.
fn decimal(name: &'static str, value: Option<&[u8]>) -> Result<u64, OriginError> {
    let value = value.ok_or(OriginError::Missing(name))?;
    if value.is_empty() {
        return Err(OriginError::Malformed(name));
    }
    value
        .iter()
        .try_fold(0u64, |number, byte| match byte {
            b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
            _ => None,
        })
        .ok_or(OriginError::Malformed(name))
}

/// Shares the contexts of a consumer's records: thousands of records a second have the same few.
///
/// Bounded by weight; a full cache is emptied rather than aged, because it fills again within as many
/// records as there are sources.
#[derive(Debug, Default)]
pub struct ContextCache {
    contexts: HashMap<Box<[u8]>, Arc<Context>>,
    contexts_bytes: usize,
    /// Apart from the contexts, so that a thousand files share one compiled regex.
    formats: HashMap<Box<[u8]>, Format>,
    formats_refused: u64,
    /// Reused to build the key to look up.
    key: Vec<u8>,
}

impl ContextCache {
    pub fn new() -> ContextCache {
        ContextCache::default()
    }

    /// How many contexts named a format that this version cannot use, and are read as `auto`.
    pub fn formats_refused(&self) -> u64 {
        self.formats_refused
    }

    fn intern(&mut self, headers: &Headers<'_>) -> Result<Arc<Context>, OriginError> {
        let host = headers.host.ok_or(OriginError::Missing(HOST))?;
        let path = headers.path.ok_or(OriginError::Missing(PATH))?;
        self.key.clear();
        for part in [
            Some(host),
            Some(path),
            headers.service,
            headers.format,
            headers.zone,
        ] {
            // Absent and empty differ, and no two lists of parts share a key.
            let length = part.map_or(0, |part| part.len() as u32 + 1);
            self.key.extend_from_slice(&length.to_le_bytes());
            self.key.extend_from_slice(part.unwrap_or_default());
        }
        if let Some(context) = self.contexts.get(&*self.key) {
            return Ok(Arc::clone(context));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let context = Arc::new(Context {
            host: text(host),
            path: text(path),
            service: headers.service.map(text),
            format: self.format(headers.format.unwrap_or(b"auto")),
            timezone: headers.zone.map(text),
        });
        // Key, value and what the two maps and allocations add.
        let weight = 2 * self.key.len() + 256;
        if self.contexts_bytes + weight > CONTEXT_CACHE_BYTES_MAX {
            self.contexts.clear();
            self.contexts_bytes = 0;
        }
        self.contexts_bytes += weight;
        self.contexts
            .insert(self.key.clone().into_boxed_slice(), Arc::clone(&context));
        Ok(context)
    }

    fn format(&mut self, text: &[u8]) -> Format {
        if let Some(format) = self.formats.get(text) {
            return format.clone();
        }
        let parsed = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok());
        let format = parsed.unwrap_or_else(|| {
            self.formats_refused += 1;
            Format::Auto
        });
        if self.formats.len() >= FORMATS_MAX {
            self.formats.clear();
        }
        self.formats.insert(text.into(), format.clone());
        format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            source: SourceId([7; 16]),
            prev: 10,
            offset: 12,
            end: 20,
            continues: true,
            true_len: Some(1 << 40),
            context: Arc::new(Context {
                host: "web-1".into(),
                path: "/var/log/日志.log".into(),
                service: Some("".into()),
                format: "regex:(?<body>.*)".parse().unwrap(),
                timezone: Some("Europe/Berlin".into()),
            }),
        }
    }

    fn decode(headers: &[(&str, Vec<u8>)]) -> Result<Option<Origin>, OriginError> {
        let headers = headers.iter().map(|(name, value)| (*name, &**value));
        origin_from_headers(headers, &mut ContextCache::new())
    }

    #[test]
    fn an_origin_survives_its_headers() {
        assert_eq!(decode(&origin().to_headers()).unwrap().unwrap(), origin());
    }

    #[test]
    fn a_record_without_source_is_not_an_agents() {
        assert_eq!(
            decode(&[("lb.host", b"x".to_vec()), ("traceparent", vec![])]),
            Ok(None)
        );
    }

    #[test]
    fn a_position_that_cannot_be_read_is_an_error() {
        let change = |name: &str, value: Option<&str>| {
            let mut headers = origin().to_headers();
            headers.retain(|(found, _)| *found != name);
            headers.extend(value.map(|value| {
                let (name, _) = origin()
                    .to_headers()
                    .into_iter()
                    .find(|(found, _)| *found == name)
                    .unwrap();
                (name, value.as_bytes().to_vec())
            }));
            decode(&headers)
        };
        assert_eq!(change(PREV, None), Err(OriginError::Missing(PREV)));
        assert_eq!(change(LENGTH, None), Err(OriginError::Missing(LENGTH)));
        for bad in ["", "+1", "-1", "1 ", "18446744073709551616"] {
            assert_eq!(
                change(OFFSET, Some(bad)),
                Err(OriginError::Malformed(OFFSET)),
                "{bad}"
            );
        }
        assert_eq!(
            change(SOURCE, Some("07")),
            Err(OriginError::Malformed(SOURCE))
        );
        let range = OriginError::Range {
            prev: 10,
            offset: 9,
            end: 20,
        };
        assert_eq!(change(OFFSET, Some("9")), Err(range));
        let long = "x".repeat(HEADER_BYTES_MAX + 1);
        assert_eq!(
            change(PATH, Some(&long)),
            Err(OriginError::TooLong(PATH, long.len()))
        );
    }

    #[test]
    fn an_unusable_format_is_read_as_auto_and_counted() {
        let mut headers = origin().to_headers();
        headers.retain(|(name, _)| *name != FORMAT);
        headers.push((FORMAT, b"csv2".to_vec()));
        let mut cache = ContextCache::new();
        let origin = origin_from_headers(headers.iter().map(|(n, v)| (*n, &**v)), &mut cache);
        assert_eq!(origin.unwrap().unwrap().context.format, Format::Auto);
        assert_eq!(cache.formats_refused(), 1);
    }

    #[test]
    fn contexts_are_shared_and_the_cache_stays_bounded() {
        let mut cache = ContextCache::new();
        let mut decode = |path: &str| {
            let mut headers = origin().to_headers();
            headers.retain(|(name, _)| *name != PATH);
            headers.push((PATH, path.as_bytes().to_vec()));
            let headers = headers.iter().map(|(name, value)| (*name, &**value));
            let context = origin_from_headers(headers, &mut cache)
                .unwrap()
                .unwrap()
                .context;
            (context, cache.contexts_bytes)
        };
        assert!(Arc::ptr_eq(&decode("a").0, &decode("a").0));
        assert!(!Arc::ptr_eq(&decode("a").0, &decode("b").0));
        let long = "x".repeat(HEADER_BYTES_MAX - 8);
        for number in 0..2_000 {
            assert!(decode(&format!("{long}{number}")).1 <= CONTEXT_CACHE_BYTES_MAX);
        }
    }
}
