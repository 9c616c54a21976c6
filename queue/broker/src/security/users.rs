//! Users and what is kept of their passwords.
//!
//! One file, written by `logboom queue users` and read by the broker, in the form of [`crate::stored`]: replaced
//! atomically, with a checksum, as text. It holds SCRAM keys for both hashes and no password; who reads it can try
//! passwords against it at the price of `SCRAM_ITERATIONS` each, so it belongs to the queue's own account alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use logboom_disk::{DirLock, Disk};
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use super::scram::{Found, Hash, Keys};
use crate::error::Error;
use crate::limits::{
    PASSWORD_BYTES_MAX, SCRAM_ITERATIONS, SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN,
    SCRAM_SALT_BYTES, USER_NAME_BYTES_MAX, USERS_MAX,
};
use crate::stored;

const KIND: &str = "users";

/// The file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// Makes the salts of users that do not exist: the same for the same name at each try, after a restart too.
    decoy_key: String,
    users: BTreeMap<String, StoredUser>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredUser {
    sha_256: StoredKeys,
    sha_512: StoredKeys,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKeys {
    iterations: u32,
    salt: String,
    stored_key: String,
    server_key: String,
}

impl From<&Keys> for StoredKeys {
    fn from(keys: &Keys) -> StoredKeys {
        StoredKeys {
            iterations: keys.iterations,
            salt: BASE64.encode(&keys.salt),
            stored_key: BASE64.encode(&keys.stored_key),
            server_key: BASE64.encode(&keys.server_key),
        }
    }
}

impl StoredKeys {
    fn keys(&self, hash: Hash) -> Option<Keys> {
        let decode = |text: &str, bytes: usize| {
            let decoded = BASE64.decode(text).ok();
            decoded.filter(|decoded| decoded.len() == bytes)
        };
        let is_known = (SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(&self.iterations);
        is_known.then_some(())?;
        Some(Keys {
            iterations: self.iterations,
            salt: decode(&self.salt, SCRAM_SALT_BYTES)?,
            stored_key: decode(&self.stored_key, hash.bytes())?,
            server_key: decode(&self.server_key, hash.bytes())?,
        })
    }
}

/// A user's keys for both mechanisms.
#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    sha_256: Keys,
    sha_512: Keys,
}

impl User {
    fn new(password: &str) -> User {
        let keys = |hash| Keys::new(hash, password.as_bytes(), salt(), SCRAM_ITERATIONS);
        User {
            sha_256: keys(Hash::Sha256),
            sha_512: keys(Hash::Sha512),
        }
    }

    fn keys(&self, hash: Hash) -> &Keys {
        match hash {
            Hash::Sha256 => &self.sha_256,
            Hash::Sha512 => &self.sha_512,
        }
    }
}

fn salt() -> Vec<u8> {
    rand::random::<[u8; SCRAM_SALT_BYTES]>().to_vec()
}

/// Users by name, and how to make up those who are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    decoy_key: Vec<u8>,
    users: BTreeMap<String, User>,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            decoy_key: rand::random::<[u8; 32]>().to_vec(),
            users: BTreeMap::new(),
        }
    }
}

impl Table {
    fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Table>, Error> {
        let Some(stored) = stored::read::<Stored>(disk, path, KIND)? else {
            return Ok(None);
        };
        let damaged = |problem: String| Error::Damaged {
            path: path.to_owned(),
            problem,
        };
        let decoy_key = BASE64.decode(&stored.decoy_key);
        let decoy_key = decoy_key.map_err(|_| damaged("`decoy_key` is no base64".to_owned()))?;
        let mut users = BTreeMap::new();
        for (name, user) in stored.users {
            let (Some(sha_256), Some(sha_512)) = (
                user.sha_256.keys(Hash::Sha256),
                user.sha_512.keys(Hash::Sha512),
            ) else {
                return Err(damaged(format!("the keys of user `{name}` are none")));
            };
            users.insert(name, User { sha_256, sha_512 });
        }
        Ok(Some(Table { decoy_key, users }))
    }

