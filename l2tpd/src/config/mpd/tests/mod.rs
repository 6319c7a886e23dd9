//! mpd.conf as a configuration of the daemon.

mod errors;
mod setups;

use std::path::Path;

use super::super::{ConfigFile, Loaded};

/// What becomes of an mpd.conf with that text, in a folder with this mpd.secret.
fn load_with(text: &str, secret: &str, skip_unsupported: bool) -> Result<Loaded, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mpd.conf");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("mpd.secret"), secret).unwrap();
    let file = ConfigFile {
        path,
        label: None,
        skip_unsupported,
    };
    let without_folder =
        |text: String, folder: &Path| text.replace(&format!("{}/", folder.display()), "");
    match file.read() {
        Ok(mut loaded) => {
            for notice in &mut loaded.notices {
                *notice = without_folder(std::mem::take(notice), folder.path());
            }
            Ok(loaded)
        }
        Err(problems) => Err(problems
            .0
            .iter()
            .map(|problem| without_folder(problem.to_string(), folder.path()))
            .collect()),
    }
}

fn load(text: &str) -> Result<Loaded, Vec<String>> {
    load_with(text, "", false)
}
