//! The L2TP protocol core of RFC 2661: AVPs, tunnels, sessions; no I/O, no clock, no randomness.
//!
//! The reliable channel (Ns, Nr, ZLB, retransmission, window; section 5.8) is not here: it belongs
//! to the kernel's ng_l2tp node. Control messages come and go as a session number and AVPs, one
//! tunnel at a time; only the first SCCRQ is read as a whole datagram.
//!
//! * [`io`]: outputs, commands, views: the contract with the driver
//! * [`Tunnels`] (`tunnels.rs`): the endpoint, all tunnels, timers; `listener.rs`: first datagrams;
//!   `admission.rs`: limits; `step.rs`: what every handler shares, refusals
//! * `tunnel.rs`: one control connection (section 7.2.1); `handshake.rs`: SCCRQ, SCCRP, challenges
//! * `calls.rs`: a tunnel's session messages (7.4.1, 7.4.2); `session.rs`: one call
//! * [`config`]: names, secrets, limits; [`id`]: numbers; [`checkpoint`]: what outlives a restart
//! * [`wire`]: header, AVPs, hiding

mod admission;
mod calls;
pub mod checkpoint;
pub mod config;
mod handshake;
pub mod id;
pub mod io;
mod listener;
mod session;
mod step;
mod tunnel;
mod tunnels;
pub mod wire;

pub use checkpoint::{SessionRecord, TunnelRecord};
pub use config::{
    Authentication, Config, ConfigError, Exception, Limits, SameFlow, Secret, TunnelSecret,
};
pub use handshake::farewell;
pub use id::{FlowId, IdRange, KernelId, SessionId, TunnelId};
pub use io::*;
pub use tunnels::Tunnels;
