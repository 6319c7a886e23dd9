//! A log file that newsyslog(8) or logrotate(8) may take away at any time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Appends to the file of that name, whichever file that is at the moment: no signal needed.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // The daemon changes its working folder.
        let path = std::path::absolute(path)?;
        let file = append(&path)?;
        Ok(Self { path, file })
    }

    fn was_rotated(&self) -> bool {
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(named), Ok(open)) => identity(named) != identity(open),
            (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
            (_, Err(_)) => false,
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

impl Write for LogFile {
    /// One record a call.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if self.was_rotated() {
            // Until the new one can be opened, the old one is better than none.
            if let Ok(file) = append(&self.path) {
                self.file = file;
            }
        }
        self.file.write(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_is_followed_by_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::open(&path).unwrap();
        log.write_all(b"one\n").unwrap();
        fs::rename(&path, folder.path().join("log.0")).unwrap();
        log.write_all(b"two\n").unwrap();
        // newsyslog makes the new file itself.
        fs::rename(&path, folder.path().join("log.1")).unwrap();
        fs::write(&path, "turned over\n").unwrap();
        log.write_all(b"three\n").unwrap();
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("log.0"), "one\n");
        assert_eq!(read("log.1"), "two\n");
        assert_eq!(read("log"), "turned over\nthree\n");
    }
}
