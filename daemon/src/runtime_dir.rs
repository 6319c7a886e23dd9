//! The folder where sockets, pid files and state live (`/var/run/tanuki` unless told otherwise).
//! Each daemon has its own folder below it, which only its owner may enter.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::exit::{self, Failure};

/// Where the daemons meet when nothing else is said.
pub const DEFAULT: &str = "/var/run/tanuki";

/// Makes `base/daemon` with mode 0700 (and `base` with 0755) and returns its path.
///
/// # Errors
/// Whatever the file system says; also when the path exists and is no folder.
pub fn prepare(base: &Path, daemon: &str) -> Result<PathBuf, Failure> {
    make(base, daemon).map_err(|error| {
        let (code, remedy) = match error.kind() {
            io::ErrorKind::PermissionDenied => (exit::NO_PERMISSION, "; start as root"),
            _ => (exit::CANT_CREATE, ""),
        };
        Failure::new(code, format!("{}: {error}{remedy}", base.display()))
    })
}

fn make(base: &Path, daemon: &str) -> io::Result<PathBuf> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(base)?;
    let own = base.join(daemon);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&own)?;
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700))?;
    Ok(own)
}

/// The control socket of `daemon` below `base`.
pub fn control_socket(base: &Path, daemon: &str) -> PathBuf {
    base.join(daemon).join("control.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_folder_is_closed_to_others() {
        let base = tempfile::tempdir().unwrap();
        let own = prepare(&base.path().join("run"), "x").unwrap();
        assert_eq!(
            fs::metadata(&own).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(prepare(&base.path().join("run"), "x").unwrap(), own);
    }
}
