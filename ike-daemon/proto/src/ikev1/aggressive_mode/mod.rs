//! Aggressive Mode with pre-shared keys: RFC 2409 5.4, with NAT-D payloads (RFC 3947 3). Only where
//! the policy asks for it: it shows the identities, and HASH_R lets whoever asks guess at the key
//! offline.
//!
//! ```text
//!   AM1   HDR, SA, KE, Ni, IDii, VID*   -->
//!                              <--   HDR, SA, KE, Nr, IDir, HASH_R, VID*, NAT-D, NAT-D   AM2
//!   AM3   HDR(*), HASH_I, NAT-D, NAT-D  -->
//! ```
//!
//! AM2 and AM3 are sent again only when the peer asks for them.

mod initiator;
mod responder;

use crate::context::Context;

use super::Session;
use super::phase1::{Phase, ignore};
use super::received::Received;

pub(crate) use initiator::{Am1Sent, Am1Wanted, Am2Received};
pub(crate) use responder::{Am1Received, Am2Sent};

impl Session {
    /// An Aggressive Mode message with our cookies.
    pub(super) fn handle_aggressive_mode(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        if self.answer_repeated(cx, message.datagram) {
            return;
        }
        let step = match std::mem::replace(&mut self.phase, Phase::Moving) {
            Phase::Am1Sent(state) => self.receive_am2(cx, state, message),
            Phase::Am2Sent(state) => self.receive_am3(cx, state, message),
            other => ignore(other),
        };
        self.conclude(cx, step, message);
    }
}
