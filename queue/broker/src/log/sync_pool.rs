//! Threads that sync several files at the same time.
//!
//! One after the other, every sync pays for a commit of the filesystem's journal; side by side they share it. See
//! the measurement in `README.md`.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use logboom_disk::{DiskFile, Error as DiskError};

type Job = (usize, Arc<dyn DiskFile>);
type Outcome = (usize, Result<(), DiskError>);

#[derive(Debug)]
pub(super) struct SyncPool {
    /// `None` once dropped, which ends the threads.
    jobs: Option<mpsc::Sender<Job>>,
    outcomes: mpsc::Receiver<Outcome>,
    threads: Vec<JoinHandle<()>>,
}

impl SyncPool {
    pub(super) fn start(threads: usize) -> std::io::Result<SyncPool> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (done, outcomes) = mpsc::channel();
        let inbox = Arc::new(Mutex::new(inbox));
        let threads = (0..threads)
            .map(|number| {
                let (inbox, done) = (inbox.clone(), done.clone());
                std::thread::Builder::new()
                    .name(format!("log-sync-{number}"))
                    .spawn(move || {
                        loop {
                            let job = inbox
                                .lock()
                                .expect("nobody panics while taking a job")
                                .recv();
                            let Ok((index, file)) = job else { return };
                            if done.send((index, file.sync_data())).is_err() {
                                return;
                            }
                        }
                    })
            })
            .collect::<std::io::Result<_>>()?;
        Ok(SyncPool {
            jobs: Some(jobs),
            outcomes,
            threads,
        })
    }

    /// Syncs all of `files` and returns when the last is done, outcomes in their order.
    pub(super) fn sync(&self, files: &[Arc<dyn DiskFile>]) -> Vec<Result<(), DiskError>> {
        // The caller's thread would only wait: one file is done at once.
        if let [file] = files {
            return vec![file.sync_data()];
        }
        let jobs = self.jobs.as_ref().expect("only drop takes it");
        for (index, file) in files.iter().enumerate() {
            jobs.send((index, file.clone()))
                .expect("the threads live as long as the pool");
        }
        let mut outcomes: Vec<Outcome> = (0..files.len())
            .map(|_| {
                self.outcomes
                    .recv()
                    .expect("the threads live as long as the pool")
            })
            .collect();
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

impl Drop for SyncPool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("sync thread panicked");
            }
        }
    }
}
