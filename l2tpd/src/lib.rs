//! The L2TP and PPP daemon.

pub mod checkpoint;
pub mod config;
pub mod control;
pub mod driver;
pub mod events;
pub mod kernel;
pub mod pool;
pub mod secret;
pub mod server;
pub mod users;
