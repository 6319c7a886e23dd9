//! Writing down and taking over established state.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ike_crypto::{Cipher, Group, Hash, Iv, Secret};

use crate::carrier::Carrier;
use crate::checkpoint::{
    CHECKPOINT_VERSION, Checkpoint, ChildCheckpoint, ClientCheckpoint, HexBytes, IkeCheckpoint,
};
use crate::error::CommandError;
use crate::iana::AuthMethod;
use crate::ikev1::child::{Child, ChildStage};
use crate::ikev1::dpd::Dpd;
use crate::ikev1::phase1::Phase;
use crate::ikev1::protect::{MessageIds, MessageKey, SaKeys};
use crate::ikev1::transaction::Xauth;
use crate::ikev1::{Established, Session};
use crate::io::SecurityPolicy;
use crate::nat::{NatState, Path};
use crate::negotiate::Phase1Suite;
use crate::policy::{EspSuite, Method};
use crate::vendor::NatVariant;
use crate::wire::id::IdPayload;

use super::Endpoint;
use super::clients::Client;

/// Translates between the clock that counts and the clock on the wall.
#[derive(Clone, Copy)]
struct Clock {
    now: Instant,
    wall: u64,
}

impl Clock {
    fn to_wall(self, at: Instant) -> u64 {
        match at.checked_duration_since(self.now) {
            Some(ahead) => self.wall.saturating_add(ahead.as_secs()),
            None => {
                let past = self.now.saturating_duration_since(at);
                self.wall.saturating_sub(past.as_secs())
            }
        }
    }

    /// Past moments before this process's clock began become now.
    fn to_instant(self, wall: u64) -> Instant {
        // A checkpoint is not trusted to be sane: no more than ten years ahead.
        const FAR: u64 = 10 * 365 * 86_400;
        match wall.checked_sub(self.wall) {
            Some(ahead) => self.now + Duration::from_secs(ahead.min(FAR)),
            None => self
                .now
                .checked_sub(Duration::from_secs(self.wall.saturating_sub(wall)))
                .unwrap_or(self.now),
        }
    }
}

fn damaged(what: &str) -> CommandError {
    CommandError::Checkpoint(what.to_owned())
}

impl Endpoint {
    /// Established state, to be given to `restore` of the next process. `wall` is the wall clock
    /// in seconds.
    pub fn checkpoint(&self, now: Instant, wall: u64) -> Checkpoint {
        let clock = Clock { now, wall };
        let first = self.first_carrier();
        let of = |client: &Client, carrier| {
            let policies = client.policies.iter();
            policies
                .filter(|(own, _)| *own == carrier)
                .map(|(_, policy)| *policy)
                .collect()
        };
        Checkpoint {
            version: CHECKPOINT_VERSION,
            written: wall,
            next_id: self.shared.next_id,
            clients: self
                .clients
                .values()
                .map(|client| ClientCheckpoint {
                    reqid: client.reqid,
                    local: client.local,
                    peer: client.peer,
                    natt_port: client.natt_port,
                    peer_nat: client.peer_nat,
                    identity: client.identity.clone(),
                    connection: client.connection.clone(),
                    policies: of(client, first),
                    soft_policies: match first {
                        Carrier::System => of(client, Carrier::Soft),
                        Carrier::Soft => Vec::new(),
                    },
                    lease: self.shared.leases.of(client.reqid),
                })
                .collect(),
            ike_sas: self
                .sessions
                .values()
                .filter_map(|session| {
                    // Without a password it is not worth keeping: it is asked for again.
                    session
                        .established()
                        .filter(|e| e.xauth.is_through())
                        .map(|e| session_checkpoint(session, e, clock))
                })
                .collect(),
            children: self
                .children
                .values()
                .filter(|child| child.is_up())
                .map(|child| child_checkpoint(child, clock))
                .collect(),
        }
    }

    /// The kernel that is meant where a checkpoint does not say.
    fn first_carrier(&self) -> Carrier {
        match self.shared.carriers.system {
            Some(_) => Carrier::System,
            None => Carrier::Soft,
        }
    }

