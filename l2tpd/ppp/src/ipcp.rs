//! The IP Control Protocol's options (RFC 1332 section 3, RFC 1877 section 1).
//!
//! IP-Address (3) is never rejected: Windows ends the link over that, macOS goes round in circles
//! with IP-Addresses (1). IP-Addresses and IP-Compression-Protocol (2) are always rejected.

use std::net::Ipv4Addr;

use rand_core::CryptoRng;

use crate::automaton::Negotiator;
use crate::io::{DownReason, Ipv4Assignment, Network};
use crate::options::{Judge, Opt, Repeat, Verdict, put};
use crate::packet::protocol;

/// Option types.
mod kind {
    pub(super) const ADDRESS: u8 = 3;
    pub(super) const PRIMARY_DNS: u8 = 129;
    pub(super) const PRIMARY_NBNS: u8 = 130;
    pub(super) const SECONDARY_DNS: u8 = 131;
    pub(super) const SECONDARY_NBNS: u8 = 132;
}

/// Either end of IPCP.
#[derive(Debug)]
pub(crate) struct Ipcp {
    side: Side,
    /// Send our address at all; a peer may not want to know it.
    tell_address: bool,
}

#[derive(Debug)]
enum Side {
    /// We assign.
    Server {
        assignment: Ipv4Assignment,
        /// The name servers the peer took.
        taken: [Option<Ipv4Addr>; 2],
    },
    /// We are assigned.
    Client {
        local: Ipv4Addr,
        /// What the server calls itself.
        peer: Option<Ipv4Addr>,
        /// Name servers: `None` do not ask, unspecified asks.
        dns: [Option<Ipv4Addr>; 2],
    },
}

impl Ipcp {
    pub(crate) fn server(assignment: Ipv4Assignment) -> Self {
        Self {
            side: Side::Server {
                assignment,
                taken: [None; 2],
            },
            tell_address: true,
        }
    }

    pub(crate) fn client(wanted: Option<Ipv4Addr>, dns: bool) -> Self {
        let local = wanted.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let ask = dns.then_some(Ipv4Addr::UNSPECIFIED);
        Self {
            side: Side::Client {
                local,
                peer: None,
                dns: [ask; 2],
            },
            tell_address: true,
        }
    }

    pub(crate) fn assignment(&self) -> Option<Ipv4Assignment> {
        match &self.side {
            Side::Server { assignment, .. } => Some(*assignment),
            Side::Client { .. } => None,
        }
    }

    /// As it was when `network` was written down.
    pub(crate) fn restored(assignment: Option<Ipv4Assignment>, network: &Network) -> Option<Self> {
        let Network::V4 { local, peer, dns } = *network else {
            return None;
        };
        let side = match assignment {
            Some(assignment) if assignment.local == local && assignment.peer == peer => {
                Side::Server {
                    assignment,
                    taken: dns,
                }
            }
            Some(_) => return None,
            None => Side::Client {
                local,
                peer: Some(peer),
                dns,
            },
        };
        Some(Self {
            side,
            tell_address: true,
        })
    }

    /// What was agreed on; `None` if that is no address a host can have.
    pub(crate) fn network(&self) -> Option<Network> {
        match &self.side {
            Side::Server { assignment, taken } => Some(Network::V4 {
                local: assignment.local,
                peer: assignment.peer,
                dns: *taken,
            }),
            Side::Client { local, peer, dns } => usable(*local).then(|| Network::V4 {
                local: *local,
                peer: peer.unwrap_or(Ipv4Addr::UNSPECIFIED),
                dns: dns.map(|server| server.filter(|address| !address.is_unspecified())),
            }),
        }
    }
}

impl Negotiator for Ipcp {
    const PROTOCOL: u16 = protocol::IPCP;

    fn request(&self) -> Vec<u8> {
        let mut list = Vec::new();
        let (local, dns) = match &self.side {
            Side::Server { assignment, .. } => (assignment.local, [None; 2]),
            Side::Client { local, dns, .. } => (*local, *dns),
        };
        if self.tell_address {
            put(&mut list, kind::ADDRESS, &local.octets());
        }
        for (kind, server) in [kind::PRIMARY_DNS, kind::SECONDARY_DNS]
            .into_iter()
            .zip(dns)
        {
            if let Some(server) = server {
                put(&mut list, kind, &server.octets());
            }
        }
        list
    }

