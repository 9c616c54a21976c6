//! The stored form of a group: a version byte, then postcard.
//!
//! A version that was once released is read for ever: an update must not end the alerts that fire. What is
//! written is always the latest.

use serde::{Deserialize, Serialize};

use super::damaged;
use crate::{
    Error,
    episode::{Episode, Phase},
    sample::Sample,
    sources::SourceRef,
    state::Group,
    values::Values,
    window::Window,
};

/// 1: counts of lines. 2: values beside them, and spans among what is quoted.
const VERSION: u8 = 2;

pub(crate) fn encode_group(group: &Group) -> Vec<u8> {
    postcard::to_extend(group, vec![VERSION]).expect("a group is plain data")
}

pub(super) fn decode_group(bytes: &[u8]) -> Result<Group, Error> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(damaged("rule_groups")),
        Some((1, rest)) => {
            let former: FormerGroup = postcard::from_bytes(rest).map_err(damaged("rule_groups"))?;
            Ok(former.into())
        }
        _ => Err(damaged("rule_groups")("unknown version")),
    }
}

/// A group of version 1.
#[derive(Serialize, Deserialize)]
struct FormerGroup {
    window: Window,
    episodes: Vec<FormerEpisode>,
    recent: Vec<(SourceRef, FormerSample)>,
    seen: i64,
}

#[derive(Serialize, Deserialize)]
struct FormerEpisode {
    start: i64,
    until: i64,
    phase: Phase,
    last_line: i64,
    lines: u64,
    seen: i64,
    sources: Vec<SourceRef>,
    samples: Vec<FormerSample>,
}

#[derive(Serialize, Deserialize)]
struct FormerSample {
    time: i64,
    topic: String,
    partition: i32,
    offset: i64,
    line: String,
    clamped: bool,
}

impl From<FormerGroup> for Group {
    fn from(former: FormerGroup) -> Group {
        let FormerGroup {
            window,
            episodes,
            recent,
            seen,
        } = former;
        Group {
            window,
            values: Values::default(),
            episodes: episodes.into_iter().map(Episode::from).collect(),
            recent: recent
                .into_iter()
                .map(|(source, sample)| (source, sample.into()))
                .collect(),
            seen,
        }
    }
}

impl From<FormerEpisode> for Episode {
    fn from(former: FormerEpisode) -> Episode {
        Episode {
            start: former.start,
            until: former.until,
            phase: former.phase,
            last_line: former.last_line,
            lines: former.lines,
            seen: former.seen,
            sources: former.sources,
            samples: former.samples.into_iter().map(Sample::from).collect(),
            tally: None,
        }
    }
}

impl From<FormerSample> for Sample {
    fn from(former: FormerSample) -> Sample {
        Sample {
            time: former.time,
            topic: former.topic,
            partition: former.partition,
            offset: former.offset,
            index: 0,
            line: former.line,
            clamped: former.clamped,
            trace_id: None,
            span: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 0.1 wrote it: two lines at 1700000000, one at 1700000003; an alert that fires.
    const FORMER: &str = "01028080d0e2c6bfce972f0280f8d28fddbfce972f010180f8d28fddbfce972f80e08ae785c3ce972f0180f8d28fddbfce972f0380a0a9c9e4bfce972f01effdb6f50d0180f8d28fddbfce972f046c6f67730252036261640001effdb6f50d80f8d28fddbfce972f046c6f67730252036261640080a0a9c9e4bfce972f";

    #[test]
    fn a_group_of_the_first_version_goes_on_where_it_stood() {
        let bytes: Vec<u8> = (0..FORMER.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&FORMER[at..at + 2], 16).unwrap())
            .collect();
        let group = decode_group(&bytes).unwrap();
        assert_eq!((group.window.len(), group.is_open()), (2, true));
        let episode = &group.episodes[0];
        assert_eq!(
            (episode.start, episode.until, episode.lines, episode.tally),
            (
                1_700_000_003_000_000_000,
                1_700_000_060_000_000_000,
                3,
                None
            )
        );
        assert_eq!(episode.samples[0].line, "bad");
        assert_eq!(group.recent.len(), 1);
        let again = encode_group(&group);
        assert_eq!(again[0], VERSION);
        assert_eq!(decode_group(&again).unwrap(), group);
    }

    #[test]
    fn a_group_of_a_version_to_come_is_not_guessed_at() {
        for bytes in [&[][..], &[3, 0, 0, 0]] {
            let shown = decode_group(bytes).unwrap_err().to_string();
            assert!(shown.contains("unknown version"), "{shown}");
        }
    }
}
