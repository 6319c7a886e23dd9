//! One instance at a time: a pid file under an exclusive lock, as pidfile(3) does it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::exit::{self, Failure};

/// A locked pid file; removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    _lock: Flock<File>,
}

/// Why a pid file was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Another instance holds the lock.
    #[error("already running as process {pid} ({path}); stop it first", path = path.display())]
    Running {
        /// What the file says; 0 when it says nothing readable.
        pid: u32,
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("pid file {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<PidFileError> for Failure {
    fn from(error: PidFileError) -> Self {
        let code = match error {
            PidFileError::Running { .. } => exit::TEMPORARY,
            PidFileError::Io { .. } => exit::CANT_CREATE,
        };
        Self::new(code, error)
    }
}

impl PidFile {
    /// Creates and locks `path` and writes this process's id into it.
    ///
    /// # Errors
    /// [`PidFileError::Running`] when another process holds it.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let io_error = |source| PidFileError::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(io_error)?;
        let mut lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(mut file, errno)| {
                if errno != nix::errno::Errno::EWOULDBLOCK {
                    return io_error(errno.into());
                }
                let mut text = String::new();
                let pid = match file.read_to_string(&mut text) {
                    Ok(_) => text.trim().parse().unwrap_or(0),
                    Err(_) => 0,
                };
                PidFileError::Running {
                    pid,
                    path: path.to_owned(),
                }
            })?;
        lock.set_len(0).map_err(io_error)?;
        writeln!(lock, "{}", std::process::id()).map_err(io_error)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }
}

/// The process that holds `path`; none when nobody does.
#[must_use]
pub fn holder(path: &Path) -> Option<u32> {
    let file = File::open(path).ok()?;
    // Taken for an instant only, when nobody holds it.
    let (mut file, _) = Flock::lock(file, FlockArg::LockSharedNonblock).err()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

/// Sends TERM to the process that [`holder`] named.
///
/// # Errors
/// What the system says; that it is gone already is none.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    match kill(Pid::from_raw(pid), Signal::SIGTERM) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Gone already is as good as removed.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        assert_eq!(holder(&path), None);
        let held = PidFile::create(&path).unwrap();
        assert_eq!(holder(&path), Some(std::process::id()));
        drop(held);
        std::fs::write(&path, "12345\n").unwrap();
        assert_eq!(holder(&path), None, "what a dead process left");
    }

    #[test]
    fn a_second_instance_is_refused_by_pid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pid");
        let first = PidFile::create(&path).unwrap();
        match PidFile::create(&path) {
            Err(PidFileError::Running { pid, .. }) => assert_eq!(pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(!path.exists());
        PidFile::create(&path).unwrap();
    }
}
