//! `struct sadb_x_policy` (16 bytes) with `sadb_x_ipsecrequest`s: a security policy, both inside
//! messages and as the value of the `IP_IPSEC_POLICY` socket option.
//!
//! ```text
//! len:u16 exttype:u16 | type:u16 dir:u8 scope:u8 | id:u32 | priority:u32
//!   request: len:u16 proto:u16 mode:u8 level:u8 reqid:u16 [source sockaddr, destination sockaddr]
//! ```
//! Linux has a wider request; see [`crate::numbering`].

use std::net::SocketAddr;

use crate::ext::sa2::Mode;
use crate::ext::{Extension, HEADER};
use crate::numbering::Numbering;
use crate::sockaddr;
use crate::wire::{Reader, Writer, align8};

/// Largest request id a policy may name itself; the kernel allocates from above it.
pub const IPSEC_MANUAL_REQID_MAX: u32 = 0x3fff;
/// `IPSEC_POLICYSCOPE_GLOBAL`: a policy of the SPD.
pub const SCOPE_GLOBAL: u8 = 1;
/// `IPSEC_POLICYSCOPE_IFNET`: a policy of an if_ipsec(4) interface.
pub const SCOPE_IFNET: u8 = 2;
/// `IPSEC_POLICYSCOPE_PCB`: a policy of one socket.
pub const SCOPE_PCB: u8 = 4;

/// `IPSEC_POLICY_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PolicyType(pub u16);

impl PolicyType {
    /// Drop the packet.
    pub const DISCARD: Self = Self(0);
    /// Let it through in the clear.
    pub const NONE: Self = Self(1);
    /// Protect it as the requests say.
    pub const IPSEC: Self = Self(2);
    /// Ask the SPD (per-socket policies only).
    pub const ENTRUST: Self = Self(3);
    /// Let it through, the SPD notwithstanding (per-socket policies only).
    pub const BYPASS: Self = Self(4);

    /// The word setkey(8) prints.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DISCARD => "discard",
            Self::NONE => "none",
            Self::IPSEC => "ipsec",
            Self::ENTRUST => "entrust",
            Self::BYPASS => "bypass",
            _ => return None,
        })
    }
}

/// `IPSEC_DIR_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Direction(pub u8);

impl Direction {
    /// Not said.
    pub const ANY: Self = Self(0);
    /// Packets that arrive.
    pub const INBOUND: Self = Self(1);
    /// Packets that leave.
    pub const OUTBOUND: Self = Self(2);
}

/// `IPSEC_LEVEL_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Level(pub u8);

impl Level {
    /// What the system defaults to.
    pub const DEFAULT: Self = Self(0);
    /// Protect if an SA exists, else send in the clear.
    pub const USE: Self = Self(1);
    /// Protect or drop.
    pub const REQUIRE: Self = Self(2);
    /// Protect by the SA with the same request id, or drop.
    pub const UNIQUE: Self = Self(3);

    /// The word setkey(8) prints.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DEFAULT => "default",
            Self::USE => "use",
            Self::REQUIRE => "require",
            Self::UNIQUE => "unique",
            _ => return None,
        })
    }
}

/// One security policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// What to do.
    pub kind: PolicyType,
    /// In which direction.
    pub direction: Direction,
    /// [`SCOPE_GLOBAL`] and friends; 0 in requests. FreeBSD only.
    pub scope: u8,
    /// Number the kernel gave the policy.
    pub id: u32,
    /// Smaller is looked at first.
    pub priority: u32,
    /// How to protect, at most four.
    pub requests: Vec<PolicyRequest>,
}

/// One step of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyRequest {
    /// IP protocol number: 50 ESP, 51 AH, 108 IPComp.
    pub protocol: u16,
    /// Transport or tunnel.
    pub mode: Mode,
    /// How insistent.
    pub level: Level,
    /// Which SAs (level unique); 0 for any. 16 bits on FreeBSD.
    pub reqid: u32,
    /// Tunnel end points, source and destination.
    pub tunnel: Option<(SocketAddr, SocketAddr)>,
}

impl PolicyRequest {
    /// IP protocol number of ESP.
    pub const ESP: u16 = 50;

    /// `esp/transport//unique:reqid`
    pub const fn esp_transport_unique(reqid: u32) -> Self {
        Self {
            protocol: Self::ESP,
            mode: Mode::TRANSPORT,
            level: Level::UNIQUE,
            reqid,
            tunnel: None,
        }
    }

    /// `esp/transport//require`
    pub const fn esp_transport_require() -> Self {
        Self {
            level: Level::REQUIRE,
            ..Self::esp_transport_unique(0)
        }
    }

