//! Requests of racoonctl.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ike_crypto::Secret;
use ike_proto::error::CommandError;
use ike_proto::io::{ChildId, IkeId};
use ike_proto::policy;
use ike_proto::view::{ChildSaView, IkeSaView};
use pfkey::{Message, MessageType, Numbering, SaType};
use slog::info;
use zeroize::Zeroizing;

use super::daemon::Daemon;
use super::phase1::Meaning;
use super::waiting::SasReply;
use crate::racoonctl::server::{Call, EventSender, Reply, Request};
use crate::racoonctl::wire::{self, AsyncEvent, EventKind, Indexes, Ph1Dump, Protocol, SchedDump};
use crate::state::wall_clock;

/// Listeners to events.
const MAX_LISTENERS: usize = 32;
/// ISAKMP's version octet: 1.0.
const VERSION: u8 = 0x10;

/// Somebody who wants to hear of events.
#[derive(Debug)]
pub(super) struct Listener {
    /// Only of this peer, and until its phase 1 has ended.
    peer: Option<IpAddr>,
    events: EventSender,
}

impl Daemon {
    /// Carries out one request.
    pub(super) fn admin(&mut self, call: Call) {
        let Call { request, reply } = call;
        match request {
            Request::Reload => match self.reload() {
                Ok(_) => reply.done(),
                Err(_) => reply.refuse(libc::EINVAL),
            },
            Request::ShowSchedule => reply.body(self.schedule()),
            Request::ShowEvent => self.listen(None, reply),
            Request::ShowSa(protocol) => self.show_sa(protocol, reply),
            Request::FlushSa(protocol) => self.flush_sa(protocol, reply),
            Request::DeleteSa(indexes) => {
                self.delete_sas(|sa| is_between(sa, &indexes));
                reply.done();
            }
            Request::DeleteAllTo(indexes) => self.delete_all_to(&indexes, reply),
            Request::Establish(protocol, indexes, name) => {
                self.establish(protocol, &indexes, name.as_deref(), reply);
            }
            Request::EstablishAs(protocol, indexes, login) => {
                self.use_login(&indexes, login);
                self.establish(protocol, &indexes, None, reply);
            }
            Request::LogoutUser(user) => {
                self.delete_sas(|sa| sa.user.as_ref() == Some(&user));
                reply.done();
            }
            Request::GetCert(indexes) => {
                let sas = self.endpoint.ike_sas(Instant::now());
                let sa = sas.iter().find(|sa| is_between(sa, &indexes));
                // Without one for a peer that authenticates by a key that both know.
                let certificate = sa.map(|sa| sa.peer_certificate.as_deref().unwrap_or_default());
                match certificate {
                    Some(der) => reply.body(Zeroizing::new(der.to_vec())),
                    None => reply.refuse(libc::ENOENT),
                }
            }
        }
    }

    /// Tells listeners of what happened.
    pub(super) fn announce(&mut self, meaning: &Meaning) {
        let Some(ends) = meaning.ends else {
            return;
        };
        for kind in &meaning.events {
            self.tell(*kind, Some(ends.local), Some(ends.peer), |listener| {
                listener.peer.is_none_or(|peer| peer == ends.peer.ip())
            });
        }
        if meaning.is_last {
            let over = |listener: &Listener| listener.peer == Some(ends.peer.ip());
            self.listeners.retain(|listener| !over(listener));
        }
    }

    /// Tells everybody that this is the end.
    pub(super) fn announce_end(&mut self) {
        self.tell(EventKind::Quit, None, None, |_| true);
    }

    fn tell(
        &mut self,
        kind: EventKind,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
        whom: impl Fn(&Listener) -> bool,
    ) {
        let event = AsyncEvent {
            kind: kind.number().into(),
            timestamp: i64::try_from(wall_clock()).unwrap_or(i64::MAX),
            local,
            remote,
            message_id: 0,
        };
        // Who has gone, or reads too slowly, hears nothing more.
        self.listeners
            .retain(|listener| !whom(listener) || listener.events.try_send(event).is_ok());
    }

    fn listen(&mut self, peer: Option<IpAddr>, reply: Reply) {
        self.listeners
            .retain(|listener| !listener.events.is_closed());
        if self.listeners.len() >= MAX_LISTENERS {
            reply.refuse(libc::ENOBUFS);
            return;
        }
        let events = reply.subscribe();
        self.listeners.push(Listener { peer, events });
    }

