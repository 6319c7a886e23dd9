//! Clients of the control socket that wait for something.

use std::collections::BTreeSet;
use std::time::Instant;

use ike_proto::carrier::Carrier;
use pfkey::Message;
use tanuki_daemon::control::Reply;

use crate::racoonctl::server;

/// All of them.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) sas: Gathering<SasReply>,
    pub(super) policies: Gathering<Reply>,
    pub(super) connects: Vec<Connecting>,
}

/// Who asked for the kernels' SAs.
pub(super) enum SasReply {
    /// ikectl.
    Control(Reply),
    /// racoonctl.
    Admin(server::Reply),
}

/// One `ikectl connect`.
pub(super) struct Connecting {
    pub(super) name: String,
    pub(super) reply: Reply,
    pub(super) until: Instant,
}

/// Dumps by kernel, or the first problem.
pub(super) type Dumps = Result<Vec<(Carrier, Vec<Message>)>, String>;

/// Clients that wait for the dumps of one kernel or two.
pub(super) struct Gathering<R>(Vec<Gather<R>>);

impl<R> Default for Gathering<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct Gather<R> {
    reply: R,
    missing: BTreeSet<Carrier>,
    dumps: Dumps,
}

impl<R> Gathering<R> {
    /// One more waits for a dump of each of `kernels`.
    pub(super) fn add(&mut self, reply: R, kernels: BTreeSet<Carrier>) {
        self.0.push(Gather {
            reply,
            missing: kernels,
            dumps: Ok(Vec::new()),
        });
    }

    /// A dump is there: who has everything now.
    pub(super) fn arrived(
        &mut self,
        carrier: Carrier,
        dump: &Result<Vec<Message>, String>,
    ) -> Vec<(R, Dumps)> {
        for gather in &mut self.0 {
            if !gather.missing.remove(&carrier) {
                continue;
            }
            match (&mut gather.dumps, dump) {
                (Ok(dumps), Ok(messages)) => dumps.push((carrier, messages.clone())),
                (dumps @ Ok(_), Err(problem)) => *dumps = Err(problem.clone()),
                (Err(_), _) => {}
            }
        }
        let all = std::mem::take(&mut self.0);
        let (done, rest) = all
            .into_iter()
            .partition(|gather| gather.missing.is_empty());
        self.0 = rest;
        done.into_iter()
            .map(|gather: Gather<R>| (gather.reply, gather.dumps))
            .collect()
    }
}
