//! mpd.conf and mpd.secret from the outside.

mod bytes;
mod errors;
mod secrets;
mod settings;
mod setups;
mod support;
mod walk;
