//! The IKEv1 core (RFC 2407, 2408, 2409, 3706, 3947): responder and initiator, Main Mode and Quick
//! Mode with pre-shared keys; Aggressive Mode as responder. No I/O, no clock, no randomness of its own.
//!
//! * [`io`]: the whole contract on one screen: inputs, outputs, kernel requests, events
//! * [`policy`]: what is allowed
//! * [`endpoint`]: cookie table, stateless answers, limits, clients, IPsec SAs
//! * [`view`]: what a control tool shows
//! * [`checkpoint`]: what survives a restart
//! * [`error`]: refusals and their remedies, why things ended
//! * [`wire`]: payloads; [`iana`]: numbers
//! * [`carrier`]: which kernel carries a client; `places` where its SAs are
//! * [`negotiate`]: choosing from proposals; [`vendor`]: vendor ids
//! * `ikev1`: Main Mode, Quick Mode, Informational, dead peer detection
//! * `fragment`: long messages in pieces, both ways
//! * `nat`: detection, port float; `retransmit`: repeating and answering repetitions
//! * `context`: what exchanges share while one input is handled; `job`: Diffie-Hellman and signatures
//!   as jobs; `claim`: what a certificate and a signature prove

pub mod carrier;
pub mod checkpoint;
mod claim;
mod context;
pub mod endpoint;
pub mod error;
mod fragment;
pub mod iana;
mod ikev1;
pub mod io;
mod job;
mod leases;
mod nat;
pub mod negotiate;
mod offer;
mod places;
pub mod policy;
mod ready;
mod retransmit;
pub mod vendor;
pub mod view;
pub mod wire;

pub use endpoint::Endpoint;
pub use policy::Policy;
