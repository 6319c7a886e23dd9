//! Between the protocol core's kernel requests and PF_KEYv2 messages. No I/O.
//!
//! * `requests`: the parts of requests, from the core's words
//! * `answers`: what comes back
//!
//! Facts about the FreeBSD 14 kernel that shape this file: UPDATE wants the process id that did
//! GETSPI; hard and soft lifetimes come as a pair; NAT-T is for IPv4; NAT-OA belongs to the inbound
//! transport SA and is compared with that SA's own source (OAI) and destination (OAR).

mod answers;
mod requests;

use std::collections::HashMap;
use std::net::IpAddr;

use ike_proto::carrier::Carrier;
use ike_proto::io::{
    ChildId, Direction, GetSpi, KernelRequest, Mode, MovePeer, SaDelete, SaInstall,
};
use ike_proto::policy::Sha256Icv;
use pfkey::client::{Client, NatT, SaRequest, SaSelector};
use pfkey::{Address, Key, Lifetime, Message, Numbering, Request, SaType, SpiRange};

pub use answers::{Outcome, failed, words};
use requests::{lifetimes, mode, moved, oriented, sp_request};

use super::abilities::{authentication, encryption};
use crate::config::static_entry::StaticEntry;

/// Requests under way; the oldest is given up beyond.
const MAX_PENDING: usize = 4096;

/// One conversation with a kernel over PF_KEY.
#[derive(Debug)]
pub struct Translator {
    carrier: Carrier,
    spis: Option<SpiRange>,
    client: Client,
    pending: HashMap<u32, Pending>,
    /// What a change of an SA's addresses has to repeat, by SPI and destination.
    installed: HashMap<(u32, IpAddr), Installed>,
}

/// What an SA loses when an UPDATE does not repeat it.
#[derive(Debug, Clone, Copy)]
struct Installed {
    mode: pfkey::Mode,
    lifetimes: Option<(Lifetime, Lifetime)>,
    original_initiator: Option<IpAddr>,
    original_responder: Option<IpAddr>,
}

/// What a request was for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pending {
    Spi(ChildId),
    Install(ChildId, Direction),
    Look(ChildId),
    Register,
    Quiet(&'static str),
    /// An entry of a setkey(8) script, by its text.
    Static(String),
    Sas,
    Policies,
}

impl Translator {
    /// `pid` is what stands in every request; a daemon keeps it over restarts.
    pub fn new(carrier: Carrier, numbering: Numbering, pid: u32) -> Self {
        Self {
            carrier,
            spis: None,
            client: Client::new(numbering, pid),
            pending: HashMap::new(),
            installed: HashMap::new(),
        }
    }

    /// Asks for SPIs that no other kernel of this host gives out.
    pub fn with_own_spis(mut self) -> Self {
        let (min, max) = match self.carrier {
            Carrier::System => (0x100, 0x7fff_ffff),
            Carrier::Soft => (0x8000_0000, 0xffff_ffff),
        };
        self.spis = Some(SpiRange { min, max });
        self
    }

    /// The number in every request.
    pub fn pid(&self) -> u32 {
        self.client.pid()
    }

    /// Remembers the SAs of a dump: an earlier process installed them.
    pub fn adopt(&mut self, sas: &[Message]) {
        for message in sas {
            let (Some(sa), Some(destination)) = (message.sa(), message.destination()) else {
                continue;
            };
            let lifetimes = message
                .lifetime_hard()
                .copied()
                .zip(message.lifetime_soft().copied());
            let installed = Installed {
                mode: message.sa2().map_or(pfkey::Mode::TRANSPORT, |sa2| sa2.mode),
                lifetimes,
                original_initiator: message.nat_t_original_initiator().map(Address::ip),
                original_responder: message.nat_t_original_responder().map(Address::ip),
            };
            self.installed.insert((sa.spi, destination.ip()), installed);
        }
    }

