//! AVPs of control connection management: Message Type (RFC 2661 section 4.4.1), Protocol Version,
//! capabilities and names (4.4.3).

use std::fmt;

use super::value::Value;

/// The Message Type AVP's number (section 3.2). Unknown numbers survive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageType(pub u16);

impl MessageType {
    /// Start-Control-Connection-Request.
    pub const SCCRQ: Self = Self(1);
    /// Start-Control-Connection-Reply.
    pub const SCCRP: Self = Self(2);
    /// Start-Control-Connection-Connected.
    pub const SCCCN: Self = Self(3);
    /// Stop-Control-Connection-Notification.
    pub const STOP_CCN: Self = Self(4);
    /// Hello.
    pub const HELLO: Self = Self(6);
    /// Outgoing-Call-Request.
    pub const OCRQ: Self = Self(7);
    /// Outgoing-Call-Reply.
    pub const OCRP: Self = Self(8);
    /// Outgoing-Call-Connected.
    pub const OCCN: Self = Self(9);
    /// Incoming-Call-Request.
    pub const ICRQ: Self = Self(10);
    /// Incoming-Call-Reply.
    pub const ICRP: Self = Self(11);
    /// Incoming-Call-Connected.
    pub const ICCN: Self = Self(12);
    /// Call-Disconnect-Notify.
    pub const CDN: Self = Self(14);
    /// WAN-Error-Notify.
    pub const WEN: Self = Self(15);
    /// Set-Link-Info.
    pub const SLI: Self = Self(16);

    /// The name in the RFC; `None` for a number it does not assign.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SCCRQ => "SCCRQ",
            Self::SCCRP => "SCCRP",
            Self::SCCCN => "SCCCN",
            Self::STOP_CCN => "StopCCN",
            Self::HELLO => "HELLO",
            Self::OCRQ => "OCRQ",
            Self::OCRP => "OCRP",
            Self::OCCN => "OCCN",
            Self::ICRQ => "ICRQ",
            Self::ICRP => "ICRP",
            Self::ICCN => "ICCN",
            Self::CDN => "CDN",
            Self::WEN => "WEN",
            Self::SLI => "SLI",
            _ => return None,
        })
    }

    /// Whether the message concerns one session, so that what is wrong with it ends that session
    /// and not the tunnel.
    #[must_use]
    pub const fn is_of_session(self) -> bool {
        matches!(self.0, 7..=16)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "message type {}", self.0),
        }
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A Protocol Version AVP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolVersion {
    /// Ver.
    pub version: u8,
    /// Rev.
    pub revision: u8,
}

impl ProtocolVersion {
    /// The version of RFC 2661: version 1, revision 0.
    pub const RFC2661: Self = Self {
        version: 1,
        revision: 0,
    };
}

impl Value for ProtocolVersion {
    fn parse(octets: &[u8]) -> Option<Self> {
        let &[version, revision] = octets else {
            return None;
        };
        Some(Self { version, revision })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.version, self.revision]);
    }
}

/// Bits of Framing Capabilities and Framing Type.
pub mod framing {
    /// S: synchronous.
    pub const SYNCHRONOUS: u32 = 1;
    /// A: asynchronous.
    pub const ASYNCHRONOUS: u32 = 2;
}
