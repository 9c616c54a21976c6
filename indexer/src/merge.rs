//! Small splits of one day become bigger ones, with a bounded number of rewrites per line.
//!
//! A publish makes a split of generation 0. Eight splits of one day and generation become one of the
//! next, up to generation 4 or the size cap: a line is rewritten four times at most. Merges
//! go by arrival order (ids are time-ordered), touch no checkpoint, and replace their inputs in
//! one transaction; the inputs' files stay for the grace.

use std::{collections::BTreeMap, sync::Arc};

use ulid::Ulid;

use crate::{
    catalog::{OpenSplit, Snapshot},
    error::{Error, Inconsistency},
    hot::Extent,
    limits, metrics,
    publish::{Draft, Publisher, Step, now_ms},
    recover,
    tables::{self, SplitMeta},
};

/// The splits to merge next, if any: always of one day and one generation.
pub(crate) fn plan(splits: &[SplitMeta]) -> Option<Vec<Ulid>> {
    let mut groups: BTreeMap<(u32, i64), Vec<&SplitMeta>> = BTreeMap::new();
    for split in splits.iter().filter(|split| !is_mature(split)) {
        groups
            .entry((split.generation, split.day))
            .or_default()
            .push(split);
    }
    // Low generations first: they are the many.
    groups.into_values().find_map(|mut group| {
        group.sort_by_key(|split| split.id);
        let (mut raw_bytes, mut docs) = (0, 0);
        let fitting = group.iter().take_while(|split| {
            raw_bytes += split.raw_bytes;
            docs += split.docs;
            raw_bytes <= limits::MERGED_RAW_BYTES_MAX && docs <= limits::MERGED_DOCS_MAX
        });
        let ids: Vec<Ulid> = fitting
            .take(limits::MERGE_FACTOR)
            .map(|split| split.id)
            .collect();
        // A group that reaches the size cap with fewer splits is worth a merge, too.
        let is_worth_it = ids.len() == limits::MERGE_FACTOR
            || (ids.len() >= 2 && group.len() >= limits::MERGE_FACTOR);
        is_worth_it.then_some(ids)
    })
}

fn is_mature(split: &SplitMeta) -> bool {
    split.generation >= limits::MERGE_GENERATIONS_MAX
        || split.raw_bytes >= limits::MERGED_RAW_BYTES_MAX / 2
        || split.docs >= limits::MERGED_DOCS_MAX / 2
}

/// Does the next merge, if there is one to do. Says whether it did.
pub(crate) async fn merge_once(publisher: &Publisher, snapshot: &Snapshot) -> Result<bool, Error> {
    let metas: Vec<SplitMeta> = snapshot
        .splits
        .iter()
        .map(|split| split.meta.clone())
        .collect();
    let Some(inputs) = plan(&metas) else {
        return Ok(false);
    };
    let splits: Vec<&OpenSplit> = snapshot
        .splits
        .iter()
        .filter(|split| inputs.contains(&split.id))
        .map(|split| &**split)
        .collect();
    let draft = draft(&splits);
    let id = draft.id;
    publisher.stage(&[id]).await?;
    let searchers = splits.iter().map(|split| split.searcher.clone()).collect();
    let merged = match publisher.write(draft, searchers).await {
        Ok(merged) => merged,
        Err(error) => return Err(give_up(publisher, id, error).await),
    };
    if let Err(error) = replace(publisher, &inputs, &merged).await {
        if !is_replaced(publisher, id).await? {
            return Err(give_up(publisher, id, error).await);
        }
        tracing::warn!(%error, "the metastore's answer to a merge was lost; it did replace");
    }
    publisher.passed(Step::Committed)?;
    publisher.catalog.replace(&inputs, merged);
    ::metrics::counter!(metrics::MERGES, "index" => Arc::clone(&publisher.index)).increment(1);
    Ok(true)
}

/// Takes back what a failed merge has written: on a full disk every try would fill what was freed.
/// What cannot be taken back now is removed by the next start.
async fn give_up(publisher: &Publisher, id: Ulid, error: Error) -> Error {
    let splits_dir = publisher.splits_dir.clone();
    let removed = tokio::task::spawn_blocking(move || recover::remove(&splits_dir, id)).await;
    let forgotten = match removed {
        Ok(Ok(())) => tables::forget(&publisher.database, &[id]).await,
        _ => Ok(()),
    };
    if let Err(error) = forgotten {
        tracing::debug!(%error, split = %id, "the row of a failed merge stays until the next start");
    }
    error
}