    /// Whether every request is answered.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// First of all: asks for EXPIRE and ACQUIRE.
    pub fn register(&mut self) -> Request {
        let request = self.client.register(SaType::ESP);
        self.expect(request, Pending::Register)
    }

    /// The messages that carry out `request`.
    pub fn submit(&mut self, request: &KernelRequest) -> Vec<Request> {
        match request {
            KernelRequest::GetSpi(get) => vec![self.get_spi(get)],
            KernelRequest::Install(sa) => vec![self.install(sa)],
            KernelRequest::Delete(sa) => vec![self.delete(sa)],
            KernelRequest::Look(sa) => {
                let request = self.client.get(&SaSelector {
                    sa_type: SaType::ESP,
                    spi: sa.spi,
                    source: sa.source,
                    destination: sa.destination,
                });
                vec![self.expect(request, Pending::Look(sa.child))]
            }
            KernelRequest::MovePeer(change) => self.move_peer(change),
            KernelRequest::AddPolicy(policy) => {
                let request = self.client.spd_update(&sp_request(policy));
                vec![self.expect(request, Pending::Quiet("SPDUPDATE"))]
            }
            // A matter of sockets, not of PF_KEY.
            KernelRequest::BindPeer(_) | KernelRequest::ReleasePeer(_) => Vec::new(),
            KernelRequest::RemovePolicy(policy) => {
                let request = self.client.spd_delete(&sp_request(policy));
                vec![self.expect(request, Pending::Quiet("SPDDELETE"))]
            }
        }
    }

    /// Asks for all ESP SAs. `None` while that is under way already.
    pub fn dump_sas(&mut self) -> Option<Request> {
        let request = self.client.dump(SaType::ESP)?;
        Some(self.expect(request, Pending::Sas))
    }

    /// Asks for all policies. `None` while that is under way already.
    pub fn dump_policies(&mut self) -> Option<Request> {
        let request = self.client.spd_dump()?;
        Some(self.expect(request, Pending::Policies))
    }

    /// Removes an SA that belongs to nobody.
    pub fn remove(&mut self, spi: u32, source: IpAddr, destination: IpAddr) -> Request {
        let selector = SaSelector {
            sa_type: SaType::ESP,
            spi,
            source,
            destination,
        };
        let request = self.client.delete(&selector);
        self.expect(request, Pending::Quiet("DELETE"))
    }

    /// Adds an entry of a setkey(8) script; what is there already is not replaced.
    pub fn add_static(&mut self, entry: &StaticEntry) -> Request {
        let request = match entry {
            StaticEntry::Policy(policy) => self.client.spd_add(policy),
            StaticEntry::Sa(sa) => self.client.add(sa),
        };
        self.expect(request, Pending::Static(entry.to_string()))
    }

    /// Removes an entry of a setkey(8) script.
    pub fn remove_static(&mut self, entry: &StaticEntry) -> Request {
        let (request, what) = match entry {
            StaticEntry::Policy(policy) => (self.client.spd_delete(policy), "SPDDELETE"),
            StaticEntry::Sa(sa) => {
                let selector = SaSelector {
                    sa_type: sa.sa_type,
                    spi: sa.spi,
                    source: sa.source,
                    destination: sa.destination,
                };
                (self.client.delete(&selector), "DELETE")
            }
        };
        self.expect(request, Pending::Quiet(what))
    }

    /// Removes a policy that belongs to nobody, by the kernel's number.
    pub fn remove_policy(&mut self, id: u32) -> Request {
        let request = self.client.spd_delete_id(id);
        self.expect(request, Pending::Quiet("SPDDELETE"))
    }

    fn get_spi(&mut self, get: &GetSpi) -> Request {
        let request = self.client.getspi(
            SaType::ESP,
            mode(get.mode),
            get.reqid.0,
            get.source,
            get.destination,
            self.spis,
        );
        self.expect(request, Pending::Spi(get.child))
    }

