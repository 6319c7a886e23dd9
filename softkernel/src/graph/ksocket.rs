//! The `ksocket` node: `ng_ksocket(4)` for UDP sockets, which here exist only inside IPsec.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netgraph::node::ksocket::{
    self as ng, Address, IP_IPSEC_POLICY, IPPROTO_IP, IPPROTO_IPV6, IPV6_IPSEC_POLICY,
    SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET, SocketOption,
};
use netgraph::{Errno, NgMessage};
use pfkey::{Direction, Level, Numbering};

use super::{HookIndex, command};
use crate::ipsec::PolicyBlob;

const PROTOCOL_FAMILY_INET: &str = "2";
const PROTOCOL_FAMILY_INET6: &str = "28";

/// Who receives a datagram: the four addresses, and the client when the socket is tied to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub peer: SocketAddr,
    /// The request id of the SAs, when a policy names one.
    pub reqid: Option<u32>,
}

/// The node.
#[derive(Debug)]
pub struct KsocketNode {
    hook: HookIndex,
    v6: bool,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    policy_in: Option<PolicyBlob>,
    policy_out: Option<PolicyBlob>,
    /// Under what the graph looks it up.
    filed: Option<Endpoint>,
}

/// What a message changes outside the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Bind(SocketAddr),
    Connect(SocketAddr),
    SetPolicy,
}

impl KsocketNode {
    /// A socket as the hook's name says.
    pub(super) fn new(name: &str, hook: HookIndex) -> Result<Self, Errno> {
        let mut parts = name.split('/');
        let v6 = match parts.next() {
            Some("inet" | PROTOCOL_FAMILY_INET) => false,
            Some("inet6" | PROTOCOL_FAMILY_INET6) => true,
            _ => return Err(Errno::EINVAL),
        };
        let datagram = matches!(parts.next(), Some("dgram" | "2"));
        let udp = matches!(parts.next(), Some("udp" | "17" | "0"));
        if !datagram || !udp || parts.next().is_some() {
            return Err(Errno::EINVAL);
        }
        Ok(Self {
            hook,
            v6,
            local: None,
            peer: None,
            policy_in: None,
            policy_out: None,
            filed: None,
        })
    }

    pub(super) fn hook(&self) -> HookIndex {
        self.hook
    }

    /// The address that is bound.
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The connected peer.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The policy for what is sent.
    pub fn policy(&self) -> Option<&PolicyBlob> {
        self.policy_out.as_ref()
    }

    /// The client that the socket is tied to: the unique level's request id of either policy.
    pub fn reqid(&self) -> Option<u32> {
        let both = [&self.policy_in, &self.policy_out];
        let requests = both
            .into_iter()
            .flatten()
            .filter_map(|policy| policy.requests.first());
        requests
            .filter(|request| request.level == Level::UNIQUE && request.reqid != 0)
            .map(|request| request.reqid)
            .next()
    }

    /// What arrives here, once connected.
    pub fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint {
            local: self.local?,
            peer: self.peer?,
            reqid: self.reqid(),
        })
    }

    /// Answers a message, or says what it asks for.
    pub(super) fn message(
        &mut self,
        message: &NgMessage,
    ) -> Result<(Option<Vec<u8>>, Option<Request>), Errno> {
        if message.cookie != ng::COOKIE {
            return Err(Errno::EINVAL);
        }
        if let Some(ng::Bind(address)) = command(message)? {
            self.check_family(address.0)?;
            if self.local.is_some() {
                return Err(Errno::EINVAL);
            }
            Ok((None, Some(Request::Bind(address.0))))
        } else if let Some(ng::Connect(address)) = command(message)? {
            self.check_family(address.0)?;
            if self.peer.is_some() {
                return Err(Errno::EISCONN);
            }
            if address.0.port() == 0 || address.0.ip().is_unspecified() {
                return Err(Errno(libc::EADDRNOTAVAIL));
            }
            Ok((None, Some(Request::Connect(address.0))))
        } else if command::<ng::GetName>(message)?.is_some() {
            let unbound: IpAddr = if self.v6 {
                Ipv6Addr::UNSPECIFIED.into()
            } else {
                Ipv4Addr::UNSPECIFIED.into()
            };
            let local = self.local.unwrap_or(SocketAddr::new(unbound, 0));
            Ok((Some(Address(local).emit()), None))
        } else if command::<ng::GetPeerName>(message)?.is_some() {
            let peer = self.peer.ok_or(Errno::ENOTCONN)?;
            Ok((Some(Address(peer).emit()), None))
        } else if let Some(ng::SetOption(option)) = command(message)? {
            self.set_option(&option)
        } else {
            Err(Errno::EINVAL)
        }
    }

    pub(super) fn set_local(&mut self, local: SocketAddr) {
        self.local = Some(local);
    }

    pub(super) fn set_peer(&mut self, peer: Option<SocketAddr>) {
        self.peer = peer;
    }

    /// Remembers under what the graph looks the socket up; returns what it was before.
    pub(super) fn set_filed(&mut self, endpoint: Option<Endpoint>) -> Option<Endpoint> {
        std::mem::replace(&mut self.filed, endpoint)
    }

    fn check_family(&self, address: SocketAddr) -> Result<(), Errno> {
        if address.is_ipv6() == self.v6 {
            Ok(())
        } else {
            Err(Errno::EAFNOSUPPORT)
        }
    }

    fn set_option(
        &mut self,
        option: &SocketOption,
    ) -> Result<(Option<Vec<u8>>, Option<Request>), Errno> {
        match (option.level, option.name) {
            // Several sockets on one port are no trouble here: each is connected.
            (SOL_SOCKET, SO_REUSEADDR | SO_REUSEPORT) => Ok((None, None)),
            (IPPROTO_IP, IP_IPSEC_POLICY) | (IPPROTO_IPV6, IPV6_IPSEC_POLICY) => {
                let policy = PolicyBlob::from_blob(&option.value, Numbering::FreeBsd)
                    .map_err(|_| Errno::EINVAL)?;
                match policy.direction {
                    Direction::INBOUND => self.policy_in = Some(policy),
                    Direction::OUTBOUND => self.policy_out = Some(policy),
                    _ => return Err(Errno::EINVAL),
                }
                Ok((None, Some(Request::SetPolicy)))
            }
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// For the state dump.
    pub(super) fn status(&self) -> String {
        let show = |address: Option<SocketAddr>| match address {
            Some(address) => address.to_string(),
            None => "-".to_owned(),
        };
        let reqid = self.reqid().unwrap_or(0);
        format!("{} -> {} reqid {reqid}", show(self.local), show(self.peer))
    }
}
