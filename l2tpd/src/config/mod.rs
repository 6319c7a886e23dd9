//! The configuration: [`Config`] is what the daemon consumes, `yaml` and `mpd` the syntaxes it
//! comes from, [`ConfigFile`] the file in either.

mod file;
mod model;
pub mod mpd;
pub mod profile;
mod scalar;
pub mod write;
mod yaml;

pub(crate) use file::read_bounded;
pub use file::{ConfigFile, Loaded};
pub use model::{
    Config, Connection, HookCommand, KernelChoice, L2tpSettings, Limits, UserLimit, UsersFile,
};
pub(crate) use mpd::problems_of_mpd;
pub use profile::{Bundle, LinkProfile};

#[cfg(test)]
mod tests;