    /// Takes over the state of an earlier process. Only for a fresh endpoint. What has expired
    /// meanwhile is removed at the next `handle_timeout`, kernel included.
    ///
    /// # Errors
    /// [`CommandError::Checkpoint`] when it cannot be used; nothing is taken over then.
    pub fn restore(
        &mut self,
        now: Instant,
        wall: u64,
        checkpoint: &Checkpoint,
    ) -> Result<(), CommandError> {
        if checkpoint.version != CHECKPOINT_VERSION {
            return Err(damaged("written by another version"));
        }
        if !self.sessions.is_empty() || !self.clients.is_empty() {
            return Err(damaged("there is state already"));
        }
        let clock = Clock { now, wall };
        let first = self.first_carrier();
        let sessions = checkpoint
            .ike_sas
            .iter()
            .map(|saved| restore_session(saved, clock))
            .collect::<Result<Vec<Session>, _>>()?;
        let children = checkpoint
            .children
            .iter()
            .map(|saved| restore_child(saved, first, clock))
            .collect::<Result<Vec<Child>, _>>()?;
        self.shared.next_id = self.shared.next_id.max(checkpoint.next_id);
        for saved in &checkpoint.clients {
            self.last_reqid = self.last_reqid.max(saved.reqid.0);
            let client = Client {
                reqid: saved.reqid,
                local: saved.local,
                peer: saved.peer,
                natt_port: saved.natt_port,
                peer_nat: saved.peer_nat,
                identity: saved.identity.clone(),
                connection: saved.connection.clone(),
                sessions: BTreeSet::new(),
                children: BTreeSet::new(),
                policies: placed(first, &saved.policies)
                    .chain(placed(Carrier::Soft, &saved.soft_policies))
                    .collect(),
                fresh_since: None,
                traffic: None,
                asked: false,
            };
            self.move_address(saved.reqid, None, Some(client.peer.ip()));
            self.clients.insert(saved.reqid, Box::new(client));
            if let Some(address) = saved.lease {
                self.shared.leases.hold(saved.reqid, address);
            }
        }
        for session in sessions {
            let id = session.id;
            let client = session.established().map(|established| established.client);
            let Some(client) = client.and_then(|reqid| self.clients.get_mut(&reqid)) else {
                continue;
            };
            client.sessions.insert(id);
            self.by_cookies.insert((session.cky_i, session.cky_r), id);
            self.shared.next_id = self.shared.next_id.max(id.0.saturating_add(1));
            self.sessions.insert(id, Box::new(session));
            self.arm_session(id);
        }
        for child in children {
            let id = child.id;
            let Some(client) = self.clients.get_mut(&child.reqid) else {
                continue;
            };
            client.children.insert(id);
            let place = self
                .shared
                .place_of(&child, client.peer_nat, &client.identity);
            self.shared.place(child.peer.ip(), id, place);
            self.by_spi_in.insert(child.spi_in, id);
            self.shared.next_id = self.shared.next_id.max(id.0.saturating_add(1));
            self.children.insert(id, Box::new(child));
            self.arm_child(id);
        }
        let reqids: Vec<_> = self.clients.keys().copied().collect();
        for reqid in reqids {
            self.arm_client(reqid);
            self.collect_client(reqid);
        }
        Ok(())
    }
}

fn placed(
    carrier: Carrier,
    policies: &[SecurityPolicy],
) -> impl Iterator<Item = (Carrier, SecurityPolicy)> {
    policies.iter().map(move |policy| (carrier, *policy))
}

