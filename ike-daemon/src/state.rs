//! What survives a restart: the core's checkpoint, and the process id that stands in our PF_KEY
//! requests (FreeBSD lets only the id that did GETSPI update an SA).

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ike_proto::Endpoint;
use ike_proto::checkpoint::Checkpoint;
use serde::{Deserialize, Serialize};
use tanuki_daemon::checkpoint::Checkpoints;

/// The file's name.
const NAME: &str = "ike";
/// After a change, wait this long for others that belong to it.
const SETTLE: Duration = Duration::from_millis(50);
/// Writing takes at most one part in this of the time.
const SHARE: u32 = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    marks: Marks,
    endpoint: Checkpoint,
}

/// How to tell what is ours in the kernel.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Marks {
    /// The process id in our PF_KEY requests.
    pub pfkey_pid: u32,
    /// Reqids in our range that others use in the system's kernel.
    #[serde(default)]
    pub foreign_reqids: Vec<u32>,
    /// Entries of setkey(8) scripts that are in the kernel because of us.
    #[serde(default)]
    pub static_owned: BTreeSet<String>,
}

/// Writes checkpoints: soon after every change, but never so often that writing is all we do.
#[derive(Debug)]
pub struct StateFile {
    store: Checkpoints,
    saved: u64,
    due: Option<Instant>,
    not_before: Option<Instant>,
    written: u64,
}

/// What an earlier process left.
#[derive(Debug)]
pub struct Earlier {
    /// What of the kernel was its own.
    pub marks: Marks,
    /// Its SAs.
    pub checkpoint: Checkpoint,
}

impl StateFile {
    /// Opens the folder of checkpoints below `folder`.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let store = Checkpoints::open(&folder.join("state"))?;
        Ok(Self {
            store,
            saved: 0,
            due: None,
            not_before: None,
            written: 0,
        })
    }

    /// What an earlier process left, if anything.
    ///
    /// # Errors
    /// Whatever the file system says, or `InvalidData`.
    pub fn load(&self) -> io::Result<Option<Earlier>> {
        let saved: Option<Saved> = self.store.load(NAME)?;
        Ok(saved.map(|saved| Earlier {
            marks: saved.marks,
            checkpoint: saved.endpoint,
        }))
    }

    /// Notes the core's state of change; [`StateFile::due`] says when to save.
    pub fn note(&mut self, now: Instant, endpoint: &Endpoint) {
        if endpoint.generation() != self.saved && self.due.is_none() {
            let settled = now + SETTLE;
            self.due = Some(self.not_before.map_or(settled, |then| then.max(settled)));
        }
    }

    /// When to save next.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Saves.
    ///
    /// # Errors
    /// Whatever the file system says; it is tried again a little later.
    pub fn save(&mut self, now: Instant, endpoint: &Endpoint, marks: Marks) -> io::Result<()> {
        let saved = Saved {
            marks,
            endpoint: endpoint.checkpoint(now, wall_clock()),
        };
        let outcome = self.store.save(NAME, &saved);
        let cost = now.elapsed();
        self.not_before = Some(now + cost * SHARE);
        self.due = match outcome {
            Ok(()) => None,
            Err(_) => Some(now + Duration::from_secs(10)),
        };
        if outcome.is_ok() {
            self.saved = endpoint.generation();
            self.written += 1;
        }
        outcome
    }

    /// Forgets everything: a clean end leaves nothing behind.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn remove(&mut self) -> io::Result<()> {
        self.due = None;
        self.store.remove(NAME)
    }

    /// How often it was written.
    pub fn written(&self) -> u64 {
        self.written
    }
}

/// Seconds since 1970.
pub fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
