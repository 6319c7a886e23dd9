//! The endpoint: all ISAKMP SAs, clients and IPsec SAs of one host, and who of them an input is for.
//! What belongs to one ISAKMP SA is in `ikev1`.
//!
//! * `arrival`: cookies, first messages, limits on half-open exchanges, stateless answers
//! * `sessions`: steps of ISAKMP SAs and what they ask for, their end
//! * `established`: an ISAKMP SA that is complete finds its client, and does the work of older ones
//! * `gone`: what the peer says it no longer has
//! * `clients`: who the ISAKMP SAs belong to, their reqids
//! * `mappings`: NATs that give a client another port
//! * `children`: IPsec SAs and their rekeying
//! * `fragments`: pieces of messages, put together in front of everything else
//! * `silence`: peers that have gone and cannot be asked by dead peer detection
//! * `commands`: what an operator, or the kernel, asks for
//! * `timers`: one queue for everything
//! * `views`, `restore`: looking at it, and carrying it over a restart

mod arrival;
mod children;
mod clients;
mod commands;
mod established;
mod fragments;
mod gone;
mod mappings;
mod restore;
mod sessions;
mod silence;
mod timers;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_crypto::Cookie;
use rand_core::CryptoRng;

use crate::carrier::Carriers;
use crate::context::{JobOwner, Shared};
use crate::fragment::Reassembly;
use crate::ikev1::Session;
use crate::ikev1::child::Child;
use crate::io::{ChildId, IkeId, JobResult, KernelReply, Output, Reqid};
use crate::job::{Job, Outcome};
use crate::policy::Policy;

use clients::Client;
use timers::{TimerKey, Timers};

/// All IKE state of one host. See [`crate::io`] for how to drive it.
pub struct Endpoint {
    shared: Shared,
    // Boxed: a node of a B-tree has room for eleven, and about half of it is used.
    sessions: BTreeMap<IkeId, Box<Session>>,
    by_cookies: BTreeMap<(Cookie, Cookie), IkeId>,
    /// Exchanges begun by peers, by source and initiator cookie: a late repetition of their first
    /// message must not begin another one.
    by_first_message: BTreeMap<(SocketAddr, Cookie), IkeId>,
    /// Exchanges begun by us whose responder cookie is unknown.
    by_own_cookie: BTreeMap<Cookie, IkeId>,
    /// Exchanges begun by peers and not established, oldest first.
    half_open: BTreeMap<IkeId, SocketAddr>,
    half_open_by_source: BTreeMap<IpAddr, usize>,
    clients: BTreeMap<Reqid, Box<Client>>,
    /// Clients by their addresses.
    clients_at: BTreeMap<IpAddr, BTreeSet<Reqid>>,
    last_reqid: u32,
    /// Used by others in the system's kernel.
    foreign_reqids: BTreeSet<u32>,
    children: BTreeMap<ChildId, Box<Child>>,
    by_spi_in: BTreeMap<u32, ChildId>,
    timers: Timers,
    reassembly: Reassembly,
}

impl Endpoint {
    /// An endpoint without any state.
    pub fn new(policy: Policy) -> Self {
        Self {
            shared: Shared::new(policy),
            sessions: BTreeMap::new(),
            by_cookies: BTreeMap::new(),
            by_first_message: BTreeMap::new(),
            by_own_cookie: BTreeMap::new(),
            half_open: BTreeMap::new(),
            half_open_by_source: BTreeMap::new(),
            clients: BTreeMap::new(),
            clients_at: BTreeMap::new(),
            last_reqid: 0,
            foreign_reqids: BTreeSet::new(),
            children: BTreeMap::new(),
            by_spi_in: BTreeMap::new(),
            timers: Timers::default(),
            reassembly: Reassembly::default(),
        }
    }

    /// Tells which kernels there are. IPsec SAs stay where they are.
    pub fn set_carriers(&mut self, carriers: Carriers) {
        self.shared.carriers = carriers;
    }

    /// Tells which reqids new clients must not be given.
    pub fn avoid_reqids(&mut self, foreign: BTreeSet<u32>) {
        self.foreign_reqids = foreign;
    }

