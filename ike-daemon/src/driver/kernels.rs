//! The kernels that take SAs: one, or the system's and softkernel beside it.

use std::collections::BTreeMap;

use ike_proto::carrier::{Carrier, Carriers, SystemAbilities};
use tokio::sync::mpsc;

use crate::kernel::{KernelSocket, Known, Link, LinkEvent, Ownership, Translator, oldest_first};

/// One kernel.
pub(super) struct Conversation {
    pub(super) name: String,
    pub(super) link: Link,
    pub(super) translator: Translator,
    pub(super) connected: bool,
    /// Whether it is known to be there, or not to be.
    pub(super) tried: bool,
    /// The pairs to look for in the dump of SAs under way.
    pub(super) audit: Option<Check>,
    /// Policies of nobody are to be removed after the dump under way.
    pub(super) sweep: bool,
}

/// What a dump of SAs is compared with.
pub(super) struct Check {
    pub(super) known: Vec<Known>,
    /// Whether SAs that are not among them are left over from a process before.
    pub(super) orphans: bool,
}

/// All of them.
pub(super) struct Kernels {
    /// The system's comes first, and is preferred.
    pub(super) all: BTreeMap<Carrier, Conversation>,
    /// What the system's kernel has announced.
    pub(super) system: Option<SystemAbilities>,
    /// What in it is not ours. `None` until its first dump, when no process was here before.
    pub(super) ownership: Option<Ownership>,
}

impl Kernels {
    /// Starts talking to `sockets`; `pid` stands in every request.
    pub(super) fn start(
        sockets: Vec<(Carrier, KernelSocket)>,
        pid: u32,
        events: &mpsc::Sender<(Carrier, LinkEvent)>,
    ) -> Self {
        let several = sockets.len() > 1;
        let all = sockets
            .into_iter()
            .map(|(carrier, socket)| {
                let translator = Translator::new(carrier, socket.numbering(), pid);
                let conversation = Conversation {
                    name: match &socket {
                        KernelSocket::System => carrier.to_string(),
                        KernelSocket::Soft(path) => path.display().to_string(),
                    },
                    link: Link::start(carrier, socket, events.clone()),
                    translator: match several {
                        true => translator.with_own_spis(),
                        false => translator,
                    },
                    connected: false,
                    tried: false,
                    audit: None,
                    sweep: false,
                };
                (carrier, conversation)
            })
            .collect();
        Self {
            all,
            system: None,
            ownership: None,
        }
    }

    /// The preferred one.
    pub(super) fn first(&self) -> Option<(Carrier, &Conversation)> {
        let first = self.all.iter().next();
        first.map(|(carrier, conversation)| (*carrier, conversation))
    }

    /// Whether the preferred one is connected, and has said what it can.
    pub(super) fn is_ready(&self) -> bool {
        self.first().is_some_and(|(carrier, first)| {
            first.connected && (carrier == Carrier::Soft || self.system.is_some())
        })
    }

    /// softkernel beside the system's kernel.
    pub(super) fn beside(&self) -> Option<&Conversation> {
        self.all
            .contains_key(&Carrier::System)
            .then(|| self.all.get(&Carrier::Soft))?
    }

    /// Whether requests may go there, if not at the moment.
    pub(super) fn speaks_to(&self, carrier: Carrier) -> bool {
        self.all.contains_key(&carrier)
    }

    /// Looks again at what the system's administrator may have changed.
    pub(super) fn refresh_system(&mut self) {
        if let Some(system) = &mut self.system {
            system.oldest_first = oldest_first();
        }
    }

    /// Those that answer at the moment.
    pub(super) fn connected(&self) -> impl Iterator<Item = Carrier> + '_ {
        let all = self.all.iter();
        all.filter(|(_, conversation)| conversation.connected)
            .map(|(carrier, _)| *carrier)
    }

    /// Whether everything queued is written and every request answered.
    pub(super) fn is_idle(&self) -> bool {
        self.all.values().all(|conversation| {
            !conversation.connected
                || conversation.translator.is_idle() && conversation.link.is_idle()
        })
    }

    /// What the core may choose from.
    pub(super) fn carriers(&self) -> Carriers {
        let system = self.all.contains_key(&Carrier::System);
        Carriers {
            system: system.then(|| self.system.clone().unwrap_or_default()),
            // Alone, it is waited for.
            soft: self.beside().is_none_or(|soft| soft.connected),
            awaited: system
                && (self.system.is_none() || self.beside().is_some_and(|soft| !soft.tried)),
        }
    }

    /// The process id in all requests.
    pub(super) fn pid(&self) -> u32 {
        self.first()
            .map_or_else(std::process::id, |(_, first)| first.translator.pid())
    }
}
