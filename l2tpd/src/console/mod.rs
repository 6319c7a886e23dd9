//! mpd5's console and web page, for scripts and habits that use them.

mod settings;

pub use settings::{Console, ConsoleUser, Role};
