//! Whose content an unknown file holds.
//!
//! A file nobody has read yet may be new, or a copy of what was shipped: what copytruncate leaves, or
//! gzip, or an editor that saves by renaming. A copy continues its source, so that nothing of it is
//! shipped twice and what the source had not read is not lost. Three signs together make a copy: a
//! related name, the same head, the same bytes before the offset that the source has reached.
//!
//! While the original is still whole, a file that equals it is left alone: it is a copy whose original
//! is about to go, or to stay. While a file is shorter than what its source has shipped, it may be a
//! copy being written: it gets some time.

use std::collections::HashSet;

use logboom_client::SourceId;
use tracing::{debug, info};

use crate::checkpoint::Stage;
use crate::content::{Content, GZIP_MAGIC, Stat};
use crate::discover::Found;
use crate::error::Error;
use crate::identity::{Guard, Head, bytes_before};
use crate::limits::{COPY_WAIT, HEAD_BYTES, SMALL_COPY_WAIT};
use crate::sink::Sink;
use crate::tail::Tailer;
use crate::trail::Beginning;
use crate::{ReadFrom, metrics};

/// A file that may turn out to be a copy.
pub(crate) struct Pending {
    stat: Stat,
    /// When it was first seen like this.
    since_ms: u64,
    /// All of it stood in an original that was shipped up to there.
    shipped: bool,
}

impl Pending {
    fn new(stat: Stat, since_ms: u64) -> Pending {
        Pending {
            stat,
            since_ms,
            shipped: false,
        }
    }
}

enum Verdict {
    Fresh,
    /// `copied`: all of it was shipped as the beginning of that source.
    Wait {
        copied: Option<SourceId>,
    },
    Continues(SourceId),
}

impl<S: Sink> Tailer<S> {
    /// Finds or makes the source of a file that has none.
    pub(crate) fn claim(&mut self, found: &Found, now_ms: u64) -> Result<(), Error> {
        if found.stat.size == 0 {
            // Nothing to tell it by, and nothing to ship.
            return Ok(());
        }
        match self.judge(found, now_ms) {
            Ok(judged) => {
                self.complained.remove(&found.path);
                judged
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                self.complain(&found.path, &error);
                Ok(())
            }
        }
    }

