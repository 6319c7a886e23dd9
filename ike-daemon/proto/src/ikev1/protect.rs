//! Encryption of ISAKMP messages and chaining of IVs: RFC 2409 5 and appendix B.

use std::collections::{BTreeSet, VecDeque};

use ike_crypto::{Cipher, Hash, Iv, Secret, hash_1, phase2_iv, verify};

use crate::iana::PayloadType;
use crate::wire::chain::{Builder, Chain};
use crate::wire::header::{FLAG_ENCRYPTION, Header};

/// How messages of an ISAKMP SA are encrypted.
#[derive(Clone, Debug)]
pub(crate) struct MessageKey {
    pub(crate) cipher: Cipher,
    pub(crate) key: Secret,
}

impl MessageKey {
    /// Encrypts a chain behind a header; returns the message and the IV of the next one.
    pub(crate) fn seal(&self, iv: &Iv, header: &Header, chain: &Builder) -> Option<(Vec<u8>, Iv)> {
        let mut body = chain.emit();
        let block = self.cipher.block_len();
        body.resize(body.len().next_multiple_of(block), 0);
        let next = self.cipher.encrypt(self.key.expose(), iv, &mut body).ok()?;
        let header = Header {
            next_payload: chain.first(),
            flags: header.flags | FLAG_ENCRYPTION,
            ..*header
        };
        Some((header.emit(&body), next))
    }

    /// Decrypts the body of a message; returns it and the IV of the next message.
    pub(crate) fn open(&self, iv: &Iv, body: &[u8]) -> Option<(Vec<u8>, Iv)> {
        let mut body = body.to_vec();
        let next = self.cipher.decrypt(self.key.expose(), iv, &mut body).ok()?;
        Some((body, next))
    }
}

/// Keys of an established ISAKMP SA.
#[derive(Clone, Debug)]
pub(crate) struct SaKeys {
    pub(crate) hash: Hash,
    pub(crate) message: MessageKey,
    pub(crate) skeyid_d: Secret,
    pub(crate) skeyid_a: Secret,
    /// Last cipher block of phase 1, from which IVs of phase 2 are made.
    pub(crate) last_block: Iv,
}

impl SaKeys {
    /// The IV of the first message of an exchange.
    pub(crate) fn iv(&self, message_id: u32) -> Option<Iv> {
        phase2_iv(self.hash, self.message.cipher, &self.last_block, message_id).ok()
    }

    /// Decrypts the body of the first message of an exchange; returns it and the IV of the next.
    pub(crate) fn open_first(&self, message_id: u32, body: &[u8]) -> Option<(Vec<u8>, Iv)> {
        self.message.open(&self.iv(message_id)?, body)
    }

    /// The payloads of such a message, if its HASH(1) holds (RFC 2409 5.5 and 5.7).
    pub(crate) fn genuine<'a>(&self, header: &Header, plain: &'a [u8]) -> Option<Chain<'a>> {
        let hash = |rest: &[u8]| hash_1(self.hash, &self.skeyid_a, header.message_id, rest);
        genuine_by(header, plain, hash)
    }
}

/// The payloads of a decrypted message, if the HASH payload it begins with is what `expected` makes
/// of the octets behind it.
pub(crate) fn genuine_by<'a>(
    header: &Header,
    plain: &'a [u8],
    expected: impl FnOnce(&[u8]) -> Secret,
) -> Option<Chain<'a>> {
    let chain = Chain::parse_padded(header.next_payload, plain).ok()?;
    let first = *chain.payloads().first()?;
    if first.kind != PayloadType::HASH {
        return None;
    }
    verify(expected(chain.after_first()).expose(), first.body).then_some(chain)
}

/// Message ids that have been used under an ISAKMP SA: each is good for one exchange (RFC 2409
/// 5.5), so a recorded message cannot be played again. Windows counts 1, 2, 3. When there are too
/// many to remember, the ISAKMP SA ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageIds {
    order: VecDeque<u32>,
    set: BTreeSet<u32>,
}

/// How many an ISAKMP SA may use: dead peer detection every 30 seconds by both sides takes 5760 in
/// the longest lifetime there is.
const MAX_IDS: usize = 8192;

/// How many more are remembered while it is on its way out.
const SPARE: usize = 256;

impl MessageIds {
    pub(crate) fn contains(&self, id: u32) -> bool {
        self.set.contains(&id)
    }

    pub(crate) fn insert(&mut self, id: u32) {
        if self.set.insert(id) {
            self.order.push_back(id);
            if self.order.len() > MAX_IDS + SPARE
                && let Some(oldest) = self.order.pop_front()
            {
                self.set.remove(&oldest);
            }
        }
    }

    /// Whether so many have been used that some would have to be forgotten.
    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= MAX_IDS
    }

    /// In order of use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.order.iter().copied()
    }
}