    fn wire_len(&self, numbering: Numbering) -> usize {
        let addresses = self
            .tunnel
            .as_ref()
            .map_or(0, |(a, b)| sockaddr::wire_len(a) + sockaddr::wire_len(b));
        align8(numbering.ipsecrequest_len() + addresses)
    }

    fn parse(reader: &mut Reader<'_>, numbering: Numbering) -> Option<Self> {
        let length = usize::from(reader.clone().u16()?);
        if length < numbering.ipsecrequest_len() {
            return None;
        }
        let mut body = Reader::new(reader.bytes(length)?);
        body.skip(2)?;
        let protocol = body.u16()?;
        let mode = Mode(body.u8()?);
        let level = Level(body.u8()?);
        let reqid = match numbering {
            Numbering::FreeBsd => u32::from(body.u16()?),
            Numbering::Linux => {
                body.skip(2)?;
                let reqid = body.u32()?;
                body.skip(4)?;
                reqid
            }
        };
        let tunnel = if body.rest().is_empty() {
            None
        } else {
            let source = sockaddr::parse(&mut body, numbering)?;
            Some((source, sockaddr::parse(&mut body, numbering)?))
        };
        Some(Self {
            protocol,
            mode,
            level,
            reqid,
            tunnel,
        })
    }

    fn emit(&self, numbering: Numbering, out: &mut Writer<'_>) {
        let length = self.wire_len(numbering);
        out.u16(length as u16)
            .u16(self.protocol)
            .u8(self.mode.0)
            .u8(self.level.0);
        match numbering {
            Numbering::FreeBsd => out.u16(u16::try_from(self.reqid).unwrap_or(0)),
            Numbering::Linux => out.zeros(2).u32(self.reqid).zeros(4),
        };
        let mut written = numbering.ipsecrequest_len();
        if let Some((source, destination)) = &self.tunnel {
            sockaddr::emit(source, numbering, out);
            sockaddr::emit(destination, numbering, out);
            written += sockaddr::wire_len(source) + sockaddr::wire_len(destination);
        }
        out.zeros(length - written);
    }
}

impl Policy {
    /// A policy for the SPD or for one direction of a socket.
    pub fn ipsec(direction: Direction, request: PolicyRequest) -> Self {
        Self {
            kind: PolicyType::IPSEC,
            direction,
            requests: vec![request],
            ..Self::default()
        }
    }

    /// A policy of another kind, without requests.
    pub fn plain(kind: PolicyType, direction: Direction) -> Self {
        Self {
            kind,
            direction,
            ..Self::default()
        }
    }

    /// The value of the `IP_IPSEC_POLICY` socket option: the extension with its header.
    pub fn to_blob(&self, numbering: Numbering) -> Vec<u8> {
        let extension = Extension::Policy(self.clone());
        let mut blob = Vec::with_capacity(extension.wire_len(numbering));
        extension.emit(numbering, &mut Writer::new(&mut blob));
        blob
    }

    /// Reads the value of the `IP_IPSEC_POLICY` socket option; bytes after it are ignored.
    pub fn from_blob(blob: &[u8], numbering: Numbering) -> Result<Self, crate::WireError> {
        match Extension::parse(&mut Reader::new(blob), numbering)? {
            Extension::Policy(policy) => Ok(policy),
            other => Err(crate::WireError::Malformed {
                number: numbering.number(other.kind()).unwrap_or_default(),
            }),
        }
    }

    pub(super) fn body_len(&self, numbering: Numbering) -> usize {
        let requests: usize = self.requests.iter().map(|r| r.wire_len(numbering)).sum();
        16 - HEADER + requests
    }

    pub(super) fn parse(body: &mut Reader<'_>, numbering: Numbering) -> Option<Self> {
        let kind = PolicyType(body.u16()?);
        let direction = Direction(body.u8()?);
        let scope = body.u8()?;
        let id = body.u32()?;
        let priority = body.u32()?;
        let mut requests = Vec::new();
        while !body.rest().is_empty() {
            requests.push(PolicyRequest::parse(body, numbering)?);
        }
        Some(Self {
            kind,
            direction,
            scope,
            id,
            priority,
            requests,
        })
    }

    pub(super) fn emit(&self, numbering: Numbering, out: &mut Writer<'_>) {
        out.u16(self.kind.0)
            .u8(self.direction.0)
            .u8(self.scope)
            .u32(self.id)
            .u32(self.priority);
        for request in &self.requests {
            request.emit(numbering, out);
        }
    }
}