    /// The reqids of all clients.
    pub fn reqids(&self) -> BTreeSet<u32> {
        self.clients.keys().map(|reqid| reqid.0).collect()
    }

    /// The kernels there are.
    pub fn carriers(&self) -> &Carriers {
        &self.shared.carriers
    }

    /// Replaces the policy. Established SAs stay; exchanges under way finish under the new one.
    pub fn set_policy(&mut self, policy: Policy) {
        self.shared.policy = policy;
        let ids: Vec<IkeId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.arm_session(id);
        }
        for reqid in self.clients.keys().copied().collect::<Vec<_>>() {
            self.arm_client(reqid);
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The next thing to do. Drain until `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.outputs.pop_front()
    }

    /// When `handle_timeout` is due; `None` while there is nothing to wait for. May change with
    /// every input.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Grows with every change a checkpoint must record.
    pub fn generation(&self) -> u64 {
        self.shared.generation
    }

    /// Takes in a finished computation.
    pub fn handle_job(&mut self, now: Instant, result: JobResult, rng: &mut dyn CryptoRng) {
        let owner = self.shared.jobs.remove(&result.id);
        match (owner, result.outcome) {
            (Some(JobOwner::Phase1(id)), outcome) => {
                self.with_session(now, rng, id, |session, cx| session.handle_job(cx, outcome));
            }
            (Some(JobOwner::QuickMode(id, message_id)), Outcome::Dh(result)) => {
                self.with_session(now, rng, id, |session, cx| {
                    session.quick_mode_job(cx, message_id, result);
                });
            }
            (Some(JobOwner::Ready), Outcome::Dh(result)) => self.shared.ready.put(result.pair),
            (Some(JobOwner::QuickMode(..) | JobOwner::Ready), _) | (None, _) => {}
        }
    }

    /// Whether a key pair may be made in advance: no computation is under way, and it would be of use.
    pub fn wants_key_pair(&self) -> bool {
        self.shared.jobs.is_empty() && self.shared.ready.wanted().is_some()
    }

    /// Has a key pair made in advance, if one is wanted. For when there is nothing else to do.
    pub fn make_key_pair(&mut self, rng: &mut dyn CryptoRng) {
        if let Some(group) = self
            .shared
            .ready
            .wanted()
            .filter(|_| self.shared.jobs.is_empty())
        {
            let private = group.private_key(rng);
            self.shared
                .start_job(JobOwner::Ready, |id| Job::generate(id, private));
        }
    }

    /// Does what is due at `now`. Call it when `next_timeout` has passed; calling it early is
    /// harmless.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        for key in self.timers.take_due(now) {
            match key {
                TimerKey::Session(id) => self.session_timeout(now, rng, id),
                TimerKey::Child(id) => self.child_timeout(now, rng, id),
                TimerKey::Client(reqid) => self.client_timeout(now, rng, reqid),
                TimerKey::Fragments => self.fragments_timeout(now),
            }
        }
    }

    /// Takes in an answer or a report of the kernel.
    pub fn handle_kernel(&mut self, now: Instant, reply: KernelReply, rng: &mut dyn CryptoRng) {
        match reply {
            KernelReply::Spi { child, spi } => self.spi_reserved(now, rng, child, spi),
            KernelReply::Installed { child, direction } => {
                self.child_installed(now, rng, child, direction);
            }
            KernelReply::Failed { child, reason } => self.kernel_failed(now, rng, child, &reason),
            KernelReply::Expire {
                carrier,
                spi,
                destination,
                hard,
            } => {
                let sa = (carrier, spi, destination);
                self.kernel_expire(now, rng, sa, hard);
            }
            KernelReply::MappingMoved { spi, peer } => self.kernel_moved(spi, peer),
            KernelReply::Traffic {
                child,
                inbound_octets,
                outbound_octets,
            } => {
                self.kernel_traffic(now, rng, child, inbound_octets, outbound_octets);
            }
            KernelReply::Acquire { peer, .. } => self.acquire(now, rng, peer),
        }
    }
}

/// How long a failed rekeying waits before it tries again.
const RETRY: Duration = Duration::from_secs(30);
