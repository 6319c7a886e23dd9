//! Passwords that a program of the operator knows (`!program` in mpd.secret).

use std::collections::HashMap;
use std::time::Instant;

use ppp_proto::Question;
use rand_core::CryptoRng;

use super::Server;
use super::io::{LookupId, Output, SessionKey};
use super::programs::hook;
use super::session::ppp_secret;
use crate::config::HookCommand;
use crate::events::Event;
use crate::secret::Secret;

/// Questions whose programs run.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    last: u64,
    waiting: HashMap<LookupId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    session: SessionKey,
    serial: u64,
    question: Question,
}

impl Server {
    /// Runs `command` with the user's name behind its arguments.
    pub(super) fn look_up(
        &mut self,
        key: SessionKey,
        question: Question,
        command: &HookCommand,
        user: &str,
    ) {
        let Some(serial) = self.sessions.get(&key).map(|session| session.serial) else {
            return;
        };
        self.lookups.last += 1;
        let lookup = LookupId(self.lookups.last);
        let waiting = Waiting {
            session: key,
            serial,
            question,
        };
        self.lookups.waiting.insert(lookup, waiting);
        let run = hook(command, vec![user.to_owned()], key, Vec::new());
        self.outputs.push_back(Output::LookUp { lookup, run });
    }

    pub(super) fn on_looked_up(
        &mut self,
        now: Instant,
        lookup: LookupId,
        outcome: Result<Secret, String>,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(waiting) = self.lookups.waiting.remove(&lookup) else {
            return;
        };
        let key = waiting.session;
        let session = self.sessions.get_mut(&key);
        let Some(session) = session.filter(|session| session.serial == waiting.serial) else {
            return;
        };
        let secret = match outcome {
            Ok(secret) => Some(ppp_secret(&secret)),
            Err(reason) => {
                self.counters.hook_failures += 1;
                let session = key;
                self.outputs
                    .push_back(Output::Event(Event::HookFailed { session, reason }));
                None
            }
        };
        if let Some(link) = session.link.as_mut() {
            link.provide_secret(now, waiting.question, secret, rng);
        }
        self.drain_link(now, key, rng);
    }
}