    fn install(&mut self, sa: &SaInstall) -> Request {
        let inbound = sa.direction == Direction::Inbound;
        let (source, destination) = oriented(sa.direction, sa.local, sa.peer);
        let nat_t = sa.encapsulation.map(|ports| {
            let (source_port, destination_port) =
                oriented(sa.direction, ports.local_port, ports.peer_port);
            // Checksums are only mended on the way in, and only where the addresses stand in the
            // packet that was protected.
            let told = inbound
                && sa.mode == Mode::Transport
                && (sa.peer_original.is_some() || sa.local_original.is_some());
            NatT {
                source_port,
                destination_port,
                original_initiator: told.then(|| sa.peer_original.unwrap_or(sa.peer)),
                original_responder: told.then(|| sa.local_original.unwrap_or(sa.local)),
            }
        });
        let installed = Installed {
            mode: mode(sa.mode),
            lifetimes: lifetimes(sa),
            original_initiator: nat_t.and_then(|nat_t| nat_t.original_initiator),
            original_responder: nat_t.and_then(|nat_t| nat_t.original_responder),
        };
        self.installed.insert((sa.spi, destination), installed);
        // Finding it out is softkernel's; the others have 128 bits.
        let icv = match (self.carrier, sa.sha256_icv) {
            (Carrier::System, Sha256Icv::Detect) => Sha256Icv::Full,
            (_, icv) => icv,
        };
        let request = SaRequest {
            sa_type: SaType::ESP,
            spi: sa.spi,
            source,
            destination,
            mode: installed.mode,
            reqid: sa.reqid.0,
            encryption: encryption(sa.cipher),
            encryption_key: Key::new(&sa.encryption_key),
            authentication: authentication(sa.auth, icv),
            authentication_key: (!sa.auth_key.is_empty()).then(|| Key::new(&sa.auth_key)),
            replay_window: sa.replay_window,
            flags: 0,
            lifetimes: installed.lifetimes,
            nat_t,
        };
        let request = match sa.direction {
            Direction::Inbound => self.client.update(&request),
            Direction::Outbound => self.client.add(&request),
        };
        self.expect(request, Pending::Install(sa.child, sa.direction))
    }

    fn delete(&mut self, sa: &SaDelete) -> Request {
        self.installed.remove(&(sa.spi, sa.destination));
        self.remove(sa.spi, sa.source, sa.destination)
    }

    fn move_peer(&mut self, change: &MovePeer) -> Vec<Request> {
        let mut requests = Vec::with_capacity(change.sas.len().saturating_mul(2));
        for (_, spi_in, spi_out) in &change.sas {
            let outbound = spi_out.map(|spi| (Direction::Outbound, spi));
            for (direction, spi) in outbound.into_iter().chain([(Direction::Inbound, *spi_in)]) {
                let (_, before) = oriented(direction, change.local.ip(), change.old.ip());
                let (_, after) = oriented(direction, change.local.ip(), change.new.ip());
                let installed = self.installed.remove(&(spi, before)).unwrap_or(Installed {
                    mode: pfkey::Mode::TRANSPORT,
                    lifetimes: None,
                    original_initiator: None,
                    original_responder: None,
                });
                self.installed.insert((spi, after), installed);
                let sa = moved(change, direction, spi, installed);
                let request = match installed.lifetimes {
                    None => self.client.update_addresses(&sa),
                    Some((hard, soft)) => {
                        self.client.update_addresses_and_lifetimes(&sa, hard, soft)
                    }
                };
                requests.push(self.expect(request, Pending::Quiet("UPDATE of addresses")));
            }
        }
        requests
    }

    fn expect(&mut self, request: Request, pending: Pending) -> Request {
        if self.pending.len() >= MAX_PENDING
            && let Some(oldest) = self.pending.keys().min().copied()
        {
            self.pending.remove(&oldest);
        }
        self.pending.insert(request.sequence, pending);
        request
    }
}
