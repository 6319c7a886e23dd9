//! The kernel.
pub mod names;
