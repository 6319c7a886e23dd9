//! The L2TP and PPP daemon: RFC 2661 tunnels, PPP links, users and addresses put together, and a
//! kernel that carries the packets. `main.rs` is `l2tpd`, `bin/l2tpctl.rs` is `l2tpctl`.
//!
//! | file | what |
//! |---|---|
//! | [`server`] | all decisions; no socket, no clock |
//! | [`driver`] | the event loop around it: sockets, clock, files, programs |
//! | [`kernel`] | netgraph of either kernel, and the port 1701 listener |
//! | [`config`] | `l2tpd.yaml` or mpd.conf into a validated model |
//! | [`console`] | mpd5's console and web page |
//! | [`users`] | the users file |
//! | [`pool`] | addresses for clients |
//! | [`control`] | requests and answers of the control socket, and how they look to people |
//! | [`checkpoint`] | the file that outlives the process |
//! | [`events`] | lines of the log |
//! | [`secret`] | passwords, wiped and never printed |

pub mod checkpoint;
pub mod config;
pub mod console;
pub mod control;
pub mod driver;
pub mod events;
pub mod kernel;
pub mod pool;
pub use tanuki_daemon::secret;
pub mod server;
pub mod users;
