//! Aggressive Mode with a pre-shared key, RFC 2409 5.4.

use ike_crypto::{Group, hash_i, hash_r};

use super::{HASH, ID, Initiator, KE, NONCE, SA, VENDOR, chain, clear, one};

/// RFC 2408 3.1.
const AGGRESSIVE: u8 = 4;

impl Initiator {
    /// The first message: SA, KE of `group`, nonce, identity, Vendor IDs.
    pub fn aggressive(&mut self, group: u16) -> Vec<u8> {
        let group = Group::from_iana(group).unwrap();
        let pair = group.generate(&mut self.rng);
        self.ni = self.random(self.dialect.nonce);
        let mut list = vec![
            (SA, self.dialect.phase1.clone()),
            (KE, pair.public().to_vec()),
            (NONCE, self.ni.clone()),
            (ID, self.identity()),
        ];
        self.pair = Some(pair);
        list.extend(self.dialect.vendors.iter().map(|id| (VENDOR, id.clone())));
        self.message(AGGRESSIVE, 0, 0, SA, &chain(&list))
    }

    /// Reads the second message. Says whether the server has proved that it has the key, which
    /// whoever asks can try out; the third message.
    pub fn am3(&mut self, am2: &[u8]) -> (bool, Vec<u8>) {
        let list = clear(am2);
        self.cky_r = am2[8..16].try_into().unwrap();
        self.read_choice(&list);
        self.derive(&list);
        let (_, hash, _) = self.suite.unwrap();
        let keys = self.keys.as_ref().unwrap();
        let exchange = self.exchange(&self.dialect.phase1);
        let skeyid = &keys.skeyids.skeyid;
        let theirs = hash_r(hash, skeyid, &exchange, &one(&list, ID));
        let proven = one(&list, HASH) == theirs.expose();
        let ours = hash_i(hash, skeyid, &exchange, &self.identity());
        let mut list = vec![(HASH, ours.expose().to_vec())];
        if let Some(number) = self.dialect.nat_d {
            list.push((number, self.nat_d(self.server)));
            list.push((number, self.nat_d(self.own)));
        }
        let iv = keys.iv;
        let (message, last) = self.encrypted(AGGRESSIVE, 0, &list, &iv);
        self.keys.as_mut().unwrap().iv = last;
        (proven, message)
    }
}
