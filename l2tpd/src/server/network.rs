//! The network of a session: from a protocol that opened to packets that flow, and back.

use std::time::Instant;

use ipnet::IpNet;
use ppp_proto::{Family, Network, Phase};

use super::Server;
use super::io::{InterfaceSetup, KernelOp, SessionKey};
use super::operations::Purpose;
use super::session::{Interface, Side};
use crate::control::protocol::Traffic;
use crate::events::Event;

impl Server {
    /// Sets framing and open protocols to what the session says.
    pub(super) fn set_ppp(&mut self, now: Instant, session: SessionKey) {
        let Some(framing) = self.sessions.get(&session).map(|s| s.framing()) else {
            return;
        };
        let operation = KernelOp::SetPpp { session, framing };
        self.session_operation(now, session, operation, "the framing");
    }

    /// Brings the interface, made or yet to make, to what the session says.
    pub(super) fn set_interface(&mut self, now: Instant, key: SessionKey) {
        let advertises = self.advertises(key);
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let serial = session.serial;
        let mtu = session.mtu();
        let settings = session
            .bundle
            .as_ref()
            .map(|bundle| bundle.interface.clone())
            .unwrap_or_default();
        match &session.interface {
            Interface::None => {
                session.interface = Interface::Creating;
                session.solicitations = advertises;
                let ipv6 = session.bundle.as_ref().is_some_and(|bundle| bundle.ipv6);
                let operation = KernelOp::CreateInterface {
                    session: key,
                    mtu,
                    ipv6,
                    solicitations: session.solicitations,
                    name: session.interface_name_wanted(),
                    group: settings.group.clone(),
                };
                self.kernel(
                    now,
                    operation,
                    Purpose::Interface {
                        session: key,
                        serial,
                    },
                );
            }
            Interface::Creating => {}
            Interface::Ready(interface) => {
                let bundle = session.bundle.as_ref();
                let routes = bundle.map(|bundle| bundle.routes.clone());
                let mut routes = routes.unwrap_or_default();
                routes.extend(session.prefix.map(IpNet::V6));
                let setup = InterfaceSetup {
                    session: key,
                    interface: interface.clone(),
                    mtu,
                    addresses: session.addresses(),
                    routes,
                    source_check: session.side == Side::Server,
                    accept_advertisements: session.side != Side::Server && session.ipv6.is_some(),
                    description: session.description(interface, &settings),
                };
                let operation = KernelOp::ConfigureInterface(setup);
                self.kernel(
                    now,
                    operation,
                    Purpose::Addresses {
                        session: key,
                        serial,
                    },
                );
            }
        }
    }

    /// The counters of a session were read: whether its peer lives, and whether it is idle.
    pub(super) fn on_traffic(
        &mut self,
        now: Instant,
        key: SessionKey,
        serial: u64,
        traffic: Traffic,
    ) {
        let Some(session) = self.same_session(key, serial) else {
            return;
        };
        let grew = traffic.received_frames > session.traffic.received_frames
            && session.has_just_counted(now);
        session.counted = Some(now);
        session.traffic = traffic;
        let control = session.link.as_ref().map_or(0, |link| {
            let counters = link.counters();
            counters.frames_in + counters.frames_out
        });
        let control = control + session.discovery_frames;
        // Echo-Requests and their like, and router advertisements, keep nobody from being idle. What the kernel has counted and
        // we have not seen yet, or the other way round, is seen as a packet once at most.
        let packets = (traffic.received_frames + traffic.sent_frames).saturating_sub(control);
        if packets > session.packets {
            session.packets = packets;
            session.last_packet = now;
        }
        if grew {
            if let Some(link) = session.link.as_mut() {
                link.note_traffic(now);
            }
            self.tunnels.note_traffic(now, key.tunnel);
            self.schedule(key);
        }
    }

    /// The addresses are set: tell the operator's program, or else the log.
    pub(super) fn packets_flow(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.polled.get_or_insert(now);
        let settings = session.bundle.as_ref().map(|bundle| &bundle.interface);
        let published = settings.and_then(|settings| session.proxy_arp(settings));
        if let Some(address) = published.filter(|_| !session.was_up) {
            let operation = KernelOp::ProxyArp {
                session: key,
                address,
                answer: true,
            };
            // Where no interface is in the peer's network nobody asks.
            let what = "answering ARP for a peer";
            self.kernel(now, operation, Purpose::Optional { what });
        }
        self.begin_discovery(now, key);
        self.dirty = true;
        self.schedule(key);
        if !self.tell_up(key) {
            self.announce(key);
        }
    }

    /// The session is up, once.
    pub(super) fn announce(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.was_up {
            return;
        }
        session.was_up = true;
        let event = Event::SessionUp {
            session: key,
            peer: session.peer,
            user: session.user.clone(),
            authentication: session.method.map(|m| m.to_string()).unwrap_or_default(),
            address: session.address(),
            prefix: session.prefix,
            interface: session.interface_name().unwrap_or_default().to_owned(),
        };
        let side = session.side.clone();
        self.counters.sessions_up += 1;
        self.dirty = true;
        self.event(event);
        if let Side::Client(name) = side {
            self.client_up(&name, key);
        }
    }

    /// Stops the packets of a protocol that closed.
    pub(super) fn network_down(&mut self, now: Instant, key: SessionKey, family: Family) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match family {
            Family::V4 => session.ipv4 = None,
            Family::V6 => {
                session.ipv6 = None;
                session.discovery = None;
            }
        }
        // When the whole link ends the programs are told at the end, with reason and counters.
        let goes_on = session
            .link
            .as_ref()
            .is_some_and(|link| !matches!(link.phase(), Phase::Terminate | Phase::Dead));
        if session.interface_name().is_some() {
            self.set_ppp(now, key);
            if goes_on {
                self.tell_down(key, family);
            }
        }
        self.dirty = true;
    }

    /// A protocol has opened: the interface gets what it says.
    pub(super) fn network_up(&mut self, now: Instant, key: SessionKey, network: Network) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match network {
            Network::V4 { .. } => session.ipv4 = Some(network),
            Network::V6 { .. } => {
                session.ipv6 = Some(network);
                self.lease_prefix(now, key);
            }
        }
        self.set_interface(now, key);
    }
}
