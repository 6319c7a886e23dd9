//! Files that count from when they are written, without a reload.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Notices that a file was written or replaced.
#[derive(Debug)]
pub struct Watch {
    file: PathBuf,
    seen: Option<Stamp>,
}

/// What of a file changes when it is written, replaced, or gets other permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of a file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Watch {
    /// Watches `file`, which counts as changed at first.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            seen: None,
        }
    }

    /// Whether the file changed since the last question. A file that went away has not changed:
    /// an editor may be replacing it right now.
    ///
    /// # Errors
    /// When the file system has no answer, other than that the file is not there.
    pub fn changed(&mut self) -> io::Result<bool> {
        let now = match std::fs::metadata(&self.file) {
            Ok(metadata) => Stamp::of(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let changed = self.seen != Some(now);
        self.seen = Some(now);
        Ok(changed)
    }

    /// Whether others than the owner may read the file.
    #[must_use]
    pub fn is_open_to_others(&self) -> bool {
        std::fs::metadata(&self.file).is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_written_or_replaced_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        let mut watch = Watch::new(&path);
        assert!(!watch.changed().unwrap());
        std::fs::write(&path, "a").unwrap();
        assert!(watch.changed().unwrap());
        assert!(!watch.changed().unwrap());
        let other = folder.path().join("other");
        std::fs::write(&other, "b").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(watch.changed().unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!watch.changed().unwrap());
    }
}
