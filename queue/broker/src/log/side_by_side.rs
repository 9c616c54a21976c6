//! The same work on many partitions at a time.
//!
//! Creating, opening and closing a partition takes a few syncs each. One after the other, thousands of partitions take
//! minutes, of which the disk is busy for seconds.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What `work` makes of each item, in their order, by up to `threads` threads. Blocking.
///
/// # Panics
/// If `work` does.
pub(super) fn each<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(item)));
        }
    };
    let mut outcomes: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    outcomes.sort_unstable_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_outcomes_keep_their_order() {
        let items: Vec<usize> = (0..1000).collect();
        for threads in [0, 1, 7, 2000] {
            let count = AtomicUsize::new(0);
            let outcomes = each(threads, &items, |item| {
                count.fetch_add(1, Ordering::Relaxed);
                item * 2
            });
            let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(
                (outcomes, count.into_inner()),
                (expected, 1000),
                "{threads} threads"
            );
        }
        assert_eq!(each(4, &[] as &[u8], |item| *item), [0; 0]);
    }
}