fn session_checkpoint(session: &Session, established: &Established, clock: Clock) -> IkeCheckpoint {
    let keys = &established.keys;
    IkeCheckpoint {
        id: session.id,
        reqid: established.client,
        connection: session.connection.clone(),
        initiator: session.initiator,
        initiator_cookie: HexBytes::from(&session.cky_i[..]),
        responder_cookie: HexBytes::from(&session.cky_r[..]),
        local: session.path.local,
        peer: session.path.peer,
        natt_port: session.path.natt_port,
        natt_variant: match session.nat.variant {
            NatVariant::None => 0,
            NatVariant::Rfc3947 => 1,
            NatVariant::Draft => 2,
        },
        local_nat: session.nat.local,
        peer_nat: session.nat.peer,
        dpd: session.dpd_supported,
        fragments: session.fragments,
        vendor: session.vendor.clone(),
        local_identity: session.local_identity.clone(),
        peer_identity: established.peer_identity.clone(),
        peer_certificate: session.peer_certificate.as_deref().map(HexBytes::from),
        cipher: established.suite.cipher.iana(),
        key_bits: established.suite.cipher.key_bits(),
        hash: established.suite.hash.iana(),
        group: established.suite.group.iana(),
        method: established.method.iana().0,
        user: established.xauth.user().map(str::to_owned),
        skeyid_d: HexBytes::from(keys.skeyid_d.expose()),
        skeyid_a: HexBytes::from(keys.skeyid_a.expose()),
        key: HexBytes::from(keys.message.key.expose()),
        iv: HexBytes::from(keys.last_block.as_bytes()),
        // What a peer began and we did not finish, it may begin again with the same message.
        message_ids: established
            .seen
            .iter()
            .filter(|id| {
                !established
                    .quick
                    .get(id)
                    .is_some_and(|quick| quick.is_open())
            })
            .collect(),
        dpd_sequence: established.dpd.sequence,
        dpd_peer_sequence: established.dpd.peer_sequence,
        superseded: established.superseded,
        established: clock.to_wall(established.since),
        rekey: established.rekey.map(|at| clock.to_wall(at)),
        retire: established.retire.map(|at| clock.to_wall(at)),
        expires: clock.to_wall(established.expires),
    }
}

fn restore_session(saved: &IkeCheckpoint, clock: Clock) -> Result<Session, CommandError> {
    let cookie = |bytes: &HexBytes| {
        <[u8; 8]>::try_from(bytes.0.as_slice()).map_err(|_| damaged("a cookie of the wrong length"))
    };
    let (Some(cipher), Some(hash), Some(group), Some(method)) = (
        Cipher::from_iana(saved.cipher, saved.key_bits),
        Hash::from_iana(saved.hash),
        Group::from_iana(saved.group),
        Method::from_iana(AuthMethod(saved.method)),
    ) else {
        return Err(damaged("an unknown algorithm"));
    };
    let key = Secret::from(saved.key.0.as_slice());
    let last_block = Iv::new(&saved.iv.0).map_err(|_| damaged("an IV of the wrong length"))?;
    if key.len() != cipher.key_len() || saved.iv.0.len() != cipher.block_len() {
        return Err(damaged("a key that does not fit its cipher"));
    }
    let mut seen = MessageIds::default();
    for id in &saved.message_ids {
        seen.insert(*id);
    }
    let mut dpd = Dpd::new(clock.now, saved.dpd, saved.dpd_sequence);
    dpd.peer_sequence = saved.dpd_peer_sequence;
    let nat = NatState {
        variant: match saved.natt_variant {
            0 => NatVariant::None,
            1 => NatVariant::Rfc3947,
            2 => NatVariant::Draft,
            _ => return Err(damaged("an unknown NAT traversal")),
        },
        local: saved.local_nat,
        peer: saved.peer_nat,
    };
    let path = Path {
        local: saved.local,
        peer: saved.peer,
        natt_port: saved.natt_port,
    };
    let since = clock.to_instant(saved.established);
    let established = Established {
        keys: SaKeys {
            hash,
            message: MessageKey { cipher, key },
            skeyid_d: Secret::from(saved.skeyid_d.0.as_slice()),
            skeyid_a: Secret::from(saved.skeyid_a.0.as_slice()),
            last_block,
        },
        suite: Phase1Suite {
            cipher,
            hash,
            group,
        },
        method,
        peer_identity: saved.peer_identity.clone(),
        since,
        rekey: saved.rekey.map(|at| clock.to_instant(at)),
        expires: clock.to_instant(saved.expires),
        client: saved.reqid,
        quick: BTreeMap::new(),
        seen,
        dpd,
        keepalive: (nat.local && path.natt_port).then_some(clock.now),
        superseded: saved.superseded,
        retire: saved.retire.map(|at| clock.to_instant(at)),
        xauth: saved.user.clone().map_or(Xauth::None, Xauth::Done),
        initial_contact: false,
        transactions: BTreeMap::new(),
        address: None,
    };
    let cookies = (
        cookie(&saved.initiator_cookie)?,
        cookie(&saved.responder_cookie)?,
    );
    let mut session = Session::new(
        saved.id,
        saved.initiator,
        cookies,
        path,
        saved.local_identity.clone(),
        since,
        Phase::Established(Box::new(established)),
    );
    session.nat = nat;
    session.dpd_supported = saved.dpd;
    session.fragments = saved.fragments;
    session.peer_certificate = saved
        .peer_certificate
        .as_ref()
        .map(|der| der.0.as_slice().into());
    session.vendor = saved.vendor.clone();
    session.connection = saved.connection.clone();
    Ok(session)
}

