//! State that survives a restart: one JSON file per thing, written whole or not at all, readable by
//! its owner only, because it may hold keys.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Octets written at a time: the whole of a busy server's state need not be in memory twice.
const BUFFER: usize = 64 * 1024;

/// A folder of saved things, each under a name of its own.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Opens (and makes, mode 0700) the folder.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Saves `value` under `name`, replacing what was there in one step.
    ///
    /// # Errors
    /// Whatever the file system says; the old content then stays.
    pub fn save<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let new = self.folder.join(format!("{name}.new"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        serde_json::to_writer(&mut file, value)?;
        file.flush()?;
        fs::rename(new, self.path(name))
    }

    /// What is saved under `name`.
    ///
    /// # Errors
    /// `InvalidData` when the file is not what a [`Self::save`] of this version wrote.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets `name`; not there is as good as forgotten.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The names of all that is saved, in no order.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "json")
                && let Some(stem) = path.file_stem().and_then(|s| s.to_str())
            {
                names.push(stem.to_owned());
            }
        }
        Ok(names)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn saved_is_found_again_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = Checkpoints::open(&folder.path().join("state")).unwrap();
        assert_eq!(store.load::<u32>("a").unwrap(), None);
        store.save("a", &7u32).unwrap();
        store.save("a", &8u32).unwrap();
        assert_eq!(store.load::<u32>("a").unwrap(), Some(8));
        assert_eq!(store.names().unwrap(), ["a"]);
        assert_eq!(
            fs::metadata(store.path("a")).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            store.load::<String>("a").unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        store.remove("a").unwrap();
        store.remove("a").unwrap();
        assert!(store.names().unwrap().is_empty());
    }
}