    fn show_sa(&mut self, protocol: Protocol, reply: Reply) {
        match protocol {
            Protocol::Isakmp => {
                let now = Instant::now();
                let (sas, pairs) = (self.endpoint.ike_sas(now), self.endpoint.child_sas(now));
                let mut body = Zeroizing::default();
                for sa in &sas {
                    phase1(sa, &pairs).emit(&mut body);
                }
                reply.body(body);
            }
            Protocol::Ipsec | Protocol::Esp if self.stats.kernel_connected => {
                self.gather_sas(SasReply::Admin(reply));
            }
            Protocol::Ipsec | Protocol::Esp => reply.refuse(libc::ENOTCONN),
            Protocol::Ah => reply.body(sa_dump(&[])),
            Protocol::Internal => reply.refuse(libc::ENOTSUP),
        }
    }

    fn flush_sa(&mut self, protocol: Protocol, reply: Reply) {
        let now = Instant::now();
        match protocol {
            Protocol::Isakmp => {
                let ids: Vec<IkeId> = self.endpoint.ike_sas(now).iter().map(|sa| sa.id).collect();
                for id in ids {
                    // It may have gone with the one before.
                    let _ = self.endpoint.delete_ike(now, id, false, &mut self.rng);
                }
            }
            Protocol::Ipsec | Protocol::Esp => {
                let pairs = self.endpoint.child_sas(now);
                let ids: Vec<ChildId> = pairs.iter().map(|pair| pair.id).collect();
                for id in ids {
                    let _ = self.endpoint.delete_child(now, id, &mut self.rng);
                }
            }
            Protocol::Ah => {}
            Protocol::Internal => return reply.refuse(libc::ENOTSUP),
        }
        reply.done();
    }

    fn delete_all_to(&mut self, indexes: &Indexes, reply: Reply) {
        let Some(peer) = indexes.destination.map(|address| address.ip()) else {
            return reply.refuse(libc::EINVAL);
        };
        let sas = self.endpoint.ike_sas(Instant::now());
        match sas.iter().any(|sa| sa.peer.ip() == peer) {
            true => self.listen(Some(peer), reply),
            false => reply.done(),
        }
        self.delete_sas(|sa| sa.peer.ip() == peer);
    }

    /// Deletes phase 1s with everything that hangs on them.
    fn delete_sas(&mut self, which: impl Fn(&IkeSaView) -> bool) {
        let now = Instant::now();
        let sas = self.endpoint.ike_sas(now);
        let ids: Vec<IkeId> = sas.iter().filter(|sa| which(sa)).map(|sa| sa.id).collect();
        for id in ids {
            // One of the same client may have gone with the one before.
            let _ = self.endpoint.delete_ike(now, id, true, &mut self.rng);
        }
    }

    fn establish(
        &mut self,
        protocol: Protocol,
        indexes: &Indexes,
        name: Option<&str>,
        reply: Reply,
    ) {
        let Some(destination) = indexes.destination.map(|address| address.ip()) else {
            return reply.refuse(libc::EINVAL);
        };
        let found = self.config.connections.iter().find(|configured| {
            let connection = &configured.connection;
            match name {
                Some(name) => connection.name == name,
                None => {
                    let network = connection.peer_network;
                    connection.peer.ip() == destination
                        || protocol != Protocol::Isakmp
                            && network.is_some_and(|network| network.contains(&destination))
                }
            }
        });
        let Some(connection) = found.map(|configured| configured.connection.clone()) else {
            info!(self.log, "racoonctl: no connection to there"; "peer" => %destination);
            return reply.refuse(libc::ENOENT);
        };
        let peer = connection.peer.ip();
        let now = Instant::now();
        let of_peer: Vec<IkeSaView> = self.endpoint.ike_sas(now);
        let of_peer: Vec<&IkeSaView> = of_peer.iter().filter(|sa| sa.peer.ip() == peer).collect();
        let is_up = match protocol {
            Protocol::Isakmp => of_peer.iter().any(|sa| sa.established.is_some()),
            _ => {
                let pairs = self.endpoint.child_sas(now);
                let is_up = |pair: &ChildSaView| pair.established.is_some();
                pairs
                    .iter()
                    .any(|pair| pair.peer.ip() == peer && is_up(pair))
            }
        };
        if is_up {
            return reply.refuse(libc::EEXIST);
        }
        let is_under_way = of_peer
            .iter()
            .any(|sa| sa.initiator && sa.established.is_none());
        if is_under_way {
            return self.listen(Some(peer), reply);
        }
        // Our address towards the peer may have changed since.
        self.apply_policy();
        match self.endpoint.initiate(now, &connection.name, &mut self.rng) {
            Ok(_) => self.listen(Some(peer), reply),
            Err(error) => {
                info!(self.log, "racoonctl: not started"; "connection" => &connection.name,
                    "reason" => %error);
                reply.refuse(match error {
                    CommandError::UnknownConnection(_) => libc::EHOSTUNREACH,
                    CommandError::TooMany => libc::ENOBUFS,
                    _ => libc::EACCES,
                });
            }
        }
    }

