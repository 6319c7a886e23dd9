//! The control socket: what is asked and answered, and how it looks to people.

pub mod protocol;
pub mod tables;
