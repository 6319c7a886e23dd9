//! The ISAKMP SA that phase 1 makes.

use ike_crypto::Iv;

use crate::context::Context;
use crate::ikev1::dpd::Dpd;
use crate::ikev1::lifetime::{phase1_lifetime, rekey_moment};
use crate::ikev1::protect::{MessageIds, SaKeys};
use crate::ikev1::transaction::Xauth;
use crate::ikev1::{Established, Session};
use crate::io::Reqid;
use crate::wire::id::Identification;

use super::keys::{Agreed, Phase1Keys};

impl Session {
    /// Everything about the new ISAKMP SA but whose it is; `last_block` is the last cipher block of
    /// phase 1.
    pub(in crate::ikev1) fn complete(
        &mut self,
        cx: &mut Context<'_>,
        agreed: &Agreed,
        keys: Phase1Keys,
        last_block: Iv,
        peer_identity: Identification,
    ) -> Established {
        self.refusal = None;
        self.hint = None;
        let now = cx.now;
        let policy = &cx.shared.policy;
        let terms = policy.terms(self.path.peer.ip());
        let (suite, method) = (agreed.suite, agreed.method);
        let lifetime = phase1_lifetime(terms.phase1, agreed.lifetime);
        let keepalive = (self.nat.local && self.path.natt_port && !terms.nat.keepalive.is_zero())
            .then(|| now + terms.nat.keepalive);
        // A client with a password would be asked for it again: that is for it to begin.
        let rekey_ourselves =
            self.initiator || terms.phase2.rekey_as_responder && !method.uses_xauth();
        Established {
            keys: SaKeys {
                hash: suite.hash,
                message: keys.message,
                skeyid_d: keys.skeyids.d.clone(),
                skeyid_a: keys.skeyids.a.clone(),
                last_block,
            },
            suite,
            method,
            peer_identity,
            since: now,
            rekey: rekey_moment(cx, lifetime, self.initiator).filter(|_| rekey_ourselves),
            expires: now + lifetime,
            client: Reqid(0),
            quick: std::collections::BTreeMap::new(),
            seen: MessageIds::default(),
            dpd: Dpd::new(now, self.dpd_supported, cx.rng.next_u32()),
            keepalive,
            superseded: false,
            retire: None,
            xauth: match method.uses_xauth() {
                true => Xauth::pending(now),
                false => Xauth::None,
            },
            initial_contact: false,
            transactions: std::collections::BTreeMap::new(),
            address: None,
        }
    }
}
