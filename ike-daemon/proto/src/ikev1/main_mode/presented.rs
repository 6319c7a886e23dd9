//! What MM5 and MM6 hold, decrypted.

use ike_crypto::Iv;

use crate::iana::{NotifyType, PayloadType};
use crate::ikev1::phase1::keys::Phase1Keys;
use crate::ikev1::received::Received;
use crate::ikev1::signature::read_certificates;
use crate::policy::Proof;
use crate::wire::cert::CertPayload;
use crate::wire::chain::{Chain, GENERIC_LEN};
use crate::wire::header::HEADER_LEN;
use crate::wire::id::{IdPayload, Identification};
use crate::wire::notification::Notification;

/// What a peer proves itself with, decrypted: ID, and HASH or CERT and SIG.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(in crate::ikev1) id_body: Vec<u8>,
    pub(in crate::ikev1) identity: Identification,
    pub(in crate::ikev1) proof: Vec<u8>,
    pub(in crate::ikev1) certificates: Vec<CertPayload>,
    pub(super) initial_contact: bool,
    /// IV of the message after it.
    pub(super) next_iv: Iv,
}

impl Presented {
    /// Octets that the message they came in has at least.
    pub(in crate::ikev1) fn shortest_message(&self) -> usize {
        let payloads = self.id_body.len().saturating_add(self.proof.len());
        payloads.saturating_add(HEADER_LEN + 2 * GENERIC_LEN)
    }

    /// Decrypts MM5 or MM6. A wrong key makes garbage, which is no chain of payloads.
    pub(super) fn open(
        keys: &Phase1Keys,
        iv: &Iv,
        expected: Proof,
        message: &Received<'_>,
    ) -> Option<Self> {
        let (plain, next_iv) = keys.message.open(iv, message.body)?;
        let chain = Chain::parse_padded(message.header.next_payload, &plain).ok()?;
        let id_body = chain.one(PayloadType::ID).ok()?.to_vec();
        let identity = IdPayload::parse(&id_body).ok()?.identity;
        let proof = match expected {
            Proof::Hash => chain.one(PayloadType::HASH),
            Proof::Signature(_) => chain.one(PayloadType::SIG),
        };
        let proof = proof.ok()?.to_vec();
        let initial_contact = says_initial_contact(&chain);
        Some(Self {
            id_body,
            identity,
            proof,
            certificates: read_certificates(&chain),
            initial_contact,
            next_iv,
        })
    }
}

/// Whether INITIAL-CONTACT is among the notifications.
pub(in crate::ikev1) fn says_initial_contact(chain: &Chain<'_>) -> bool {
    chain
        .all(PayloadType::NOTIFICATION)
        .filter_map(|body| Notification::parse(body).ok())
        .any(|notification| notification.kind == NotifyType::INITIAL_CONTACT)
}
