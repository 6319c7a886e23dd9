//! mpd5's console and web page, for scripts and habits that use them.
//!
//! | file | what |
//! |---|---|
//! | `settings.rs` | where they are, and for whom |
//! | `view.rs` | what the server knows at one moment |
//! | `words.rs`, `tree.rs` | a line as words, the words there are |
//! | `commands.rs` | what a line does |
//! | `show/` | listings, column by column mpd5's |
//! | `session.rs` | one console session: login, editing, octets in and out |
//! | `web.rs` | one request of the web page |
//! | `server.rs` | sockets and time around all of it |
//!
//! Only `server.rs` does I/O.

mod commands;
mod server;
mod session;
mod settings;
mod show;
mod tree;
mod view;
mod web;
mod words;

pub use commands::{Context, Order, Outcome, execute};
pub use server::{Call, Consoles};
pub use settings::{Console, ConsoleUser, Role};
pub use view::{SessionView, View};

#[cfg(test)]
mod tests;