async fn replace(publisher: &Publisher, inputs: &[Ulid], merged: &OpenSplit) -> Result<(), Error> {
    let mut write = tables::begin_as_owner(&publisher.database, publisher.epoch).await?;
    tables::publish(&mut write, &merged.meta).await?;
    let replaced = tables::mark(&mut write, inputs, now_ms()).await?;
    if replaced != inputs.len() as u64 {
        return Err(Inconsistency::MergeInputs.into());
    }
    write.commit().await?;
    publisher.passed(Step::AnswerLost)
}

/// Whether the merge was committed. Asks until it knows: the catalog must not go on with inputs that
/// are replaced.
async fn is_replaced(publisher: &Publisher, id: Ulid) -> Result<bool, Error> {
    loop {
        match tables::is_published(&publisher.database, id).await {
            Err(error) if error.is_retriable() => {
                let pause = tokio::time::sleep(limits::RETRY_PAUSE_MIN);
                if publisher.abort.run_until_cancelled(pause).await.is_none() {
                    return Err(error);
                }
            }
            outcome => return outcome,
        }
    }
}

fn draft(inputs: &[&OpenSplit]) -> Draft {
    let metas = || inputs.iter().map(|split| &split.meta);
    let first = &inputs.first().expect("a merge has inputs").meta;
    Draft {
        id: Ulid::generate(),
        day: first.day,
        generation: first.generation + 1,
        extent: Extent {
            docs: metas().map(|meta| meta.docs).sum(),
            raw_bytes: metas().map(|meta| meta.raw_bytes).sum(),
            arrival_max_ms: metas()
                .map(|meta| meta.arrival_max_ms)
                .fold(i64::MIN, i64::max),
            time_min_ns: metas()
                .map(|meta| meta.time_min_ns)
                .fold(i64::MAX, i64::min),
            time_max_ns: metas()
                .map(|meta| meta.time_max_ns)
                .fold(i64::MIN, i64::max),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(at: u64, day: i64, generation: u32, raw_bytes: u64) -> SplitMeta {
        SplitMeta {
            id: Ulid::from_parts(at, 0),
            index: "logs".into(),
            format: 1,
            day,
            docs: 10,
            raw_bytes,
            file_bytes: 1,
            generation,
            arrival_max_ms: 0,
            time_min_ns: 0,
            time_max_ns: 0,
        }
    }

    /// Publishes `publishes` splits of one day and merges after each as long as there is work.
    fn run(publishes: u64, raw_bytes: u64) -> (Vec<SplitMeta>, u64) {
        let (mut splits, mut rewritten) = (Vec::new(), 0);
        for at in 0..publishes {
            splits.push(split(at * 10, 1, 0, raw_bytes));
            while let Some(inputs) = plan(&splits) {
                let (merged, rest): (Vec<_>, Vec<_>) = splits
                    .into_iter()
                    .partition(|split| inputs.contains(&split.id));
                let bytes = merged.iter().map(|split| split.raw_bytes).sum();
                rewritten += bytes;
                splits = rest;
                splits.push(split(
                    at * 10 + u64::from(merged[0].generation) + 1,
                    1,
                    merged[0].generation + 1,
                    bytes,
                ));
            }
        }
        (splits, rewritten)
    }

    #[test]
    fn a_day_of_small_publishes_ends_as_few_splits_and_rewrites_each_line_at_most_four_times() {
        let publishes = 24 * 3600 / 30;
        let (splits, rewritten) = run(publishes, 1 << 16);
        assert!(splits.len() <= 7 * 4 + 1, "{}", splits.len());
        assert!(rewritten <= 4 * publishes * (1 << 16));
        assert_eq!(
            splits.iter().map(|split| split.raw_bytes).sum::<u64>(),
            publishes << 16
        );
    }

    #[test]
    fn full_publishes_are_merged_once_and_never_beyond_the_cap() {
        let (splits, rewritten) = run(64, 64 << 20);
        assert!(
            splits
                .iter()
                .all(|split| split.raw_bytes <= limits::MERGED_RAW_BYTES_MAX)
        );
        assert_eq!(splits.len(), 8);
        assert_eq!(rewritten, 64 * (64 << 20));
    }

    #[test]
    fn days_and_generations_are_not_mixed() {
        let mut splits: Vec<_> = (0..7).map(|at| split(at, 1, 0, 1)).collect();
        splits.push(split(7, 2, 0, 1));
        splits.push(split(8, 1, 1, 1));
        assert_eq!(plan(&splits), None);
        splits.push(split(9, 1, 0, 1));
        let ids = plan(&splits).unwrap();
        assert_eq!(ids.len(), 8);
        assert!(!ids.contains(&Ulid::from_parts(7, 0)) && !ids.contains(&Ulid::from_parts(8, 0)));
    }
}
