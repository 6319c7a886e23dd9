//! The PPP protocol core: LCP, authentication, IPCP, IPv6CP; no I/O, no clock, no randomness.
//!
//! | file | what |
//! |---|---|
//! | [`io`] | configuration, outputs, questions and answers: the whole contract |
//! | `link` | [`Link`]: the phases of RFC 1661 section 3, put together |

pub mod io;
mod link;

pub use io::{
    AuthFailure, AuthMethod, Checkpoint, CloseReason, Config, Counters, Credentials, DownReason,
    Family, Ipv4Assignment, Ipv4Config, LcpOpened, Network, Output, Party, Phase, Question,
    RestoreError, Secret, View,
};
pub use link::Link;