    fn write(&self, disk: &dyn Disk, path: &Path) -> Result<(), Error> {
        let users = self.users.iter().map(|(name, user)| {
            let stored = StoredUser {
                sha_256: StoredKeys::from(&user.sha_256),
                sha_512: StoredKeys::from(&user.sha_512),
            };
            (name.clone(), stored)
        });
        let stored = Stored {
            decoy_key: BASE64.encode(&self.decoy_key),
            users: users.collect(),
        };
        stored::write(disk, path, KIND, &stored).map_err(|source| Error::DataDir {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    fn find(&self, name: &str, hash: Hash) -> Found {
        if let Some(user) = self.users.get(name) {
            return Found {
                keys: user.keys(hash).clone(),
                is_user: true,
            };
        }
        // Nobody knows a key whose hash is this; that it is none of a password costs no PBKDF2, which the client pays
        // for in SCRAM, and in PLAIN is paid for all the same.
        let made_up = |what: &str, bytes: usize| {
            let mut made_up = hash.mac(&self.decoy_key, format!("{what} {name}").as_bytes());
            made_up.truncate(bytes);
            made_up
        };
        Found {
            keys: Keys {
                iterations: SCRAM_ITERATIONS,
                salt: made_up("salt", SCRAM_SALT_BYTES),
                stored_key: made_up("stored", hash.bytes()),
                server_key: made_up("server", hash.bytes()),
            },
            is_user: false,
        }
    }
}

/// The users of a running broker.
pub(crate) struct Users {
    source: Option<(Arc<dyn Disk>, PathBuf)>,
    current: RwLock<Arc<Table>>,
    /// What the file's last failure was, told once.
    failed: Mutex<Option<String>>,
}

impl Users {
    /// Reads the file; without one there are no users yet.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf) -> Result<Users, Error> {
        let table = Table::read(&*disk, &path)?.unwrap_or_default();
        Ok(Users {
            source: Some((disk, path)),
            current: RwLock::new(Arc::new(table)),
            failed: Mutex::new(None),
        })
    }

    /// A single user that stands in no file.
    pub(crate) fn only(name: &str, password: &str) -> Users {
        let mut table = Table::default();
        table.users.insert(name.to_owned(), User::new(password));
        Users {
            source: None,
            current: RwLock::new(Arc::new(table)),
            failed: Mutex::new(None),
        }
    }

    pub(crate) fn find(&self, name: &str, hash: Hash) -> Found {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let table = current.clone();
        drop(current);
        table.find(name, hash)
    }

    /// Takes what is new in the file. Reads it, so it belongs on a blocking thread. A file that is gone takes all users
    /// with it; one that is damaged changes nothing.
    pub(crate) fn reload(&self) {
        let Some((disk, path)) = &self.source else {
            return;
        };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match Table::read(&**disk, path) {
            Ok(table) => {
                *failed = None;
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let users = table.as_ref().map_or(0, |table| table.users.len());
                let has_changed = match &table {
                    Some(table) => **current != *table,
                    None => !current.users.is_empty(),
                };
                if has_changed {
                    *current = Arc::new(table.unwrap_or_default());
                    info!(users, "users have changed");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if failed.as_ref() != Some(&error) {
                    error!(
                        error,
                        "users cannot be read: those from before may log in on"
                    );
                }
                *failed = Some(error);
            }
        }
    }
}

/// Why a user cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// The file cannot be locked, read or written.
    #[error(transparent)]
    File(#[from] Error),
    /// Somebody else is changing it.
    #[error(transparent)]
    Lock(#[from] logboom_disk::Error),
    /// Not a name for a user.
    #[error(
        "`{name}` is no name for a user: 1 to {USER_NAME_BYTES_MAX} bytes are allowed, without control characters"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// Not a password.
    #[error("a password has 1 to {PASSWORD_BYTES_MAX} bytes and no control characters")]
    Password,
    /// Nobody of that name.
    #[error("there is no user `{name}`")]
    Unknown {
        /// What was given.
        name: String,
    },
    /// Full.
    #[error("there are {USERS_MAX} users already, which is the most")]
    TooMany,
}

/// The file of users, for those who change it.
pub struct UsersFile<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
}

impl<'a> UsersFile<'a> {
    /// Nothing is read or made yet.
    pub fn new(disk: &'a dyn Disk, path: PathBuf) -> UsersFile<'a> {
        UsersFile { disk, path }
    }

    /// Adds a user, or gives one a new password; says whether it is new.
    pub fn add(&self, name: &str, password: &str) -> Result<bool, UsersError> {
        let plain = |text: &str, bytes_max: usize| {
            (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if !plain(name, USER_NAME_BYTES_MAX) {
            return Err(UsersError::Name {
                name: name.to_owned(),
            });
        }
        if !plain(password, PASSWORD_BYTES_MAX) {
            return Err(UsersError::Password);
        }
        self.change(|users| {
            if !users.contains_key(name) && users.len() >= USERS_MAX {
                return Err(UsersError::TooMany);
            }
            Ok(users.insert(name.to_owned(), User::new(password)).is_none())
        })
    }

    /// Removes a user. Connections that are logged in stay.
    pub fn remove(&self, name: &str) -> Result<(), UsersError> {
        self.change(|users| match users.remove(name) {
            Some(_) => Ok(()),
            None => Err(UsersError::Unknown {
                name: name.to_owned(),
            }),
        })
    }

    /// All names, in order.
    pub fn names(&self) -> Result<Vec<String>, UsersError> {
        let table = Table::read(self.disk, &self.path)?.unwrap_or_default();
        Ok(table.users.into_keys().collect())
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, User>) -> Result<T, UsersError>,
    ) -> Result<T, UsersError> {
        let mut lock = self.path.clone().into_os_string();
        lock.push(".lock");
        let _lock = DirLock::acquire(Path::new(&lock), "logboom queue users")?;
        let mut table = Table::read(self.disk, &self.path)?.unwrap_or_default();
        let changed = change(&mut table.users)?;
        table.write(self.disk, &self.path)?;
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use logboom_disk::RealDisk;

    use super::*;

    #[test]
    fn a_running_broker_takes_changes_and_keeps_its_users_when_the_file_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        let file = UsersFile::new(&RealDisk, path.clone());
        let users = Users::open(Arc::new(RealDisk), path.clone()).unwrap();
        let knows = |name: &str, password: &str| {
            users.reload();
            let found = users.find(name, Hash::Sha512);
            found.is_user && found.keys.are_of(Hash::Sha512, password.as_bytes())
        };
        assert!(!knows("a", "one"));
        assert!(file.add("a", "one").unwrap());
        assert!(knows("a", "one"));
        assert!(!file.add("a", "two").unwrap());
        assert!(!knows("a", "one") && knows("a", "two"));
        assert_eq!(file.names().unwrap(), ["a"]);

        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(knows("a", "two"), "a damaged file changes nothing");
        assert!(matches!(file.add("b", "x"), Err(UsersError::File(_))));
        std::fs::write(&path, &good).unwrap();

        file.remove("a").unwrap();
        assert!(!knows("a", "two"));
        assert!(matches!(file.remove("a"), Err(UsersError::Unknown { .. })));
    }

    #[test]
    fn who_does_not_exist_looks_the_same_at_every_try_and_like_who_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        UsersFile::new(&RealDisk, path.clone())
            .add("a", "x")
            .unwrap();
        let open = || Users::open(Arc::new(RealDisk), path.clone()).unwrap();
        let (before, after) = (open(), open());
        for hash in [Hash::Sha256, Hash::Sha512] {
            let known = before.find("a", hash).keys;
            let unknown = before.find("b", hash);
            assert!(!unknown.is_user);
            assert_eq!(unknown.keys, after.find("b", hash).keys, "after a restart");
            assert_ne!(unknown.keys.salt, before.find("c", hash).keys.salt);
            assert_eq!(unknown.keys.salt.len(), known.salt.len());
            assert_eq!(unknown.keys.iterations, known.iterations);
        }
    }

    #[test]
    fn names_and_passwords_have_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let file = UsersFile::new(&RealDisk, dir.path().join("users"));
        let long = "x".repeat(USER_NAME_BYTES_MAX + 1);
        for name in ["", "a\nb", "a\0b", &long] {
            assert!(
                matches!(file.add(name, "x"), Err(UsersError::Name { .. })),
                "{name:?}"
            );
        }
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        for password in ["", "a\n", &long] {
            assert!(
                matches!(file.add("a", password), Err(UsersError::Password)),
                "{password:?}"
            );
        }
        assert!(file.names().unwrap().is_empty());
    }
}
