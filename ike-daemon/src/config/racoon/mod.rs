//! racoon.conf(5), psk.txt and setkey(8) scripts into the model that `ike-daemon.yaml` leads to.
//!
//! * [`directives`]: what becomes of every directive, as data
//! * `lower`: notices and refusals, and what stands outside of `remote` and `sainfo`
//! * `remote`: phase 1, dead peer detection, whom we connect to
//! * `sainfo`: phase 2
//! * `setkey`: policies
//! * `algorithms`: racoon's algorithms as ours
//! * `psk`: psk.txt, read again when it changes
//! * `files`: the disk

mod algorithms;
pub mod directives;
mod files;
mod lower;
mod psk;
mod remote;
mod sainfo;
mod setkey;

use std::path::Path;

use racoon_conf::lexer::{Lexer, Token};
use racoon_conf::{FileId, setkey as script};
use tanuki_daemon::config::{Problem, Problems};

use super::model::Config;
use files::Disk;

pub use psk::{Keys, PskFile};

/// Directives that a racoon.conf can start with.
const FIRST_WORDS: [&str; 15] = [
    "path",
    "include",
    "pfkey_buffer",
    "complex_bundle",
    "gss_id_enc",
    "log",
    "privsep",
    "padding",
    "listen",
    "timer",
    "radiuscfg",
    "ldapcfg",
    "mode_cfg",
    "remote",
    "sainfo",
];
/// Where the first word is looked for.
const HEAD: usize = 64 * 1024;

/// Whether `file` is in racoon's syntax: its name ends in `.conf`, or in neither `.conf`, `.yaml`
/// nor `.yml` and its first word is a directive of racoon.conf(5).
pub fn is_racoon(file: &Path) -> bool {
    match file.extension().and_then(|suffix| suffix.to_str()) {
        Some("conf") => true,
        Some("yaml" | "yml") => false,
        _ => files::read(file, HEAD).is_ok_and(starts_like_racoon),
    }
}

fn starts_like_racoon(octets: Vec<u8>) -> bool {
    // YAML's keys keep their colon: `listen:` is no directive.
    match Lexer::new(FileId(0), octets).next_lexeme().token {
        Token::Word(word) => FIRST_WORDS.contains(&word.as_str()),
        _ => false,
    }
}

/// Reads and checks racoon's configuration in `file`, with the policies of the setkey(8) script
/// `policies` if there is one.
///
/// # Errors
/// Every problem found, with file, line and column.
pub fn load(file: &Path, policies: Option<&Path>) -> Result<Config, Problems> {
    let path = file.to_string_lossy();
    let parsed = racoon_conf::parse(&path, &mut Disk);
    let policies = match policies {
        None => None,
        Some(path) => match files::read(path, script::MAX_FILE) {
            Ok(octets) => Some((path, script::parse(octets))),
            Err(error) => {
                return Err(Problems(vec![Problem {
                    file: path.to_owned(),
                    line: 0,
                    column: 0,
                    message: error.to_string(),
                }]));
            }
        },
    };
    lower::lower(
        file,
        &parsed,
        policies.as_ref().map(|(path, read)| (*path, read)),
    )
}
