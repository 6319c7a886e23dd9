//! Identifiers: our own tunnel and session numbers (RFC 2661 section 3.1), and the flow a tunnel
//! runs over.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// Our own number of a tunnel: what the peer writes into the Tunnel ID field of its headers.
///
/// Never zero, drawn at random, and never equal to the number the peer chose for the same tunnel
/// when that was known first (some clients mix the two up). Displayed as four hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TunnelId(NonZeroU16);

/// Our own number of a session inside one tunnel: what the peer writes into the Session ID field.
///
/// Never zero, drawn at random, and never equal to the peer's own number of the session when that
/// was known first. Displayed as four hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(NonZeroU16);

macro_rules! identifier {
    ($name:ident) => {
        impl $name {
            /// The identifier of that number; `None` for zero, which names nothing.
            #[must_use]
            pub const fn new(number: u16) -> Option<Self> {
                match NonZeroU16::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number as it stands in the header.
            #[must_use]
            pub const fn value(self) -> u16 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:04x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:04x})"), self.0)
            }
        }

        impl From<$name> for u16 {
            fn from(id: $name) -> u16 {
                id.value()
            }
        }
    };
}

identifier!(TunnelId);
identifier!(SessionId);

/// Which of the host's kernels carries a flow. The protocol does not look at it: it stands in
/// [`FlowId`] so that answers and nodes go where the first datagram came from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum KernelId {
    /// The operating system's.
    #[default]
    System,
    /// The `softkernel` process.
    Soft,
}

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Soft => "soft",
        })
    }
}

/// What identifies the path a tunnel's datagrams take.
///
/// The reqid is the number of the IPsec peer the datagrams came from: two clients behind one NAT
/// may share address and port after decapsulation, and differ in it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowId {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub peer: SocketAddr,
    /// The number of the peer's security associations; 0 where IPsec does not number them.
    pub reqid: u32,
    /// The kernel the datagrams pass.
    pub kernel: KernelId,
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} reqid {}", self.peer, self.reqid)
    }
}

/// The range our tunnel and session numbers are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// Lowest number given out, at least 1.
    pub first: u16,
    /// Highest number given out, at least `first`.
    pub last: u16,
}

impl Default for IdRange {
    fn default() -> Self {
        Self {
            first: 1,
            last: u16::MAX,
        }
    }
}

impl IdRange {
    /// Draws a number that is neither zero, nor `avoid`, nor refused by `taken`.
    ///
    /// A few random tries, then a walk from a random place, so that a nearly full range still
    /// answers; `None` when every number is taken.
    pub(crate) fn draw(
        self,
        rng: &mut dyn CryptoRng,
        avoid: u16,
        taken: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let first = self.first.max(1);
        let span = u32::from(self.last.max(first) - first) + 1;
        let number = |offset: u32| {
            let number = u32::from(first) + offset % span;
            u16::try_from(number)
                .ok()
                .filter(|&number| number != avoid && !taken(number))
        };
        for _ in 0..8 {
            if let Some(found) = number(rng.next_u32() % span) {
                return Some(found);
            }
        }
        let start = rng.next_u32() % span;
        (0..span).find_map(|step| number(start + step))
    }
}
