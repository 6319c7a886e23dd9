//! The soft kernel's IPsec from outside: PF_KEY conversations, packets between two kernels,
//! lifetimes, all in fake time.

#![allow(clippy::unwrap_used, clippy::panic)]

mod batches;
mod conversation;
mod lifetimes;
mod machine;
mod packets;
mod policies;
