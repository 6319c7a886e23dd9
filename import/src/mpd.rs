//! mpd.conf and mpd.secret into `l2tpd.yaml` and `users.yaml`.

use std::path::Path;

use l2tpd::config::mpd;
use tanuki_daemon::config::Problems;

use crate::{Document, Import};

/// Reads `mpd.conf` and `mpd.secret` in `folder` and adds what they become to `import`.
///
/// # Errors
/// Every problem that stands in the way, with its place.
pub fn import(folder: &Path, import: &mut Import) -> Result<(), Problems> {
    let imported = mpd::import(&folder.join("mpd.conf"))?;
    import.documents.push(Document {
        name: "l2tpd.yaml",
        text: imported.config,
    });
    import.documents.extend(imported.users.map(|text| Document {
        name: "users.yaml",
        text,
    }));
    for why in imported.left {
        import.leave(why);
    }
    Ok(())
}
