//! The PPP protocol core: LCP, authentication, IPCP, IPv6CP; no I/O, no clock, no randomness.
//!
//! It sees PPP packets as (protocol number, what follows): framing, address and control field and
//! protocol field compression are done below it. Compression, encryption, multilink and callback
//! are refused, politely, and the link stays up.
//!
//! | file | what |
//! |---|---|
//! | [`io`] | configuration, outputs, questions and answers: the whole contract |
//! | `link` | [`Link`]: the phases of RFC 1661 section 3, put together, one file each |
//! | `keepalive` | Echo-Requests on a silent link |
//! | [`fsm`] | the state transition table of RFC 1661 section 4.1 |
//! | `automaton` | runs it: identifiers, Restart timer, counters, loop guards |
//! | `lcp`, `ipcp`, `ipv6cp` | the options of RFC 1661, RFC 1332 with RFC 1877, RFC 5072 |
//! | `options` | option lists and their judgement |
//! | [`packet`] | protocol numbers, codes, the packet of RFC 1661 section 5 |
//! | `auth::pap`, `auth::chap` | RFC 1334 and RFC 1994, both roles |
//! | [`auth::mschapv2`] | the computations of RFC 2759 |

pub mod auth;
mod automaton;
pub mod fsm;
pub mod io;
mod ipcp;
mod ipv6cp;
mod keepalive;
mod lcp;
mod link;
mod options;
pub mod packet;

pub use io::{
    AuthFailure, AuthMethod, Checkpoint, CloseReason, Config, Counters, Credentials, DownReason,
    Family, Ipv4Assignment, Ipv4Config, LcpOpened, Network, Output, Party, Phase, Question,
    RestoreError, Secret, View,
};
pub use link::Link;