fn child_checkpoint(child: &Child, clock: Clock) -> ChildCheckpoint {
    let body = |id: &IdPayload| HexBytes::from(id.body().as_slice());
    ChildCheckpoint {
        id: child.id,
        reqid: child.reqid,
        kernel: Some(child.carrier),
        ike: child.ike,
        initiator: child.initiator,
        spi_in: child.spi_in,
        spi_out: child.spi_out,
        local: child.local.ip(),
        local_port: child.local.port(),
        peer: child.peer.ip(),
        peer_port: child.peer.port(),
        mode: child.mode,
        encapsulation_mode: child.encapsulation_mode,
        encapsulation: child.encapsulation,
        cipher: child.suite.cipher,
        key_bits: child.suite.key_bits,
        auth: child.suite.auth,
        pfs: child.pfs.map(Group::iana),
        traffic: child.traffic,
        ids: child
            .ids
            .as_ref()
            .map(|(own, peer)| (body(own), body(peer))),
        peer_original: child.peer_original,
        local_original: child.local_original,
        kilobytes: child.kilobytes,
        lifetime: child.lifetime.as_secs(),
        established: clock.to_wall(child.created),
        rekey: child.rekey.map(|at| clock.to_wall(at)),
        retire: child.retire.map(|at| clock.to_wall(at)),
        expires: clock.to_wall(child.expires),
        superseded: child.stage == ChildStage::Superseded,
        outbound_gone: child.outbound_gone,
    }
}

fn restore_child(
    saved: &ChildCheckpoint,
    first: Carrier,
    clock: Clock,
) -> Result<Child, CommandError> {
    let id = |body: &HexBytes| {
        IdPayload::parse(&body.0).map_err(|_| damaged("an unreadable phase 2 identity"))
    };
    let pfs = match saved.pfs {
        Some(number) => Some(Group::from_iana(number).ok_or_else(|| damaged("an unknown group"))?),
        None => None,
    };
    let ids = match &saved.ids {
        Some((own, peer)) => Some((id(own)?, id(peer)?)),
        None => None,
    };
    Ok(Child {
        id: saved.id,
        carrier: saved.kernel.unwrap_or(first),
        ike: saved.ike,
        reqid: saved.reqid,
        initiator: saved.initiator,
        spi_in: saved.spi_in,
        spi_out: saved.spi_out,
        local: SocketAddr::new(saved.local, saved.local_port),
        peer: SocketAddr::new(saved.peer, saved.peer_port),
        mode: saved.mode,
        encapsulation_mode: saved.encapsulation_mode,
        encapsulation: saved.encapsulation,
        suite: EspSuite {
            cipher: saved.cipher,
            key_bits: saved.key_bits,
            auth: saved.auth,
        },
        pfs,
        traffic: saved.traffic,
        peer_original: saved.peer_original,
        local_original: saved.local_original,
        ids,
        lifetime: Duration::from_secs(saved.lifetime),
        kilobytes: saved.kilobytes,
        created: clock.to_instant(saved.established),
        rekey: saved.rekey.map(|at| clock.to_instant(at)),
        expires: clock.to_instant(saved.expires),
        retire: saved.retire.map(|at| clock.to_instant(at)),
        stage: if saved.superseded {
            ChildStage::Superseded
        } else {
            ChildStage::Installed
        },
        outbound_gone: saved.outbound_gone,
        replaces: None,
        inbound_octets: 0,
        outbound_octets: 0,
    })
}
