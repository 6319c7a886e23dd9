//! What every exchange shares while one input is handled: policy, outputs, counters, numbering,
//! and the wish list it leaves for the endpoint.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_crypto::{Cookie, Group};
use rand_core::CryptoRng;

use crate::carrier::{Carrier, Carriers, Encapsulated, PeerPort};
use crate::error::{DownReason, Refusal};
use crate::fragment::split;
use crate::ikev1::child::Child;
use crate::io::{ChildId, Event, IkeId, KernelRequest, Mode, Output, Reqid, SaInstall, Transmit};
use crate::job::{Job, JobId};
use crate::leases::Leases;
use crate::nat::Path;
use crate::places::{Inner, Place, Places, PortChange};
use crate::policy::{Fragmentation, Policy};
use crate::ready::Ready;
use crate::view::Counters;
use crate::wire::id::Identification;

/// One input being handled.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) rng: &'a mut dyn CryptoRng,
    pub(crate) shared: &'a mut Shared,
    pub(crate) effects: &'a mut Vec<Effect>,
}

/// What an exchange asks of the endpoint, because it concerns more than its own ISAKMP SA.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Phase 1 is complete.
    Established { initial_contact: bool },
    /// Phase 1 failed or the SA ended; remove it.
    Ended(DownReason),
    /// What had to come before Quick Mode is through: XAUTH, or an address.
    Ready,
    /// The ISAKMP SA is established and may not stay; the peer is told.
    Dismissed(DownReason),
    /// Another client has taken this one's address.
    Displaced(Reqid),
    /// The peer authenticated a message from another address or port.
    Moved(Path),
    /// INITIAL-CONTACT came in an authenticated Informational.
    InitialContact,
    /// Whether ESP has come from the client is to be found out.
    Look,
    /// The peer has deleted IPsec SAs, named by its inbound SPIs.
    DeleteEsp(Vec<u32>),
    /// The peer has deleted ISAKMP SAs.
    DeleteIsakmp(Vec<(Cookie, Cookie)>),
    /// A pair of IPsec SAs is agreed; its inbound half is on its way to the kernel. As responder with
    /// the outbound half, which waits for QM3 where the client has another pair to be served by.
    ChildAgreed(Box<Child>, Option<Box<SaInstall>>),
    /// The outbound half goes to the kernel, where it is not yet; as initiator it is.
    ChildComplete(ChildId, Option<Box<SaInstall>>),
    /// Quick Mode failed after or before `ChildAgreed`.
    ChildFailed {
        child: ChildId,
        replaces: Option<ChildId>,
        reason: DownReason,
    },
}

/// Who waits for a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobOwner {
    /// Phase 1 of an ISAKMP SA.
    Phase1(IkeId),
    /// A Quick Mode by message id.
    QuickMode(IkeId, u32),
    /// Nobody yet: a key pair made in advance.
    Ready,
}

/// A pair of IPsec SAs under negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingChild {
    /// The ISAKMP SA.
    pub(crate) ike: IkeId,
    /// Its Quick Mode.
    pub(crate) message_id: u32,
    /// The kernel it is to be in.
    pub(crate) carrier: Carrier,
}

/// State of the endpoint that exchanges may use directly.
pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) counters: Counters,
    pub(crate) next_id: u64,
    pub(crate) jobs: BTreeMap<JobId, JobOwner>,
    /// Key pairs made in advance.
    pub(crate) ready: Ready,
    /// IPsec SAs whose SPI is being reserved or whose Quick Mode is unfinished.
    pub(crate) pending: BTreeMap<ChildId, PendingChild>,
    /// The kernels there are.
    pub(crate) carriers: Carriers,
    /// Where IPsec SAs are.
    pub(crate) places: Places,
    /// Peers that must use UDP encapsulation.
    pub(crate) encapsulated: Encapsulated,
    /// Addresses of clients in tunnel mode.
    pub(crate) leases: Leases,
    pub(crate) generation: u64,
    reported: BTreeMap<(IpAddr, Refusal), Instant>,
    answers: TokenBucket,
}

/// How long a refusal stays reported, so that the same one is not reported again.
const REPORT_INTERVAL: Duration = Duration::from_secs(900);

/// How many refusals are remembered; beyond that they are only counted.
const MAX_REPORTED: usize = 1024;

