//! racoon.conf, psk.txt and setkey(8) scripts into `ike-daemon.yaml`.

use std::path::{Path, PathBuf};

use tanuki_daemon::config::{Problem, Problems};

use crate::Import;

/// Reads the racoon.conf `file`, the files it names, and the setkey(8) scripts `policies`, and adds
/// what they become to `import`.
///
/// # Errors
/// Every problem that stands in the way, with its place.
pub fn import(file: &Path, _policies: &[PathBuf], _import: &mut Import) -> Result<(), Problems> {
    Err(Problems(vec![Problem {
        file: file.to_owned(),
        line: 0,
        column: 0,
        message: "racoon's files cannot be imported yet".to_owned(),
    }]))
}
