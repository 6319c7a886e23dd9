//! Main Mode with pre-shared keys: RFC 2409 5.4, with NAT-D payloads (RFC 3947 3). With signatures
//! the last two messages are those of [`super::signature`].
//!
//! ```text
//!   MM1   HDR, SA, VID*                 -->
//!                                       <--   HDR, SA, VID*                MM2
//!   MM3   HDR, KE, Ni, NAT-D, NAT-D     -->
//!                                       <--   HDR, KE, Nr, NAT-D, NAT-D    MM4
//!   MM5   HDR*, IDii, HASH_I            -->
//!                                       <--   HDR*, IDir, HASH_R           MM6
//! ```
//!
//! A message that is refused leaves the state as it was: nobody has proved anything before MM5, so
//! nobody may destroy anything.

mod initiator;
mod presented;
mod responder;

use ike_crypto::{Iv, KeyPair};

use crate::context::Context;
use crate::error::Refusal;
use crate::iana::ExchangeType;
use crate::nat::Path;
use crate::wire::chain::Builder;
use crate::wire::sa::SaPayload;

use super::Session;
use super::phase1::keys::{Agreed, Exchanged, Phase1Keys, ke_and_nonce};
use super::phase1::{Phase, ignore};
use super::received::Received;

pub(in crate::ikev1) use presented::{Presented, says_initial_contact};

/// MM1 is out.
#[derive(Debug)]
pub(crate) struct Mm1Sent {
    offer: SaPayload,
}

/// MM3 is out.
#[derive(Debug)]
pub(crate) struct Mm3Sent {
    pub(in crate::ikev1) agreed: Agreed,
    pair: KeyPair,
    ni: Vec<u8>,
}

/// MM5 is out.
#[derive(Debug)]
pub(crate) struct Mm5Sent {
    pub(in crate::ikev1) exchanged: Exchanged,
    keys: Phase1Keys,
    /// IV of MM6.
    iv: Iv,
}

/// MM5 is in, signatures are being computed.
#[derive(Debug)]
pub(crate) struct Judging {
    pub(in crate::ikev1) exchanged: Box<Exchanged>,
    keys: Phase1Keys,
    presented: Presented,
    path: Path,
}

/// MM4 is in, our signature is being computed.
#[derive(Debug)]
pub(crate) struct Signing {
    pub(in crate::ikev1) exchanged: Exchanged,
    keys: Phase1Keys,
}

/// MM6 is in, the peer's signature is being checked.
#[derive(Debug)]
pub(crate) struct Verifying {
    pub(in crate::ikev1) exchanged: Exchanged,
    keys: Phase1Keys,
    presented: Presented,
}

impl Session {
    /// Sends an unencrypted message of Main Mode.
    fn send_main_mode(&mut self, cx: &mut Context<'_>, chain: &Builder) {
        self.send_clear(cx, ExchangeType::MAIN_MODE, chain);
    }

    /// A Main Mode message with our cookies.
    pub(super) fn handle_main_mode(&mut self, cx: &mut Context<'_>, message: &Received<'_>) {
        if self.answer_repeated(cx, message.datagram) {
            return;
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Moving);
        let encrypted = message.header.encrypted();
        let step = match phase {
            Phase::Mm1Sent(state) if !encrypted => self.receive_mm2(cx, state, message),
            Phase::Mm2Sent(state) if !encrypted => self.receive_mm3(cx, state, message),
            Phase::Mm3Sent(state) if !encrypted => self.receive_mm4(cx, state, message),
            Phase::Mm4Sent(state) if encrypted => self.receive_mm5(cx, state, message),
            Phase::Mm5Sent(state) if encrypted => self.receive_mm6(cx, state, message),
            other => ignore(other),
        };
        self.conclude(cx, step, message);
    }

    /// The payloads of MM3 and MM4, and NAT detection by what came over `path`.
    fn read_ke_nonce(
        &mut self,
        agreed: &Agreed,
        path: Path,
        message: &Received<'_>,
    ) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let chain = message.chain()?;
        let read = ke_and_nonce(agreed, &chain)?;
        self.detect_nat(agreed, path, &chain);
        Ok(read)
    }
}
