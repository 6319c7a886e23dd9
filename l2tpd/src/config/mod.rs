//! The configuration: [`Config`] is what the daemon consumes, `yaml` the syntax it comes from.

mod model;
mod scalar;
mod yaml;

pub use model::{
    Config, Connection, HookCommand, Hooks, KernelChoice, L2tpSettings, Limits, PppSettings,
};
pub(crate) use scalar::Text;

#[cfg(test)]
mod tests;
