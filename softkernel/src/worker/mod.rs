//! Threads that carry packets and nothing else. The control thread has the kernel and is worker 0; the
//! others have what they need of it:
//!
//! | | comes | goes |
//! |---|---|---|
//! | an inbound SA with its replay window | after its first packet, to the worker that got that | with the SA |
//! | a session: its nodes in one step, its outbound SA | with data that the worker cannot carry | when a node, an SA or a policy changes |
//!
//! ```text
//! sockets of a port ─ by SPI ─▸ worker ─ known SA, known session ─▸ its queue of the TUN device
//!                                      └ anything else ──▸ worker 0 ─▸ the kernel's way, and how to
//!                                                                      do it next time
//! ```
//!
//! A flow's packets come out of the TUN device at the queue that its other direction went in by, so a
//! client keeps to one worker. Nothing depends on that: what a worker does not know it hands over. An
//! inbound SA has one owner, who alone looks at its window; outbound ones may be used by all.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | what they say to each other |
//! | `plane.rs` | what a worker does with a packet; no I/O |
//! | `team.rs` | the other workers as the control thread sees them |
//! | `run.rs` | a worker's thread |

pub mod plane;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub(crate) mod run;
#[cfg(any(target_os = "freebsd", target_os = "linux"))]
pub(crate) mod team;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::graph::shortcut::{SessionKey, Shortcut};
use crate::ipsec::{InboundEsp, News, Receiver, Sender};

/// What the control thread tells a worker.
pub enum Order {
    /// Receive the packets of this SA.
    Receive(Box<Receiver>),
    /// An SA has changed.
    News(u32, News),
    /// How to carry a session's data.
    Session {
        /// Which one.
        key: SessionKey,
        /// Its nodes.
        shortcut: Arc<Shortcut>,
        /// The SA to send by; none while that has not been used.
        sender: Option<Sender>,
        /// An address that leads to it.
        destination: Option<IpAddr>,
    },
    /// The session's nodes, SA or policy have changed.
    Forget(SessionKey),
}

/// What a worker hands over with a packet that it cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandedOver {
    /// ESP of an SA that it does not have.
    Esp(InboundEsp),
    /// A UDP payload out of transport mode.
    Datagram {
        /// Request id of its SA.
        reqid: u32,
        /// Our end.
        local: SocketAddr,
        /// The peer's.
        peer: SocketAddr,
    },
    /// An IP packet out of tunnel mode.
    Tunnel {
        /// Request id of its SA.
        reqid: u32,
    },
    /// An IP packet from the TUN device.
    Outward,
}

/// What key management has to know of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A lifetime in bytes or numbers may be over.
    Marked {
        /// SPI in host order.
        spi: u32,
    },
    /// Its newest packet came from somewhere else.
    Moved {
        /// SPI in host order.
        spi: u32,
        /// From where.
        seen: SocketAddr,
    },
}
