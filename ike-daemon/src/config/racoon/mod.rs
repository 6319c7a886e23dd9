//! racoon.conf(5), psk.txt and setkey(8) scripts into the model that `ike-daemon.yaml` leads to.
//!
//! * [`directives`]: what becomes of every directive, as data
//! * `lower`: notices and refusals, and the order of it all; `listen`, `timer`
//! * `remote`: rules for single peers, whom we connect to; `general` those for all; `block` what one says
//! * `proposals`, `identities`, `certificates`: phase 1
//! * `sainfo`: phase 2
//! * `mode_config`: addresses and users for tunnel mode
//! * `setkey`: policies
//! * `algorithms`: racoon's algorithms as ours
//! * `psk`: psk.txt, read again when it changes; `keys` who needs one of it
//! * `files`: the disk

mod algorithms;
mod block;
mod certificates;
pub mod directives;
mod files;
mod general;
mod identities;
mod keys;
mod listen;
mod lower;
mod mode_config;
mod proposals;
mod psk;
mod remote;
mod sainfo;
mod setkey;
mod timer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use racoon_conf::lexer::{Lexer, Token};
use racoon_conf::{FileId, setkey as script};
use tanuki_daemon::config::{Problem, Problems};

use super::model::Config;
use super::static_entry::StaticEntry;
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

/// Whether `file` is in racoon's syntax: its first word is a directive of racoon.conf(5), or, where
/// that word is neither such a directive nor a key of YAML, its name ends in `.conf`.
pub fn is_racoon(file: &Path) -> bool {
    let by_name = || file.extension().is_some_and(|suffix| suffix == "conf");
    match files::read(file, HEAD).map(starts_like_racoon) {
        Ok(Some(racoon)) => racoon,
        Ok(None) | Err(_) => by_name(),
    }
}

/// `None` when it starts like neither.
fn starts_like_racoon(octets: Vec<u8>) -> Option<bool> {
    // YAML's keys keep their colon: `listen:` is no directive.
    match Lexer::new(FileId(0), octets).next_lexeme().token {
        Token::Word(word) if FIRST_WORDS.contains(&word.as_str()) => Some(true),
        Token::Word(word) if word.ends_with(':') || word == "---" => Some(false),
        _ => None,
    }
}

/// What racoon's files lead to.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Where its settings stand, by their path in ike-daemon.yaml(5), such as `phase1.ciphers`.
    pub origins: BTreeMap<String, Place>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

/// A setkey(8) script that was read.
struct Read {
    file: PathBuf,
    script: script::Script,
}

/// Reads and checks racoon's configuration in `file`, with the policies of the setkey(8) scripts
/// `policies`.
///
/// # Errors
/// Every problem found, with file, line and column.
pub fn load(file: &Path, policies: &[PathBuf]) -> Result<Loaded, Problems> {
    let path = file.to_string_lossy();
    let parsed = racoon_conf::parse(&path, &mut Disk);
    lower::lower(file, &parsed, &read_scripts(policies)?)
}

/// The policies and SAs of setkey(8) scripts, for a configuration in YAML.
///
/// # Errors
/// Every problem found, with file, line and column.
pub(super) fn static_entries(policies: &[PathBuf]) -> Result<Vec<StaticEntry>, Problems> {
    setkey::entries(&read_scripts(policies)?)
}

fn read_scripts(policies: &[PathBuf]) -> Result<Vec<Read>, Problems> {
    let read = |file: &PathBuf| match files::read(file, script::MAX_FILE) {
        Ok(octets) => Ok(Read {
            file: file.clone(),
            script: script::parse(octets),
        }),
        Err(error) => Err(Problems(vec![Problem {
            file: file.clone(),
            line: 0,
            column: 0,
            message: error.to_string(),
        }])),
    };
    policies.iter().map(read).collect()
}