    fn judge(
        &mut self,
        options: &[Opt<'_>],
        exhausted: bool,
        _rng: &mut dyn CryptoRng,
    ) -> Result<Verdict, DownReason> {
        let mut judge = Judge::new(exhausted);
        match &mut self.side {
            Side::Server { assignment, taken } => {
                let mut named = false;
                let mut servers = [None; 2];
                for option in options
                    .iter()
                    .filter(|option| option.repeat != Repeat::Same)
                {
                    let asked = address(option);
                    let first = option.repeat == Repeat::First;
                    let ours = match option.kind {
                        kind::ADDRESS => {
                            named = true;
                            if asked != Some(assignment.peer) || !first {
                                judge.insist(kind::ADDRESS, &assignment.peer.octets());
                            }
                            continue;
                        }
                        kind::PRIMARY_DNS => assignment.dns[0],
                        kind::SECONDARY_DNS => assignment.dns[1],
                        kind::PRIMARY_NBNS => assignment.nbns[0],
                        kind::SECONDARY_NBNS => assignment.nbns[1],
                        _ => None,
                    };
                    match ours {
                        Some(_) if asked.is_none() || !first => judge.reject(option),
                        Some(ours) if asked != Some(ours) => judge.nak(option, &ours.octets()),
                        Some(ours) => match option.kind {
                            kind::PRIMARY_DNS => servers[0] = Some(ours),
                            kind::SECONDARY_DNS => servers[1] = Some(ours),
                            _ => {}
                        },
                        None => judge.reject(option),
                    }
                }
                if !named {
                    // It has to know its address (RFC 1332 section 3.3 by RFC 1661 section 5.3).
                    judge.insist(kind::ADDRESS, &assignment.peer.octets());
                }
                *taken = servers;
            }
            Side::Client { peer, .. } => {
                let mut named = None;
                for option in options
                    .iter()
                    .filter(|option| option.repeat != Repeat::Same)
                {
                    match address(option) {
                        Some(asked)
                            if option.kind == kind::ADDRESS
                                && option.repeat == Repeat::First
                                && usable(asked) =>
                        {
                            named = Some(asked);
                        }
                        _ => judge.reject(option),
                    }
                }
                *peer = named;
            }
        }
        Ok(judge.verdict())
    }

    fn naked(&mut self, options: &[Opt<'_>], _rng: &mut dyn CryptoRng) -> Result<(), DownReason> {
        // A server's own address is not up to its clients.
        let Side::Client { local, dns, .. } = &mut self.side else {
            return Ok(());
        };
        for option in options
            .iter()
            .filter(|option| option.repeat == Repeat::First)
        {
            let Some(value) = address(option) else {
                continue;
            };
            let [primary, secondary] = dns;
            match option.kind {
                kind::ADDRESS => *local = value,
                kind::PRIMARY_DNS if primary.is_some() => *primary = Some(value),
                kind::SECONDARY_DNS if secondary.is_some() => *secondary = Some(value),
                _ => {}
            }
        }
        Ok(())
    }

    fn rejected(&mut self, options: &[Opt<'_>]) -> Result<(), DownReason> {
        for option in options {
            match (&mut self.side, option.kind) {
                (Side::Server { .. }, kind::ADDRESS) => self.tell_address = false,
                (Side::Client { .. }, kind::ADDRESS) => return Err(DownReason::NoAddress),
                (Side::Client { dns, .. }, kind::PRIMARY_DNS) => dns[0] = None,
                (Side::Client { dns, .. }, kind::SECONDARY_DNS) => dns[1] = None,
                _ => {}
            }
        }
        Ok(())
    }
}

/// An address one host can have on a link.
fn usable(address: Ipv4Addr) -> bool {
    !(address.octets()[0] == 0
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] >= 240)
}

fn address(option: &Opt<'_>) -> Option<Ipv4Addr> {
    option.array::<4>().map(Ipv4Addr::from)
}