    fn judge(&mut self, found: &Found, now_ms: u64) -> std::io::Result<Result<(), Error>> {
        let (mut content, seen) = Content::open(&found.path)?;
        let head = Head::read(&mut content)?;
        if seen.place != found.stat.place || head.0.is_empty() {
            // Replaced since the walk, or a compressed file without content so far.
            return Ok(Ok(()));
        }
        if GZIP_MAGIC.starts_with(&head.0) && head.0.len() < GZIP_MAGIC.len() {
            // The first bytes of a compressed file: no log begins like that and ends there.
            return Ok(Ok(()));
        }
        let place = (seen.place.dev, seen.place.ino);
        // Nobody logs into a compressed file: one that was written over is a copy of something else now.
        let verdict = if self.fresh.contains(&seen.place) && !content.is_gzip() {
            Verdict::Fresh
        } else {
            self.copy_of(&mut content, &head, found, &seen, now_ms)?
        };
        match verdict {
            Verdict::Wait { copied } => {
                let pending = self
                    .pending
                    .entry(place)
                    .or_insert(Pending::new(seen, now_ms));
                if pending.stat != seen {
                    *pending = Pending::new(seen, now_ms);
                }
                pending.shipped |= copied.is_some();
                let Some(id) = copied else {
                    return Ok(Ok(()));
                };
                return self.note_copy(id, &mut content);
            }
            Verdict::Continues(id) => {
                if let Err(error) = self.bind(id, found, &seen, now_ms) {
                    return Ok(Err(error));
                }
            }
            Verdict::Fresh => {
                // A first walk that was cut short is made again: what it had found has its source, what it
                // had not starts at its end, as it would have, and not with lines nobody asked for.
                let skip = !self.checkpoints.has_walked()
                    && self.config.tails[found.tail].read_from == ReadFrom::End;
                let start = if skip { content.len()?.bytes } else { 0 };
                let guard = Guard::read(&mut content, start)?.unwrap_or_default();
                match self.open_source(&found.path, seen.place, (start, guard), head) {
                    Ok(Some(id)) => self.queue(id),
                    Ok(None) => return Ok(Ok(())),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
        self.pending.remove(&place);
        self.fresh.remove(&seen.place);
        Ok(Ok(()))
    }

    /// Once all of a copy is acked, it is known for good, also under another name or compressed.
    fn note_copy(
        &mut self,
        id: SourceId,
        content: &mut Content,
    ) -> std::io::Result<Result<(), Error>> {
        let source = self.sources.get_mut(&id).expect("it was just compared");
        let end = content.len()?.bytes;
        if end > source.saved.acked {
            return Ok(Ok(()));
        }
        let Some(guard) = Guard::read(content, end)? else {
            return Ok(Ok(()));
        };
        Ok(self.checkpoints.copied(&mut source.saved, (end, guard)))
    }

    fn copy_of(
        &mut self,
        content: &mut Content,
        head: &Head,
        found: &Found,
        seen: &Stat,
        now_ms: u64,
    ) -> std::io::Result<Verdict> {
        let related = self.families.related(&found.path, Some(head));
        let similar: Vec<SourceId> = related
            .into_iter()
            .filter(|id| {
                let source = &self.sources[id];
                !source.saved.head.0.is_empty() && source.saved.head.agrees_with(head)
            })
            .collect();
        if similar.is_empty() {
            return Ok(Verdict::Fresh);
        }
        let length = content.len()?;
        let pending = self
            .pending
            .get(&(seen.place.dev, seen.place.ino))
            .filter(|pending| pending.stat == *seen);
        let quiet_ms = pending.map_or(0, |pending| now_ms.saturating_sub(pending.since_ms));
        let patience = if length.bytes < HEAD_BYTES as u64 {
            SMALL_COPY_WAIT
        } else {
            COPY_WAIT
        };
        let patient = quiet_ms < patience.as_millis() as u64;
        let was_shipped = pending.is_some_and(|pending| pending.shipped);

        let mut best: Option<(u64, SourceId)> = None;
        let (mut wait, mut copied) = (false, None);
        for id in similar {
            let whole = self.is_whole(id, now_ms)?;
            let source = self.sources.get_mut(&id).expect("it was just listed");
            let same_name = found.path == source.saved.first_path;
            let need = source.sent;
            if whole {
                // A new file where the original was before it was renamed is no copy.
                if same_name {
                    continue;
                }
                let original = source.content.as_mut().expect("it was just read");
                let original_length = original.len()?.bytes;
                let shared = length.bytes.min(original_length);
                let equal = bytes_before(content, shared)? == bytes_before(original, shared)?;
                let for_good = length.bytes >= HEAD_BYTES as u64 && length.bytes <= original_length;
                // An original that was deleted is read to its end first; then its copy goes on.
                let deleted = std::fs::symlink_metadata(&source.saved.path).is_err();
                wait |= equal && (for_good || patient || deleted);
                if equal && for_good && length.bytes <= need {
                    copied = copied.or(Some(id));
                }
            } else if length.bytes >= need {
                // A short file deleted and written anew under its name is more likely than one saved
                // by an editor: rather ship a few lines twice than not at all.
                let plausible = !same_name || need >= HEAD_BYTES as u64;
                // Nothing acked: the whole of the head that was seen must be there.
                let begins = head.0.len() >= source.saved.head.0.len().min(HEAD_BYTES);
                if plausible && begins && Guard::read(content, need)? == Some(source.sent_guard) {
                    best = best.max(Some((need, id)));
                }
            } else {
                // An old copy of an original that has gone on, or one being written. One that is not ours
                // is rather shipped twice than not at all: it has to be known, or to be likely next to an
                // original that was truncated just now, as copytruncate does, with lines written between.
                let heads_are_full =
                    head.0.len() == HEAD_BYTES && source.saved.head.0.len() == HEAD_BYTES;
                let made_before = heads_are_full
                    && match source.saved.trail.beginning(content, length.bytes)? {
                        Beginning::Known => true,
                        Beginning::Likely => matches!(source.saved.stage, Stage::Replaced { .. }),
                        Beginning::No => false,
                    };
                wait |= !same_name && (patient || was_shipped || made_before);
                if !same_name && made_before {
                    copied = copied.or(Some(id));
                }
            }
        }
        Ok(match best {
            Some((_, id)) => Verdict::Continues(id),
            None if wait || (!length.whole && patient) => Verdict::Wait { copied },
            None => Verdict::Fresh,
        })
    }

    /// Makes sure that the sources whose copy this may be still have their files. One whose file holds
    /// something else by now must give it up first: otherwise both the file and its copy would be new.
    /// Each is proven once a walk.
    pub(crate) fn prove_originals_of(
        &mut self,
        found: &Found,
        proven: &mut HashSet<SourceId>,
        now_ms: u64,
    ) -> Result<(), Error> {
        for id in self.families.related(&found.path, None) {
            if !self.sources[&id].is_bound() || !proven.insert(id) {
                continue;
            }
            // Trouble with the file is told when it is read.
            if !self.is_whole(id, now_ms).unwrap_or(true) && self.sources[&id].content.is_some() {
                let size = self.sources[&id].size;
                self.orphan(id, size, now_ms)?;
            }
        }
        Ok(())
    }

    /// Whether a source's file still holds all that was read of it. Finding that it does not ends the
    /// source's hold on it, here and now: a copy cannot wait for the next read of the original.
    fn is_whole(&mut self, id: SourceId, now_ms: u64) -> std::io::Result<bool> {
        if !self.sources[&id].is_bound() {
            return Ok(false);
        }
        if self.sources[&id].content.is_none() {
            self.close_least_recent();
        }
        let source = self.sources.get_mut(&id).expect("the caller has it");
        if source.content.is_none() {
            match Content::open(&source.saved.path) {
                Ok((content, seen)) if Some(seen.place) == source.saved.place => {
                    source.content = Some(content);
                    self.open.push(id);
                }
                // Gone or replaced: the walk has just looked for it everywhere.
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                // Trouble says nothing about the file; the copy is judged again at the next walk.
                Err(error) => return Err(error),
            }
        }
        let content = source.content.as_mut().expect("it was just opened");
        let whole = Head::read(content)?.0.starts_with(&source.saved.head.0)
            && Guard::read(content, source.sent)? == Some(source.sent_guard);
        if !whole {
            debug!(source = %id, now_ms, "the original of a copy is not whole any more");
            self.queue(id);
        }
        Ok(whole)
    }

    /// Lets a source go on in another file.
    fn bind(&mut self, id: SourceId, found: &Found, seen: &Stat, now_ms: u64) -> Result<(), Error> {
        if self.sources[&id].is_bound() {
            // Its own file turned out to hold something else.
            let size = self.sources[&id].size;
            self.orphan(id, size, now_ms)?;
        }
        let source = self.sources.get_mut(&id).expect("it was just there");
        info!(source = %id, path = %found.path.display(), was = %source.saved.path.display(), offset = source.sent,
            "file continues a known source");
        ::metrics::counter!(metrics::COPIES).increment(1);
        self.load[source.saved.partition as usize] += 1;
        self.families.rename(&source.saved, &found.path);
        source.saved.stage = Stage::Bound;
        source.saved.path = found.path.clone();
        source.saved.place = Some(seen.place);
        source.content = None;
        (source.listed, source.changed_ms, source.size) = (true, now_ms, source.sent);
        self.places.insert((seen.place.dev, seen.place.ino), id);
        self.paths.insert(found.path.clone(), id);
        // If this cannot be written, a restart comes to the same conclusion.
        self.checkpoints.save(&source.saved, false)?;
        self.queue(id);
        Ok(())
    }
}
