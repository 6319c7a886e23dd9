//! racoon.conf, psk.txt and setkey(8) scripts into `ike-daemon.yaml`.

use std::path::{Path, PathBuf};

use ike_daemon::config::racoon;
use ike_daemon::config::write::{self, Secrets};
use tanuki_daemon::config::{Problem, Problems};

use crate::{Document, Import};

/// Reads the racoon.conf `file`, the files it names, and the setkey(8) scripts `policies`, and adds
/// what they become to `import`.
///
/// # Errors
/// Every problem that stands in the way, with its place.
pub fn import(file: &Path, policies: &[PathBuf], import: &mut Import) -> Result<(), Problems> {
    let loaded = racoon::load(file, policies)?;
    let config = &loaded.config;
    let origin = |path: &str| {
        let place = loaded.origins.get(path)?;
        let name = place.file.file_name()?.to_string_lossy().into_owned();
        Some(format!("{name}:{}", place.line))
    };
    let mut text = format!(
        "# ike-daemon.yaml, made by tanuki-import from {}; see ike-daemon.yaml(5).\n\
         # What stands behind a `#` is where the setting comes from.\n\n",
        file.display()
    );
    text += &write::yaml(config, Secrets::Shown, &origin);
    import.documents.push(Document {
        name: "ike-daemon.yaml",
        text,
    });
    for warning in &config.warnings {
        import.leave(warning.clone());
    }
    for scripts in config.scripts.iter().filter(|one| !one.is_empty()) {
        if let Some(peer) = scripts.peer {
            import.leave(Problem {
                file: file.to_owned(),
                line: 0,
                column: 0,
                message: format!(
                    "the scripts for {peer} alone: `scripts` of ike-daemon.yaml are for every peer"
                ),
            });
        }
    }
    Ok(())
}
