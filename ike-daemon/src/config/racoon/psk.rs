//! psk.txt: who may read it, what is in it, and whether it has changed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ike_crypto::Secret;
use ike_proto::policy::{SecretEntry, SecretPeer};
use ike_proto::wire::id::Identification;
use racoon_conf::psk::{MAX_FILE, PskEntry, PskFile as Lines, PskId};
use tanuki_daemon::config::Problem;
use tanuki_daemon::watch::Stamp;
use zeroize::Zeroizing;

use super::super::check::weakness;

/// Between looks whether the file has changed, at least.
const LOOK: Duration = Duration::from_secs(1);

/// A psk.txt in use: edits count without a reload.
#[derive(Debug, Clone)]
pub struct PskFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    looked: Option<Instant>,
}

/// What stands in a psk.txt.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The keys.
    pub secrets: Vec<SecretEntry>,
    /// The line of each of them.
    pub lines: Vec<usize>,
    /// What is wrong with some lines, or likely not meant.
    pub warnings: Vec<Problem>,
}

impl PskFile {
    /// The file at `path`, not read yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            stamp: None,
            looked: None,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file.
    ///
    /// # Errors
    /// It is not there, or its owner or permissions are not safe: no key of it is used then.
    pub fn read(&mut self) -> Result<Keys, Problem> {
        match self.open() {
            Ok(octets) => Ok(keys(&self.path, &Lines::parse(&octets))),
            Err(message) => Err(Problem {
                file: self.path.clone(),
                line: 0,
                column: 0,
                message,
            }),
        }
    }

    /// Reads the file again if it has changed, looking at most once a second.
    pub fn refresh(&mut self, now: Instant) -> Option<Result<Keys, Problem>> {
        if self.looked.is_some_and(|looked| now < looked + LOOK) {
            return None;
        }
        self.looked = Some(now);
        let stamp = std::fs::metadata(&self.path).ok().as_ref().map(Stamp::of);
        (stamp != self.stamp).then(|| self.read())
    }

    /// The contents, if they are safe to use; [`PskFile::stamp`] is that of the file either way.
    fn open(&mut self) -> Result<Zeroizing<Vec<u8>>, String> {
        self.stamp = None;
        let plain = |error: io::Error| error.to_string();
        let file = File::open(&self.path).map_err(plain)?;
        let metadata = file.metadata().map_err(plain)?;
        self.stamp = Some(Stamp::of(&metadata));
        if let Some(why) = unsafe_to_use(&metadata, nix::unistd::geteuid().as_raw()) {
            return Err(why);
        }
        // As large as it will get: growing would leave copies of keys behind.
        let limit = u64::try_from(MAX_FILE)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let room = usize::try_from(metadata.len().min(limit)).unwrap_or(0);
        let mut octets = Zeroizing::new(Vec::with_capacity(room + 1));
        file.take(limit).read_to_end(&mut octets).map_err(plain)?;
        Ok(octets)
    }
}

/// Why nobody should use the keys in it, as racoon sees it.
fn unsafe_to_use(metadata: &Metadata, uid: u32) -> Option<String> {
    if !metadata.is_file() {
        return Some("not a file".into());
    }
    if metadata.uid() != uid {
        return Some(format!(
            "owned by uid {}, not by the daemon's uid {uid}; its keys are not used. chown it",
            metadata.uid()
        ));
    }
    let mode = metadata.mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "permissions {mode:04o}: group or others may use it; its keys are not used. chmod 600"
        )
    })
}

/// Only the first line for a peer counts, and none behind `*`.
fn keys(path: &Path, lines: &Lines) -> Keys {
    let mut secrets: Vec<SecretEntry> = Vec::new();
    let mut numbers = Vec::new();
    let mut warnings = Vec::new();
    let mut warn = |span: racoon_conf::Span, message: String| {
        warnings.push(Problem {
            file: path.to_owned(),
            line: usize::try_from(span.line).unwrap_or(0),
            column: usize::try_from(span.column).unwrap_or(0),
            message,
        });
    };
    for problem in &lines.problems {
        warn(problem.span, format!("line left out: {}", problem.message));
    }
    for notice in &lines.notices {
        warn(notice.span, notice.message.clone());
    }
    let everybody = lines
        .entries
        .iter()
        .position(|entry| entry.id == PskId::Any);
    let reached = everybody.map_or(lines.entries.len(), |position| position + 1);
    for entry in lines.entries.iter().take(reached) {
        if let Some(weakness) = weakness(&entry.key) {
            warn(
                entry.span,
                format!(
                    "weak pre-shared key ({weakness}): whoever answers a client in our place once \
                     can guess it offline; take 20 random characters or more"
                ),
            );
        }
        for peer in peers(entry) {
            if !secrets.iter().any(|known| known.peer == peer) {
                numbers.push(usize::try_from(entry.span.line).unwrap_or(0));
                secrets.push(SecretEntry {
                    peer,
                    secret: Secret::from(entry.key.clone()),
                });
            }
        }
    }
    Keys {
        secrets,
        lines: numbers,
        warnings,
    }
}

/// A name stands for whatever identity has that text.
fn peers(entry: &PskEntry) -> Vec<SecretPeer> {
    match &entry.id {
        PskId::Any => vec![SecretPeer::Any],
        PskId::Address(address) => vec![SecretPeer::Address(*address)],
        PskId::Name(name) => vec![
            SecretPeer::Identity(match name.contains('@') {
                true => Identification::from_user_fqdn(name),
                false => Identification::from_fqdn(name),
            }),
            SecretPeer::Identity(Identification::from_key_id(name.as_bytes())),
        ],
    }
}
