//! The control socket: what can be asked, and how it is shown.
//!
//! * [`protocol`]: requests and answers
//! * [`kernel_view`]: the kernel's SAs and policies as plain values
//! * [`tables`]: answers for people

pub mod kernel_view;
pub mod protocol;
pub mod tables;
