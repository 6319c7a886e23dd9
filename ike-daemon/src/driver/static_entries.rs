//! Policies and SAs out of setkey(8) scripts: put into the kernel whenever it is connected, and taken
//! out at the end, but only what is ours.

use std::collections::BTreeSet;
use std::net::IpAddr;

use slog::{debug, info, warn};

use super::daemon::Daemon;
use crate::config::static_entry::StaticEntry;
use crate::kernel::translate::words;

impl Daemon {
    /// Puts everything into the kernel; what is there already stays as it is.
    pub(super) fn add_static_entries(&mut self) {
        for entry in self.config.static_entries.clone() {
            self.ask_first(|translator| translator.add_static(&entry));
        }
    }

    /// The kernel's answer to one of them.
    pub(super) fn static_entry_added(&mut self, name: String, result: Result<(), u8>) {
        match result {
            Ok(()) => {
                debug!(self.log, "setkey entry added"; "entry" => &name);
                if self.static_owned.insert(name) {
                    self.save_now();
                }
            }
            // Somebody else's, or ours of before a restart: then the checkpoint says so.
            Err(errno) if i32::from(errno) == libc::EEXIST => {
                let ours = self.static_owned.contains(&name);
                debug!(self.log, "setkey entry is there already"; "entry" => name, "ours" => ours);
            }
            Err(errno) => warn!(self.log, "setkey entry refused by the kernel"; "entry" => name,
                "reason" => words(errno), "remedy" => "correct it in the setkey script, then reload"),
        }
    }

    /// Whether an SA stands in a script.
    pub(super) fn is_static(&self, spi: u32, destination: IpAddr) -> bool {
        let mut entries = self.config.static_entries.iter();
        entries.any(|entry| match entry {
            StaticEntry::Policy(_) => false,
            StaticEntry::Sa(sa) => (sa.spi, sa.destination) == (spi, destination),
        })
    }

    /// The reqids in scripts: whatever has them is not left over from a client.
    pub(super) fn static_reqids(&self) -> BTreeSet<u32> {
        let entries = self.config.static_entries.iter();
        entries
            .flat_map(|entry| match entry {
                StaticEntry::Sa(sa) => vec![sa.reqid],
                StaticEntry::Policy(policy) => {
                    let requests = policy.policy.requests.iter();
                    requests.map(|request| request.reqid).collect()
                }
            })
            .collect()
    }

    /// Takes out what is ours: all of it at the end, after a reload what is no longer wanted.
    pub(super) fn remove_static_entries(&mut self, before: &[StaticEntry], keep: &[StaticEntry]) {
        let keep: BTreeSet<String> = keep.iter().map(StaticEntry::to_string).collect();
        let mut removed = 0;
        for entry in before {
            let name = entry.to_string();
            if keep.contains(&name) || !self.static_owned.remove(&name) {
                continue;
            }
            removed += 1;
            self.ask_first(|translator| translator.remove_static(entry));
        }
        if removed > 0 {
            info!(self.log, "setkey entries removed"; "entries" => removed);
            self.save_now();
        }
    }
}
