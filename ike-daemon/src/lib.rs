//! The IKE daemon: drives the protocol core `ike-proto` with sockets, a clock, randomness, a kernel
//! and a configuration.
//!
//! * [`config`]: the file `ike-daemon.yaml`
//! * [`net`]: datagrams in and out
//! * [`kernel`]: SAs and policies by PF_KEY
//! * [`control`]: what `ikectl` asks
//! * [`racoonctl`]: racoon's admin protocol, both sides
//! * [`events`]: what happens, as log records
//! * [`driver`]: the loop that feeds one input and drains all output
//! * [`state`]: what survives a restart

pub mod config;
pub mod control;
pub mod driver;
pub mod events;
pub mod kernel;
pub mod net;
pub mod racoonctl;
pub mod state;
