//! The other half of Quick Mode: the server begins.

use ike_crypto::{Iv, hash_1, hash_2, hash_3};

use super::{
    HASH, ID, Initiator, NONCE, Pair, QUICK_MODE, SA, attributes, chain, key_lengths, one,
    proposals,
};

/// A Quick Mode of the server under way.
pub struct Answered {
    message_id: u32,
    ni: Vec<u8>,
    nr: Vec<u8>,
    iv: Iv,
}

impl Initiator {
    /// Answers the first Quick Mode message of the server with its first transform under `spi`.
    pub fn qm2(&mut self, qm1: &[u8], spi: u32, nonce: usize) -> (Vec<u8>, Answered, Pair) {
        let (cipher, hash, _) = self.suite.unwrap();
        assert_eq!(qm1[18], QUICK_MODE);
        let id = u32::from_be_bytes(qm1[20..24].try_into().unwrap());
        let (list, body) = self.decrypt(qm1, &self.phase2_iv(id));
        let skip = 4 + list[0].1.len();
        let used: usize = list.iter().map(|payload| payload.1.len() + 4).sum();
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let expected = hash_1(hash, a, id, &body[skip..used]);
        assert_eq!(list[0], (HASH, expected.expose().to_vec()), "HASH(1)");
        let (ni, sa) = (one(&list, NONCE), one(&list, SA));
        let (theirs, transforms) = proposals(&sa).remove(0);
        let chosen = transforms[0].clone();
        let attributes = attributes(&chosen[8..]);
        let spi_out = u32::from_be_bytes(theirs.try_into().unwrap());

        let nr = self.random(nonce);
        // The proposal as it came, with one transform and our SPI.
        let mut proposal = vec![sa[12], 3, 4, 1];
        proposal.extend(spi.to_be_bytes());
        proposal.extend(chain(&[(3, chosen[4..].to_vec())]));
        let answer = [&sa[..8], &chain(&[(2, proposal)])].concat();
        let mut reply = vec![(SA, answer), (NONCE, nr.clone())];
        reply.extend(list.iter().filter(|payload| payload.0 == ID).cloned());
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let digest = hash_2(hash, a, id, &ni, &chain(&reply));
        reply.insert(0, (HASH, digest.expose().to_vec()));
        let iv = Iv::new(&qm1[qm1.len() - cipher.block_len()..]).unwrap();
        let (message, iv) = self.encrypted(QUICK_MODE, id, &reply, &iv);

        let lengths = key_lengths(&chosen, &attributes);
        let material = |spi| self.material(None, spi, &ni, &nr, lengths);
        let pair = Pair {
            spi_in: spi,
            spi_out,
            transform: chosen[5],
            keys_in: material(spi),
            keys_out: material(spi_out),
            attributes,
            chosen,
            answer: list,
        };
        let under_way = Answered {
            message_id: id,
            ni,
            nr,
            iv,
        };
        (message, under_way, pair)
    }

    /// Checks the third message.
    pub fn read_qm3(&self, under_way: &Answered, qm3: &[u8]) {
        let (_, hash, _) = self.suite.unwrap();
        assert_eq!(qm3[20..24], under_way.message_id.to_be_bytes());
        let (list, _) = self.decrypt(qm3, &under_way.iv);
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let expected = hash_3(hash, a, under_way.message_id, &under_way.ni, &under_way.nr);
        assert_eq!(list[0], (HASH, expected.expose().to_vec()), "HASH(3)");
    }
}