    /// From now on, as in racoon, until the configuration is read again.
    fn use_login(&mut self, indexes: &Indexes, login: wire::Login) {
        let peer = indexes.destination.map(|address| address.ip());
        let mut connections = self.config.connections.iter_mut();
        let found = connections.find(|own| Some(own.connection.peer.ip()) == peer);
        if let Some(configured) = found {
            configured.connection.login = Some(policy::Login {
                user: login.user,
                password: Secret::from(login.password.as_bytes()),
            });
        }
    }

    /// When SAs are renewed and end.
    fn schedule(&self) -> Zeroizing<Vec<u8>> {
        let now = Instant::now();
        let mut body = Zeroizing::default();
        let mut id = 0;
        let mut timer = |age: Option<Duration>, left: Option<Duration>| {
            let (Some(age), Some(left)) = (age, left) else {
                return;
            };
            id += 1;
            let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
            SchedDump {
                due: seconds((now + left).saturating_duration_since(self.started())),
                id,
                created: seconds_at(age),
                tick: seconds(age.saturating_add(left)),
            }
            .emit(&mut body);
        };
        for sa in self.endpoint.ike_sas(now) {
            timer(sa.established, sa.rekey_in);
            timer(sa.established, sa.expires_in);
        }
        for pair in self.endpoint.child_sas(now) {
            timer(pair.established, pair.rekey_in);
            timer(pair.established, pair.expires_in);
        }
        body
    }
}

/// A dump as racoon passes it on; of nothing it is the kernel's `ENOENT`.
pub(super) fn sa_dump(sas: &[Message]) -> Zeroizing<Vec<u8>> {
    let numbering = Numbering::system();
    if sas.is_empty() {
        let mut nothing = Message::new(MessageType::DUMP, SaType::UNSPEC, 0, 0);
        nothing.errno = u8::try_from(libc::ENOENT).unwrap_or(u8::MAX);
        return nothing.emit(numbering);
    }
    let mut body = Zeroizing::default();
    for (sa, left) in sas.iter().zip((0..sas.len()).rev()) {
        let mut sa = sa.clone();
        // Readers stop at the one with 0.
        sa.sequence = u32::try_from(left).unwrap_or(u32::MAX);
        let octets: &mut Vec<u8> = &mut body;
        octets.extend_from_slice(&sa.emit(numbering));
    }
    body
}

/// When that was, in seconds since 1970. Both in full: else it moves by a second now and then.
fn seconds_at(age: Duration) -> i64 {
    let then = SystemTime::now().checked_sub(age);
    let since = then.and_then(|then| then.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

fn phase1(sa: &IkeSaView, pairs: &[ChildSaView]) -> Ph1Dump {
    let mut cookies = [0; 16];
    let digits = sa
        .initiator_cookie
        .bytes()
        .chain(sa.responder_cookie.bytes());
    for (at, digit) in digits.enumerate().take(32) {
        let value = char::from(digit).to_digit(16).unwrap_or(0);
        if let (Some(octet), Ok(value)) = (cookies.get_mut(at / 2), u8::try_from(value)) {
            *octet = *octet << 4 | value;
        }
    }
    let created = sa.established.map_or(0, seconds_at);
    let phase2s = pairs.iter().filter(|pair| pair.ike == sa.id).count();
    Ph1Dump {
        cookies,
        status: status(&sa.state),
        initiator: sa.initiator,
        remote: Some(sa.peer),
        local: Some(sa.local),
        version: VERSION,
        // Identity protection, or aggressive: RFC 2408 3.1.
        exchange: if sa.aggressive { 4 } else { 2 },
        created,
        phase2s: i32::try_from(phase2s).unwrap_or(i32::MAX),
    }
}

/// `PHASE1ST_*` of a state: the number of the last message and whether it was sent.
fn status(state: &str) -> i32 {
    match state {
        "AM1-received" => 2,
        "MM1-sent" | "MM2-sent" | "AM1-sent" | "AM2-sent" => 3,
        "MM2-received" | "MM3-received" | "AM2-received" => 4,
        "MM3-sent" | "MM4-sent" | "AM3-sent" => 5,
        "MM4-received" => 6,
        "MM5-sent" => 7,
        "established" => 9,
        "rekeyed" => 10,
        _ => 1,
    }
}

fn is_between(sa: &IkeSaView, indexes: &Indexes) -> bool {
    is_at(sa.local, indexes.source) && is_at(sa.peer, indexes.destination)
}

/// Port 0 is any port, and so is no address any address.
fn is_at(own: SocketAddr, asked: Option<SocketAddr>) -> bool {
    asked.is_none_or(|asked| {
        own.ip() == asked.ip() && (asked.port() == 0 || asked.port() == own.port())
    })
}
