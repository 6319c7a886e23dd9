//! What is there, as plain values for a control tool.

use std::time::Instant;

use crate::ikev1::Session;
use crate::ikev1::child::Child;
use crate::view::{ChildSaView, Counters, IkeSaView};
use crate::wire::hex;

use super::Endpoint;

impl Endpoint {
    /// All ISAKMP SAs, half-open ones included.
    pub fn ike_sas(&self, now: Instant) -> Vec<IkeSaView> {
        self.sessions
            .values()
            .map(|session| {
                let reqid = session.established().map(|established| established.client);
                let address = session.path.peer.ip();
                let places = &self.shared.places;
                IkeSaView {
                    kernel: reqid.and_then(|reqid| places.of_client(address, reqid)),
                    address: reqid.and_then(|reqid| self.shared.leases.of(reqid)),
                    ..ike_view(session, now)
                }
            })
            .collect()
    }

    /// All pairs of IPsec SAs.
    pub fn child_sas(&self, now: Instant) -> Vec<ChildSaView> {
        self.children
            .values()
            .map(|child| child_view(child, now))
            .collect()
    }

    /// Pairs of IPsec SAs, installed or under negotiation.
    pub fn child_count(&self) -> usize {
        self.children.len()
    }

    /// Counters since start.
    pub fn counters(&self) -> Counters {
        Counters {
            half_open: self.half_open.len(),
            ike_sas: self.sessions.len(),
            child_sas: self.children.len(),
            clients: self.clients.len(),
            ..self.shared.counters.clone()
        }
    }

    /// How many entries there are in all tables together: zero when nothing is left of anybody.
    pub fn table_entries(&self) -> usize {
        self.sessions.len()
            + self.by_cookies.len()
            + self.by_first_message.len()
            + self.by_own_cookie.len()
            + self.half_open.len()
            + self.half_open_by_source.len()
            + self.clients.len()
            + self.clients_at.len()
            + self.children.len()
            + self.by_spi_in.len()
            + self.timers.len()
            + self.shared.jobs.len()
            + self.shared.pending.len()
            + self.shared.places.len()
            + self.reassembly.len()
            + self.shared.leases.len()
    }
}

fn ike_view(session: &Session, now: Instant) -> IkeSaView {
    let established = session.established();
    let agreed = session.phase.agreed();
    let suite = agreed.map(|(suite, _)| suite);
    let until = |at: Instant| at.saturating_duration_since(now);
    IkeSaView {
        id: session.id,
        reqid: established.map(|established| established.client),
        connection: session.connection.clone(),
        initiator: session.initiator,
        aggressive: session.aggressive,
        state: match established {
            Some(established) if established.superseded => "rekeyed".to_owned(),
            _ => session.state().to_owned(),
        },
        initiator_cookie: hex(&session.cky_i),
        responder_cookie: hex(&session.cky_r),
        local: session.path.local,
        peer: session.path.peer,
        local_nat: session.nat.local,
        peer_nat: session.nat.peer,
        local_identity: Some(session.local_identity.to_string()),
        peer_certificate: session.peer_certificate.clone(),
        peer_identity: established.map(|established| established.peer_identity.to_string()),
        cipher: suite.map_or_else(String::new, |suite| suite.cipher.name().to_owned()),
        hash: suite.map_or_else(String::new, |suite| suite.hash.name().to_owned()),
        group: suite.map_or_else(String::new, |suite| suite.group.name().to_owned()),
        user: established.and_then(|established| established.xauth.user().map(str::to_owned)),
        authentication: agreed.map_or_else(String::new, |(_, method)| method.name().to_owned()),
        address: None,
        vendor: session.vendor.clone(),
        dpd: session.dpd_supported,
        fragmentation: session.fragments,
        age: now.saturating_duration_since(session.started),
        established: established
            .map(|established| now.saturating_duration_since(established.since)),
        rekey_in: established
            .and_then(|established| established.rekey)
            .map(until),
        expires_in: established.map(|established| until(established.expires)),
        quick_modes: session.open_quick_modes(),
        kernel: None,
    }
}

fn child_view(child: &Child, now: Instant) -> ChildSaView {
    let until = |at: Instant| at.saturating_duration_since(now);
    ChildSaView {
        id: child.id,
        reqid: child.reqid,
        kernel: child.carrier,
        ike: child.ike,
        state: child.state().to_owned(),
        initiator: child.initiator,
        spi_in: child.spi_in,
        spi_out: child.spi_out,
        local: child.local,
        peer: child.peer,
        mode: child.mode,
        encapsulation_mode: child.encapsulation_mode,
        encapsulation: child.encapsulation,
        cipher: child.suite.cipher,
        key_bits: child.suite.key_bits,
        auth: child.suite.auth,
        pfs: child.pfs.map(|group| group.name().to_owned()),
        traffic: child.traffic,
        peer_original: child.peer_original,
        established: child
            .is_up()
            .then(|| now.saturating_duration_since(child.created)),
        rekey_in: child.rekey.map(until),
        expires_in: Some(until(child.expires)),
        inbound_octets: child.inbound_octets,
        outbound_octets: child.outbound_octets,
        outbound_gone: child.outbound_gone,
        replaces: child.replaces,
    }
}
