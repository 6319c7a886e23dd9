//! mpd.conf and mpd.secret into `l2tpd.yaml` and `users.yaml`.

use std::path::Path;

use tanuki_daemon::config::{Problem, Problems};

use crate::Import;

/// Reads `mpd.conf` and `mpd.secret` in `folder` and adds what they become to `import`.
///
/// # Errors
/// Every problem that stands in the way, with its place.
pub fn import(folder: &Path, _import: &mut Import) -> Result<(), Problems> {
    Err(Problems(vec![Problem {
        file: folder.join("mpd.conf"),
        line: 0,
        column: 0,
        message: "mpd's files cannot be imported yet".to_owned(),
    }]))
}
