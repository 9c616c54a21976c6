//! What can go wrong with a durable file, told apart by what the caller has to do about it.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller decides whether that is a first start or a loss.
    #[error("`{}` is not there", path.display())]
    NotFound { path: PathBuf },

    /// Retriable: nothing that was durable is touched, and the same call works again once there is room.
    #[error("cannot {operation} `{}`: no space left on the disk: free some or move the data directory", path.display())]
    Full {
        operation: &'static str,
        path: PathBuf,
    },

    /// The kernel has dropped what was dirty. The file must not be trusted past its last good sync, and the
    /// sync must not be tried again as if nothing had happened: it would succeed without writing anything.
    #[error("sync of `{}` failed, what was written since the last sync may be lost: check the disk, then restart", path.display())]
    SyncFailed { path: PathBuf, source: io::Error },

    #[error("cannot {operation} `{}`", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    /// Bytes that had been synced are not what they were. Never repaired by guessing.
    #[error("`{}` is damaged at byte {offset}: {reason}: restore the file from a copy", path.display())]
    Damaged {
        path: PathBuf,
        offset: u64,
        reason: &'static str,
    },

    /// An earlier failure left this handle unusable; what was synced before is intact on disk.
    #[error("`{}` had failed before and takes no more writes: check the disk, then restart", path.display())]
    Failed { path: PathBuf },

    #[error("a record of {bytes} bytes does not go into `{}`: the limit is {bytes_max}", path.display())]
    TooLarge {
        path: PathBuf,
        bytes: usize,
        bytes_max: usize,
    },

    #[error("`{}` is in use by {holder}: stop that process, or give this one another directory", path.display())]
    Locked { path: PathBuf, holder: String },
}

impl Error {
    /// Sorts an error of the operating system into the classes above.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Error {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotFound { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::Full { operation, path }
            }
            _ => Error::Io {
                operation,
                path,
                source,
            },
        }
    }

    /// Whether waiting for space is all that is needed.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Full { .. })
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::NotFound { .. })
    }
}
