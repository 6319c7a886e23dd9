//! Messages that are wrong in a chosen place, or right with chosen payloads.

use ike_crypto::{Iv, hash_1, hash_i};

use super::{HASH, Initiator, MAIN_MODE, Payload, chain};

impl Initiator {
    /// A message of phase 1 in the clear with these payloads.
    pub fn clear_message(&self, exchange: u8, list: &[Payload]) -> Vec<u8> {
        self.message(exchange, 0, 0, list[0].0, &chain(list))
    }

    /// HASH_I over an identity.
    pub fn proof(&self, identity: &[u8]) -> Vec<u8> {
        let (_, hash, _) = self.suite.unwrap();
        let keys = self.keys.as_ref().unwrap();
        let exchange = self.exchange(&self.dialect.phase1);
        hash_i(hash, &keys.skeyids.skeyid, &exchange, identity)
            .expose()
            .to_vec()
    }

    /// A fifth message of these payloads.
    pub fn fifth(&self, list: &[Payload]) -> Vec<u8> {
        self.fifth_octets(list[0].0, &chain(list))
    }

    /// A fifth message that decrypts to these octets.
    pub fn fifth_octets(&self, first: u8, plain: &[u8]) -> Vec<u8> {
        let iv = self.keys.as_ref().unwrap().iv;
        self.octets(MAIN_MODE, 0, first, plain, &iv)
    }

    /// HASH(1) over the payloads of a message of phase 2.
    pub fn hash_1(&self, id: u32, list: &[Payload]) -> Vec<u8> {
        self.hash_1_of(id, &chain(list))
    }

    /// HASH(1) over octets.
    pub fn hash_1_of(&self, id: u32, octets: &[u8]) -> Vec<u8> {
        let (_, hash, _) = self.suite.unwrap();
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        hash_1(hash, a, id, octets).expose().to_vec()
    }

    /// A first message of phase 2 with HASH(1) in front of its payloads.
    pub fn phase2(&self, exchange: u8, id: u32, list: &[Payload]) -> Vec<u8> {
        let mut all = vec![(HASH, self.hash_1(id, list))];
        all.extend_from_slice(list);
        self.phase2_raw(exchange, id, &all)
    }

    /// A first message of phase 2 of exactly these payloads.
    pub fn phase2_raw(&self, exchange: u8, id: u32, list: &[Payload]) -> Vec<u8> {
        self.phase2_octets(exchange, id, list[0].0, &chain(list))
    }

    /// A first message of phase 2 that decrypts to these octets.
    pub fn phase2_octets(&self, exchange: u8, id: u32, first: u8, plain: &[u8]) -> Vec<u8> {
        self.octets(exchange, id, first, plain, &self.phase2_iv(id))
    }

    fn octets(&self, exchange: u8, id: u32, first: u8, plain: &[u8], iv: &Iv) -> Vec<u8> {
        let (cipher, ..) = self.suite.unwrap();
        let mut body = plain.to_vec();
        body.resize(body.len().next_multiple_of(cipher.block_len()), 0);
        let key = &self.keys.as_ref().unwrap().key;
        cipher.encrypt(key.expose(), iv, &mut body).unwrap();
        self.message(exchange, 1, id, first, &body)
    }
}