impl Shared {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            outputs: VecDeque::new(),
            counters: Counters::default(),
            next_id: 1,
            jobs: BTreeMap::new(),
            ready: Ready::default(),
            pending: BTreeMap::new(),
            carriers: Carriers::default(),
            places: Places::default(),
            encapsulated: Encapsulated::default(),
            leases: Leases::default(),
            generation: 0,
            reported: BTreeMap::new(),
            answers: TokenBucket::default(),
        }
    }

    /// The next handle.
    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        number
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn kernel(&mut self, carrier: Carrier, request: KernelRequest) {
        self.outputs.push_back(Output::Kernel(carrier, request));
    }

    /// A pair of the peer at `address` is, or is going to be, in a kernel.
    pub(crate) fn place(&mut self, address: IpAddr, child: ChildId, place: Place) {
        let change = self.places.insert(address, child, place);
        self.port_changed(change);
    }

    /// A pair is gone from its kernel. Says where it was.
    pub(crate) fn unplace(&mut self, child: ChildId) -> Option<Place> {
        let (place, change) = self.places.remove(child);
        self.port_changed(change);
        place
    }

    /// Where an installed pair is.
    pub(crate) fn place_of(
        &self,
        child: &Child,
        behind_nat: bool,
        identity: &Identification,
    ) -> Place {
        let beside = self.carriers.system.is_some() && child.carrier == Carrier::Soft;
        let port = child.encapsulation.map(|ports| PeerPort {
            local: SocketAddr::new(child.local.ip(), ports.local_port),
            peer: child.peer,
        });
        let inner = Inner {
            port: child.traffic.peer.port,
            original: child.peer_original,
            identity: identity.clone(),
        };
        Place {
            reqid: child.reqid,
            carrier: child.carrier,
            port: port.filter(|_| beside),
            inner: Some(inner).filter(|_| behind_nat && child.mode == Mode::Transport),
        }
    }

    /// A pair's peer has another address or port.
    pub(crate) fn relocate(&mut self, child: ChildId, peer: SocketAddr) {
        // The new port is bound before the old one is released.
        let before = self.places.get(child).cloned();
        let Some(mut place) = before else {
            return;
        };
        if let Some(port) = &mut place.port {
            port.peer = peer;
        }
        let (_, released) = self.places.remove(child);
        let bound = self.places.insert(peer.ip(), child, place);
        self.port_changed(bound);
        self.port_changed(released);
    }

    /// Whether a peer is made to use UDP encapsulation, whatever it offers.
    pub(crate) fn wants_encapsulation(&self, now: Instant, address: IpAddr) -> bool {
        self.policy.terms(address).nat.force
            || self.carriers.both()
                && (self.encapsulated.contains(now, address) || self.places.has_bound(address))
    }

    fn port_changed(&mut self, change: Option<PortChange>) {
        let request = match change {
            None => return,
            Some(PortChange::Bind(port)) => KernelRequest::BindPeer(port),
            Some(PortChange::Release(port)) => KernelRequest::ReleasePeer(port),
        };
        self.kernel(Carrier::Soft, request);
    }

    /// Sends an ISAKMP message, in fragments when it is long and the peer takes them.
    pub(crate) fn send(&mut self, path: &Path, fragments: bool, message: Vec<u8>) {
        let size = self.policy.fragmentation.size;
        let cut = match self.policy.terms(path.peer.ip()).fragmentation {
            Fragmentation::Off => false,
            Fragmentation::On => fragments,
            Fragmentation::Force => true,
        };
        let pieces = cut.then(|| split(path, size, &message)).flatten();
        let Some(pieces) = pieces else {
            self.transmit(path, message);
            return;
        };
        for piece in pieces {
            self.counters.fragments_out = self.counters.fragments_out.wrapping_add(1);
            self.transmit(path, piece);
        }
    }

    /// Sends one datagram.
    pub(crate) fn transmit(&mut self, path: &Path, message: Vec<u8>) {
        self.counters.datagrams_out = self.counters.datagrams_out.wrapping_add(1);
        self.outputs.push_back(Output::Transmit(Transmit {
            local: path.local,
            peer: path.peer,
            natt_port: path.natt_port,
            marker: path.natt_port,
            bytes: message,
        }));
    }

    /// Sends the one octet that keeps a NAT mapping alive (RFC 3948 2.3).
    pub(crate) fn keepalive(&mut self, path: &Path) {
        self.outputs.push_back(Output::Transmit(Transmit {
            local: path.local,
            peer: path.peer,
            natt_port: path.natt_port,
            marker: false,
            bytes: vec![0xff],
        }));
    }

    /// Whether another computation may be started for a peer.
    pub(crate) fn job_possible(&self) -> bool {
        self.jobs.len() < self.policy.limits.dh_jobs
    }

    pub(crate) fn start_job(&mut self, owner: JobOwner, make: impl FnOnce(JobId) -> Job) {
        let id = JobId(self.number());
        self.jobs.insert(id, owner);
        self.outputs.push_back(Output::Job(make(id)));
    }

    /// Starts what a responder computes with the public value of its peer.
    pub(crate) fn start_exchange(
        &mut self,
        owner: JobOwner,
        group: Group,
        peer: Vec<u8>,
        rng: &mut dyn CryptoRng,
    ) {
        if let Some(pair) = self.ready.take(group) {
            self.start_job(owner, |id| Job::agree(id, pair, peer));
        } else {
            let private = group.private_key(rng);
            self.start_job(owner, |id| Job::exchange(id, private, peer));
        }
    }

    /// Counts a refusal, and reports it when this peer has not been reported for it lately; says
    /// whether it did.
    pub(crate) fn refuse(&mut self, now: Instant, peer: SocketAddr, reason: Refusal) -> bool {
        let count = self.counters.refused.entry(reason.to_string()).or_default();
        *count = count.wrapping_add(1);
        let key = (peer.ip(), reason);
        if self.reported.get(&key).is_some_and(|until| *until > now) {
            return false;
        }
        if self.reported.len() >= MAX_REPORTED {
            self.reported.retain(|_, until| *until > now);
            if self.reported.len() >= MAX_REPORTED {
                return false;
            }
        }
        self.reported.insert(key, now + REPORT_INTERVAL);
        self.event(Event::Refused { peer, reason });
        true
    }

    /// Counts octets that are no message of ours to read, and tells once who sends them.
    pub(crate) fn malformed(&mut self, now: Instant, peer: SocketAddr) {
        self.counters.malformed = self.counters.malformed.wrapping_add(1);
        self.refuse(now, peer, Refusal::Malformed);
    }

    /// Whether one more unauthenticated answer may be sent at this moment.
    pub(crate) fn may_answer(&mut self, now: Instant) -> bool {
        let allowed = self.answers.take(now, self.policy.limits.stateless_answers);
        if !allowed {
            self.counters.answers_suppressed = self.counters.answers_suppressed.wrapping_add(1);
        }
        allowed
    }

    /// Something a checkpoint must record has changed.
    pub(crate) fn changed(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

/// So many per second, and no more than a second's worth at once.
#[derive(Debug, Default)]
struct TokenBucket {
    second: Option<Instant>,
    used: u32,
}

impl TokenBucket {
    fn take(&mut self, now: Instant, per_second: u32) -> bool {
        let fresh = self
            .second
            .is_none_or(|start| now.saturating_duration_since(start) >= Duration::from_secs(1));
        if fresh {
            self.second = Some(now);
            self.used = 0;
        }
        if self.used >= per_second {
            return false;
        }
        self.used = self.used.saturating_add(1);
        true
    }
}

/// A random number below `bound`, for jitter: no need to be unbiased.
pub(crate) fn random_below(rng: &mut dyn CryptoRng, bound: u64) -> u64 {
    rng.next_u64().checked_rem(bound).unwrap_or(0)
}

/// A moment between `low` and `high` percent of a lifetime from now.
pub(crate) fn jittered(
    rng: &mut dyn CryptoRng,
    now: Instant,
    lifetime: Duration,
    low: u32,
    high: u32,
) -> Instant {
    let start = lifetime.saturating_mul(low) / 100;
    let spread = lifetime.saturating_mul(high.saturating_sub(low)) / 100;
    let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).max(1);
    now + start + Duration::from_millis(random_below(rng, spread))
}

/// Random octets.
pub(crate) fn random_bytes<const N: usize>(rng: &mut dyn CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A random number that is not zero.
pub(crate) fn random_message_id(rng: &mut dyn CryptoRng) -> u32 {
    loop {
        let id = rng.next_u32();
        if id != 0 {
            return id;
        }
    }
}
