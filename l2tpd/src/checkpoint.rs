//! The file that outlives the process: [`State`] as JSON in the runtime folder, mode 0600.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tanuki_daemon::checkpoint::Checkpoints;

use crate::server::State;

const NAME: &str = "tunnels";
/// Another version is another process's business: its nodes are removed, its clients come again.
const VERSION: u32 = 3;

#[derive(Debug, Serialize, Deserialize)]
struct File<S> {
    version: u32,
    /// Seconds since 1970 when it was written: sessions go on ageing while no process runs.
    saved: u64,
    state: S,
}

/// Where the state is kept.
#[derive(Debug, Clone)]
pub struct Store {
    checkpoints: Checkpoints,
}

impl Store {
    /// Opens `state` below the daemon's runtime folder.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            checkpoints: Checkpoints::open(&folder.join("state"))?,
        })
    }

    /// Writes the state, whole or not at all.
    ///
    /// # Errors
    /// What the file system says; the former state then stays.
    pub fn save(&self, state: &State) -> io::Result<()> {
        self.checkpoints.save(
            NAME,
            &File {
                version: VERSION,
                saved: unix_time(),
                state,
            },
        )
    }

    /// The saved state; nothing saved is an empty one.
    ///
    /// # Errors
    /// `InvalidData` when it is damaged or of another version.
    pub fn load(&self) -> io::Result<State> {
        match self.checkpoints.load::<File<State>>(NAME)? {
            None => Ok(State::default()),
            Some(mut file) if file.version == VERSION => {
                file.state.age(unix_time().saturating_sub(file.saved));
                Ok(file.state)
            }
            Some(file) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("version {} of the state, not {VERSION}", file.version),
            )),
        }
    }

    /// Forgets the state.
    ///
    /// # Errors
    /// What the file system says.
    pub fn clear(&self) -> io::Result<()> {
        self.checkpoints.remove(NAME)
    }
}

/// A clock before 1970 makes nothing older.
fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_an_empty_state_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.load().unwrap(), State::default());
        store.save(&State::default()).unwrap();
        assert_eq!(store.load().unwrap(), State::default());
        for damage in [
            "{",
            "[]",
            "{\"version\":9,\"state\":{\"tunnels\":[],\"sessions\":[]}}",
        ] {
            std::fs::write(folder.path().join("state/tunnels.json"), damage).unwrap();
            assert!(store.load().is_err(), "{damage}");
        }
        store.clear().unwrap();
        assert_eq!(store.load().unwrap(), State::default());
    }
}
