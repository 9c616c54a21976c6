//! Severity, in OpenTelemetry's numbers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::LevelError;

/// The six levels; each is the first severity number of its OpenTelemetry range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Trace = 1,
    Debug = 5,
    Info = 9,
    Warn = 13,
    Error = 17,
    Fatal = 21,
}

impl Level {
    pub const ALL: [Level; 6] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// OpenTelemetry's severity number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The level of an OpenTelemetry severity number; 0 means that none was given.
    pub fn from_number(number: i64) -> Option<Level> {
        match number {
            1..=4 => Some(Level::Trace),
            5..=8 => Some(Level::Debug),
            9..=12 => Some(Level::Info),
            13..=16 => Some(Level::Warn),
            17..=20 => Some(Level::Error),
            21..=24 => Some(Level::Fatal),
            _ => None,
        }
    }

    /// The level of a syslog severity. Critical, alert and emergency are all fatal here, as their
    /// words are.
    pub fn from_syslog(severity: u8) -> Option<Level> {
        match severity {
            0..=2 => Some(Level::Fatal),
            3 => Some(Level::Error),
            4 => Some(Level::Warn),
            5 | 6 => Some(Level::Info),
            7 => Some(Level::Debug),
            _ => None,
        }
    }

    /// The level that a word names, in any case. Only for words known to stand where a level stands.
    pub(crate) fn from_word(word: &[u8]) -> Option<Level> {
        // The longest is `informational`; lower-casing a copy on the stack keeps this off the heap.
        let mut lower = [0; 13];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"trc" | b"finest" | b"verbose" | b"silly" => Level::Trace,
            b"debug" | b"dbg" | b"finer" | b"fine" | b"config" => Level::Debug,
            b"info" | b"inf" | b"information" | b"informational" | b"notice" | b"log" => {
                Level::Info
            }
            b"warn" | b"warning" | b"wrn" => Level::Warn,
            b"error" | b"err" | b"severe" | b"eror" => Level::Error,
            b"fatal" | b"ftl" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency"
            | b"panic" | b"dpanic" | b"failure" => Level::Fatal,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(word: &str) -> Result<Level, LevelError> {
        Level::from_word(word.as_bytes()).ok_or_else(|| LevelError(word.chars().take(64).collect()))
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_order_and_survive_text_and_number() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(level.as_str().parse::<Level>().unwrap(), level);
            assert_eq!(Level::from_number(i64::from(level.number())), Some(level));
        }
    }

    #[test]
    fn synonyms_name_their_level_in_any_case() {
        let cases = [
            ("WARNING", Level::Warn),
            ("Severe", Level::Error),
            ("CRIT", Level::Fatal),
            ("notice", Level::Info),
            ("Informational", Level::Info),
        ];
        for (word, level) in cases {
            assert_eq!(word.parse::<Level>().unwrap(), level, "{word}");
        }
        assert!("".parse::<Level>().is_err());
        assert!("informationally".parse::<Level>().is_err());
        assert!("high".parse::<Level>().is_err());
    }
}
