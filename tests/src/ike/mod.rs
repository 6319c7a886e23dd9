//! The initiator's half of IKEv1 (RFC 2408, RFC 2409, RFC 3947) with every payload put together
//! by hand, in the order and encoding a [`Dialect`] says: what a client in use sends, or one that
//! is wrong in a chosen place. The mathematics come from `ike-crypto`, no octet from `ike-proto`.

mod aggressive;
pub mod certificate;
pub mod forge;
pub mod fragment;
pub mod gateway;
pub mod offers;
pub mod ordinary;
mod responder;

use std::net::{IpAddr, SocketAddr};

use ike_crypto::{
    Cipher, Cookie, Exchange, Group, Hash, Iv, KeyPair, KeymatInput, Secret, Skeyids, cipher_key,
    hash_1, hash_2, hash_3, hash_i, hash_r, keymat, phase1_iv, phase2_iv, skeyid_psk,
    skeyid_signatures,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Payload numbers of RFC 2408 3.1 and RFC 3947.
pub const SA: u8 = 1;
/// Key Exchange.
pub const KE: u8 = 4;
/// Identification.
pub const ID: u8 = 5;
/// Certificate.
pub const CERT: u8 = 6;
/// Certificate Request.
pub const CERTREQ: u8 = 7;
/// Hash.
pub const HASH: u8 = 8;
/// Signature.
pub const SIG: u8 = 9;
/// Nonce.
pub const NONCE: u8 = 10;
/// Notification.
pub const NOTIFY: u8 = 11;
/// Delete.
pub const DELETE: u8 = 12;
/// Vendor ID.
pub const VENDOR: u8 = 13;
/// Attributes, draft-dukes-ike-mode-cfg-02.
pub const ATTRIBUTES: u8 = 14;
/// NAT-D of RFC 3947.
pub const NAT_D: u8 = 20;
/// NAT-OA of RFC 3947.
pub const NAT_OA: u8 = 21;
/// NAT-D of drafts 02 and 03.
pub const NAT_D_DRAFT: u8 = 130;
/// NAT-OA of drafts 02 and 03.
pub const NAT_OA_DRAFT: u8 = 131;

/// Exchange types of RFC 2408 3.1 and RFC 2409 appendix A.
pub const MAIN_MODE: u8 = 2;
/// Informational.
pub const INFORMATIONAL: u8 = 5;
/// Transaction, draft-dukes-ike-mode-cfg-02.
pub const TRANSACTION: u8 = 6;
/// Quick Mode.
pub const QUICK_MODE: u8 = 32;

/// Identities clients with a group name send: KEY_ID, FQDN, USER_FQDN.
pub const AGGRESSIVE_NUMBERS: [(u8, &[u8]); 3] = [
    (11, b"group"),
    (2, b"vpn.example.org"),
    (3, b"me@example.org"),
];

/// One payload: its number and its body.
pub type Payload = (u8, Vec<u8>);

/// How a client speaks IKE.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Body of the SA payload of phase 1.
    pub phase1: Vec<u8>,
    /// Vendor IDs of the first message, in order.
    pub vendors: Vec<Vec<u8>>,
    /// Octets of nonces.
    pub nonce: usize,
    /// Number of the NAT-D payload, `None` for no NAT traversal.
    pub nat_d: Option<u8>,
    /// Hash other addresses than its own, so that NAT is always found.
    pub forged_nat_d: bool,
    /// A public value that begins with a zero, which is left out.
    pub short_public: bool,
    /// INITIAL-CONTACT behind HASH_I in the fifth message.
    pub initial_contact: bool,
    /// The identity it sends instead of its address: type and value.
    pub identity: Option<(u8, Vec<u8>)>,
    /// The pre-shared key.
    pub psk: Vec<u8>,
    /// By what it signs instead.
    pub certified: Option<certificate::Certified>,
}

impl Dialect {
    /// A client with this phase 1 offer and these Vendor IDs, otherwise ordinary.
    pub fn new(phase1: Vec<u8>, vendors: &[&[u8]], psk: &[u8]) -> Self {
        Self {
            phase1,
            vendors: vendors.iter().map(|vendor| vendor.to_vec()).collect(),
            nonce: 32,
            nat_d: Some(NAT_D),
            forged_nat_d: false,
            short_public: false,
            initial_contact: false,
            identity: None,
            psk: psk.to_vec(),
            certified: None,
        }
    }
}

/// What goes into a first Quick Mode message.
#[derive(Clone, Debug)]
pub struct Quick {
    /// Message ID.
    pub message_id: u32,
    /// Body of the SA payload; its SPIs are the client's inbound SPI.
    pub sa: Vec<u8>,
    /// Client's inbound SPI, as in `sa`.
    pub spi: u32,
    /// Octets of the nonce.
    pub nonce: usize,
    /// Group of the KE payload.
    pub pfs: Option<Group>,
    /// Bodies of ID payloads, normally two.
    pub ids: Vec<Vec<u8>>,
    /// Payloads behind the IDs (NAT-OA).
    pub more: Vec<Payload>,
}

/// A Quick Mode under way.
pub struct QuickUnderWay {
    message_id: u32,
    spi: u32,
    ni: Vec<u8>,
    iv: Iv,
    pfs: Option<KeyPair>,
}

/// A pair of IPsec SAs as the client knows it.
#[derive(Clone, Debug)]
pub struct Pair {
    /// SPI of packets to the client.
    pub spi_in: u32,
    /// SPI of packets to the server.
    pub spi_out: u32,
    /// ESP transform number.
    pub transform: u8,
    /// Attributes of the transform as the server returned them.
    pub attributes: Vec<(u16, u64)>,
    /// The transform as it came back.
    pub chosen: Vec<u8>,
    /// Encryption and authentication key of packets to the client.
    pub keys_in: (Vec<u8>, Vec<u8>),
    /// The same to the server.
    pub keys_out: (Vec<u8>, Vec<u8>),
    /// Every payload of the answer.
    pub answer: Vec<Payload>,
}

impl Pair {
    /// Value of an attribute.
    pub fn attribute(&self, class: u16) -> Option<u64> {
        let mut found = self.attributes.iter();
        found.find(|(of, _)| *of == class).map(|(_, value)| *value)
    }
}

/// The initiator.
pub struct Initiator {
    /// How it speaks.
    pub dialect: Dialect,
    /// Where it believes to be.
    pub own: SocketAddr,
    /// Whom it dials.
    pub server: SocketAddr,
    /// Its cookie.
    pub cky_i: Cookie,
    /// The server's, zero before the second message.
    pub cky_r: Cookie,
    /// Its randomness.
    pub rng: ChaCha20Rng,
    /// Cipher, hash and group as chosen.
    pub suite: Option<(Cipher, Hash, Group)>,
    /// The transform as the server returned it.
    pub chosen: Vec<u8>,
    /// Whether it found the server's address translated, and its own.
    pub nat: (bool, bool),
    pair: Option<KeyPair>,
    ni: Vec<u8>,
    keys: Option<Keys>,
}

struct Keys {
    skeyids: Skeyids,
    gxi: Vec<u8>,
    gxr: Vec<u8>,
    key: Secret,
    iv: Iv,
}

impl Initiator {
    /// A client at `own` that dials `server`.
    pub fn new(dialect: Dialect, own: &str, server: &str, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut cky_i = [0; 8];
        rng.fill_bytes(&mut cky_i);
        Self {
            dialect,
            own: SocketAddr::new(own.parse().unwrap(), 500),
            server: SocketAddr::new(server.parse().unwrap(), 500),
            cky_i,
            cky_r: [0; 8],
            rng,
            suite: None,
            chosen: Vec::new(),
            nat: (false, false),
            pair: None,
            ni: Vec::new(),
            keys: None,
        }
    }

    fn random(&mut self, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        self.rng.fill_bytes(&mut octets);
        octets
    }

    /// A whole message.
    pub fn message(&self, exchange: u8, flags: u8, id: u32, first: u8, body: &[u8]) -> Vec<u8> {
        let mut out = [self.cky_i, self.cky_r].concat();
        out.extend([first, 0x10, exchange, flags]);
        out.extend(id.to_be_bytes());
        out.extend((28 + body.len() as u32).to_be_bytes());
        out.extend(body);
        out
    }

    /// SA and Vendor IDs.
    pub fn mm1(&mut self) -> Vec<u8> {
        let mut list = vec![(SA, self.dialect.phase1.clone())];
        list.extend(self.dialect.vendors.iter().map(|id| (VENDOR, id.clone())));
        self.message(MAIN_MODE, 0, 0, SA, &chain(&list))
    }

    /// Reads the second message, which must hold one transform of the offer octet for octet, and
    /// gives the third: KE, nonce, NAT-D of the server and of itself.
    pub fn mm3(&mut self, mm2: &[u8]) -> Vec<u8> {
        let list = clear(mm2);
        self.cky_r = mm2[8..16].try_into().unwrap();
        assert_ne!(self.cky_r, [0; 8]);
        let group = self.read_choice(&list);
        let mut pair = group.generate(&mut self.rng);
        while self.dialect.short_public && pair.public()[0] != 0 {
            pair = group.generate(&mut self.rng);
        }
        self.pair = Some(pair);
        self.ni = self.random(self.dialect.nonce);
        let mut list = vec![(KE, self.public()), (NONCE, self.ni.clone())];
        if let Some(number) = self.dialect.nat_d {
            let (mut remote, mut local) = (self.server, self.own);
            if self.dialect.forged_nat_d {
                remote.set_ip("192.0.2.250".parse().unwrap());
                local.set_ip("192.0.2.251".parse().unwrap());
            }
            list.push((number, self.nat_d(remote)));
            list.push((number, self.nat_d(local)));
        }
        self.message(MAIN_MODE, 0, 0, KE, &chain(&list))
    }

    /// The public value as it goes over the wire.
    fn public(&self) -> Vec<u8> {
        let public = self.pair.as_ref().unwrap().public();
        public[usize::from(self.dialect.short_public)..].to_vec()
    }

    /// The one transform that was chosen of the offer, and its group.
    fn read_choice(&mut self, list: &[Payload]) -> Group {
        assert_eq!(list[0].0, SA, "the SA payload comes first");
        let (_, transforms) = proposals(&list[0].1).remove(0);
        assert_eq!(transforms.len(), 1, "one transform is chosen");
        self.chosen = transforms[0].clone();
        assert!(
            offered(&self.dialect.phase1).contains(&self.chosen),
            "racoon compares the transform with what it offered, octet for octet"
        );
        let attributes = attributes(&self.chosen[8..]);
        let get = |class| attributes.iter().find(|a| a.0 == class).map(|a| a.1 as u16);
        let cipher = Cipher::from_iana(get(1).unwrap(), get(14)).unwrap();
        let hash = Hash::from_iana(get(2).unwrap()).unwrap();
        let group = Group::from_iana(get(4).unwrap()).unwrap();
        self.suite = Some((cipher, hash, group));
        group
    }

    /// RFC 3947 3.2: HASH(CKY-I | CKY-R | IP | Port).
    pub fn nat_d(&self, address: SocketAddr) -> Vec<u8> {
        let (_, hash, _) = self.suite.unwrap();
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        hash.digest(&[&self.cky_i, &self.cky_r, &ip, &address.port().to_be_bytes()])
    }

    /// Reads the fourth message; keys exist from here on.
    pub fn read_mm4(&mut self, mm4: &[u8]) {
        self.derive(&clear(mm4));
    }

    /// Keys, by the server's public value and nonce.
    fn derive(&mut self, list: &[Payload]) {
        let (cipher, hash, _) = self.suite.unwrap();
        let gxr = one(list, KE);
        let nr = one(list, NONCE);
        let pair = self.pair.as_ref().unwrap();
        let gxy = pair.agree(&gxr).unwrap();
        let skeyid = match &self.dialect.certified {
            None => skeyid_psk(hash, &self.dialect.psk, &self.ni, &nr),
            Some(_) => {
                certificate::assert_requested(list);
                skeyid_signatures(hash, &self.ni, &nr, &gxy)
            }
        };
        let skeyids = Skeyids::derive(hash, skeyid, &gxy, &self.cky_i, &self.cky_r);
        if let Some(number) = self.dialect.nat_d {
            let found: Vec<_> = list.iter().filter(|payload| payload.0 == number).collect();
            assert!(found.len() >= 2, "NAT-D with the number of the variant");
            let at = |address| found.iter().any(|payload| payload.1 == self.nat_d(address));
            // The first is about us, RFC 3947 3.2.
            self.nat = (!at(self.server), found[0].1 != self.nat_d(self.own));
        }
        let gxi = self.public();
        self.keys = Some(Keys {
            key: cipher_key(hash, cipher, &skeyids.e),
            iv: phase1_iv(hash, cipher, &gxi, &gxr).unwrap(),
            gxi,
            gxr,
            skeyids,
        });
    }

    /// The identity: type, protocol, port, value.
    pub fn identity(&self) -> Vec<u8> {
        match &self.dialect.identity {
            Some((kind, value)) => [&[*kind, 0, 0, 0], value.as_slice()].concat(),
            None => id_address(self.own.ip(), 0, 0),
        }
    }

    fn exchange<'a>(&'a self, sai_b: &'a [u8]) -> Exchange<'a> {
        let keys = self.keys.as_ref().unwrap();
        Exchange {
            gxi: &keys.gxi,
            gxr: &keys.gxr,
            cky_i: &self.cky_i,
            cky_r: &self.cky_r,
            sai_b,
        }
    }

    /// The fifth message; HASH_I covers `sai_b`. The IV chain moves on with the sixth only.
    pub fn mm5_over(&mut self, sai_b: &[u8]) -> Vec<u8> {
        let (_, hash, _) = self.suite.unwrap();
        let id = self.identity();
        let keys = self.keys.as_ref().unwrap();
        let digest = hash_i(hash, &keys.skeyids.skeyid, &self.exchange(sai_b), &id);
        let mut list = match &self.dialect.certified {
            None => vec![(ID, id), (HASH, digest.expose().to_vec())],
            Some(certified) => certified.proof(id, digest.expose()),
        };
        if self.dialect.initial_contact {
            list.push((NOTIFY, self.initial_contact()));
        }
        let iv = keys.iv;
        self.encrypted(MAIN_MODE, 0, &list, &iv).0
    }

    /// The fifth message.
    pub fn mm5(&mut self) -> Vec<u8> {
        self.mm5_over(&self.dialect.phase1.clone())
    }

    /// Body of an INITIAL-CONTACT notification, 28 octets with its generic header.
    pub fn initial_contact(&self) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 1, 1, 16, 0x60, 0x02];
        body.extend(self.cky_i);
        body.extend(self.cky_r);
        body
    }

    /// Reads the sixth message in answer to `mm5` and checks the server's proof; its payloads.
    pub fn read_mm6(&mut self, mm5: &[u8], mm6: &[u8]) -> Vec<Payload> {
        let (cipher, hash, _) = self.suite.unwrap();
        let block = cipher.block_len();
        let iv = Iv::new(&mm5[mm5.len() - block..]).unwrap();
        let (list, _) = self.decrypt(mm6, &iv);
        let id = one(&list, ID);
        let keys = self.keys.as_ref().unwrap();
        let exchange = self.exchange(&self.dialect.phase1);
        let digest = hash_r(hash, &keys.skeyids.skeyid, &exchange, &id);
        match &self.dialect.certified {
            None => assert_eq!(one(&list, HASH), digest.expose(), "HASH_R"),
            Some(_) => certificate::assert_signed(&list, digest.expose()),
        }
        let last = Iv::new(&mm6[mm6.len() - block..]).unwrap();
        self.keys.as_mut().unwrap().iv = last;
        list
    }

    fn encrypted(&self, exchange: u8, id: u32, list: &[Payload], iv: &Iv) -> (Vec<u8>, Iv) {
        let (cipher, ..) = self.suite.unwrap();
        let mut body = chain(list);
        body.resize(body.len().next_multiple_of(cipher.block_len()), 0);
        let key = &self.keys.as_ref().unwrap().key;
        let next = cipher.encrypt(key.expose(), iv, &mut body).unwrap();
        (self.message(exchange, 1, id, list[0].0, &body), next)
    }

    fn decrypt(&self, message: &[u8], iv: &Iv) -> (Vec<Payload>, Vec<u8>) {
        let (cipher, ..) = self.suite.unwrap();
        assert_eq!(message[19] & 1, 1, "encrypted");
        let mut body = message[28..].to_vec();
        let key = &self.keys.as_ref().unwrap().key;
        cipher.decrypt(key.expose(), iv, &mut body).unwrap();
        (unchain(message[16], &body), body)
    }

    fn phase2_iv(&self, id: u32) -> Iv {
        let (cipher, hash, _) = self.suite.unwrap();
        phase2_iv(hash, cipher, &self.keys.as_ref().unwrap().iv, id).unwrap()
    }

    /// First Quick Mode message.
    pub fn qm1(&mut self, quick: &Quick) -> (Vec<u8>, QuickUnderWay) {
        let (_, hash, _) = self.suite.unwrap();
        let ni = self.random(quick.nonce);
        let pfs = quick.pfs.map(|group| group.generate(&mut self.rng));
        let mut list = vec![(SA, quick.sa.clone()), (NONCE, ni.clone())];
        list.extend(pfs.iter().map(|pair| (KE, pair.public().to_vec())));
        list.extend(quick.ids.iter().map(|id| (ID, id.clone())));
        list.extend(quick.more.iter().cloned());
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let digest = hash_1(hash, a, quick.message_id, &chain(&list));
        list.insert(0, (HASH, digest.expose().to_vec()));
        let iv = self.phase2_iv(quick.message_id);
        let (message, iv) = self.encrypted(QUICK_MODE, quick.message_id, &list, &iv);
        let under_way = QuickUnderWay {
            message_id: quick.message_id,
            spi: quick.spi,
            ni,
            iv,
            pfs,
        };
        (message, under_way)
    }

    /// Reads the second Quick Mode message and gives the third with the new pair of SAs.
    pub fn qm3(&mut self, quick: &QuickUnderWay, qm2: &[u8]) -> (Vec<u8>, Pair) {
        let (cipher, hash, _) = self.suite.unwrap();
        assert_eq!(qm2[18], QUICK_MODE);
        assert_eq!(qm2[20..24], quick.message_id.to_be_bytes());
        let (list, body) = self.decrypt(qm2, &quick.iv);
        assert_eq!(list[0].0, HASH);
        let skip = 4 + list[0].1.len();
        let used: usize = list.iter().map(|payload| payload.1.len() + 4).sum();
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let expected = hash_2(hash, a, quick.message_id, &quick.ni, &body[skip..used]);
        assert_eq!(list[0].1, expected.expose(), "HASH(2)");

        let nr = one(&list, NONCE);
        let (spi, transforms) = proposals(&one(&list, SA)).remove(0);
        assert_eq!(transforms.len(), 1);
        let chosen = transforms[0].clone();
        let spi_out = u32::from_be_bytes(spi.try_into().unwrap());
        assert_ne!(spi_out, quick.spi);
        let attributes = attributes(&chosen[8..]);
        let lengths = key_lengths(&chosen, &attributes);
        let gqm = quick
            .pfs
            .as_ref()
            .map(|pair| pair.agree(&one(&list, KE)).unwrap());
        let material = |spi| self.material(gqm.as_ref(), spi, &quick.ni, &nr, lengths);
        let pair = Pair {
            spi_in: quick.spi,
            spi_out,
            transform: chosen[5],
            attributes,
            chosen,
            keys_in: material(quick.spi),
            keys_out: material(spi_out),
            answer: list,
        };
        let iv = Iv::new(&qm2[qm2.len() - cipher.block_len()..]).unwrap();
        let digest = hash_3(hash, a, quick.message_id, &quick.ni, &nr);
        let list = [(HASH, digest.expose().to_vec())];
        let (message, _) = self.encrypted(QUICK_MODE, quick.message_id, &list, &iv);
        (message, pair)
    }

    /// Keys of an SA of `spi`, RFC 2409 5.5: those of the cipher, those of authentication.
    fn material(
        &self,
        gqm: Option<&Secret>,
        spi: u32,
        ni: &[u8],
        nr: &[u8],
        (key, auth): (usize, usize),
    ) -> (Vec<u8>, Vec<u8>) {
        let (_, hash, _) = self.suite.unwrap();
        let input = KeymatInput {
            gqm,
            protocol: 3,
            spi,
            ni,
            nr,
        };
        let d = &self.keys.as_ref().unwrap().skeyids.d;
        let keys = keymat(hash, d, &input, key + auth);
        let (encryption, authentication) = keys.expose().split_at(key);
        (encryption.to_vec(), authentication.to_vec())
    }

    /// An Informational under the ISAKMP SA.
    pub fn informational(&mut self, list: &[Payload]) -> Vec<u8> {
        let (_, hash, _) = self.suite.unwrap();
        let id = self.rng.next_u32() | 1;
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let digest = hash_1(hash, a, id, &chain(list));
        let mut all = vec![(HASH, digest.expose().to_vec())];
        all.extend_from_slice(list);
        let iv = self.phase2_iv(id);
        self.encrypted(INFORMATIONAL, id, &all, &iv).0
    }

    /// A Transaction message with this body of an Attributes payload, and the IV of its answer; `iv`
    /// is the one of the message it answers.
    pub fn transaction(&mut self, id: u32, iv: Option<Iv>, body: &[u8]) -> (Vec<u8>, Iv) {
        let (_, hash, _) = self.suite.unwrap();
        let list = [(ATTRIBUTES, body.to_vec())];
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let digest = hash_1(hash, a, id, &chain(&list));
        let all = [&[(HASH, digest.expose().to_vec())][..], &list].concat();
        let iv = iv.unwrap_or_else(|| self.phase2_iv(id));
        self.encrypted(TRANSACTION, id, &all, &iv)
    }

    /// Message id and Attributes payload of a Transaction message of the server, its HASH checked,
    /// and the IV of the answer; `iv` is the one of the message it answers.
    pub fn read_transaction(&self, message: &[u8], iv: Option<Iv>) -> (u32, Vec<u8>, Iv) {
        let (cipher, hash, _) = self.suite.unwrap();
        assert_eq!(message[18], TRANSACTION);
        let id = u32::from_be_bytes(message[20..24].try_into().unwrap());
        let iv = iv.unwrap_or_else(|| self.phase2_iv(id));
        let (list, _) = self.decrypt(message, &iv);
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let expected = hash_1(hash, a, id, &chain(&list[1..]));
        assert_eq!(list[0], (HASH, expected.expose().to_vec()), "HASH");
        let next = Iv::new(&message[message.len() - cipher.block_len()..]).unwrap();
        (id, one(&list, ATTRIBUTES), next)
    }

    /// Delete of an ESP SA by the client's inbound SPI.
    pub fn delete_esp(&mut self, spi: u32) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 1, 3, 4, 0, 1];
        body.extend(spi.to_be_bytes());
        self.informational(&[(DELETE, body)])
    }

    /// Delete of the ISAKMP SA.
    pub fn delete_isakmp(&mut self) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 1, 1, 16, 0, 1];
        body.extend(self.cky_i);
        body.extend(self.cky_r);
        self.informational(&[(DELETE, body)])
    }

    /// Payloads of an Informational of the server, its HASH checked.
    pub fn read_informational(&self, message: &[u8]) -> Vec<Payload> {
        let (_, hash, _) = self.suite.unwrap();
        assert_eq!(message[18], INFORMATIONAL);
        let id = u32::from_be_bytes(message[20..24].try_into().unwrap());
        let (mut list, body) = self.decrypt(message, &self.phase2_iv(id));
        let used: usize = list.iter().map(|payload| payload.1.len() + 4).sum();
        let skip = 4 + list[0].1.len();
        let a = &self.keys.as_ref().unwrap().skeyids.a;
        let expected = hash_1(hash, a, id, &body[skip..used]);
        assert_eq!(list.remove(0).1, expected.expose(), "HASH(1)");
        list
    }
}

/// Octets of keys that an ESP transform needs: cipher, authentication.
fn key_lengths(transform: &[u8], attributes: &[(u16, u64)]) -> (usize, usize) {
    let get = |class| attributes.iter().find(|a| a.0 == class).map(|a| a.1);
    let bits = get(6).unwrap_or(128) as usize;
    let key = match transform[5] {
        3 => 24,
        12 => bits / 8,
        20 => bits / 8 + 4,
        other => panic!("ESP transform {other}"),
    };
    let auth = match get(5) {
        None => 0,
        Some(1) => 16,
        Some(2) => 20,
        Some(5) => 32,
        Some(6) => 48,
        Some(7) => 64,
        Some(other) => panic!("authentication {other}"),
    };
    (key, auth)
}

/// Payloads behind each other, each with its generic header.
pub fn chain(list: &[Payload]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (_, body)) in list.iter().enumerate() {
        out.push(list.get(index + 1).map_or(0, |next| next.0));
        out.push(0);
        out.extend((body.len() as u16 + 4).to_be_bytes());
        out.extend(body);
    }
    out
}

/// The reverse; what comes behind the last payload is padding.
pub fn unchain(first: u8, mut body: &[u8]) -> Vec<Payload> {
    let (mut kind, mut list) = (first, Vec::new());
    while kind != 0 {
        let length = usize::from(u16::from_be_bytes([body[2], body[3]]));
        list.push((kind, body[4..length].to_vec()));
        kind = body[0];
        body = &body[length..];
    }
    list
}

/// Payloads of a message that is not encrypted.
pub fn clear(message: &[u8]) -> Vec<Payload> {
    assert_eq!(message[19] & 1, 0, "not encrypted");
    unchain(message[16], &message[28..])
}

/// The only payload of its kind.
pub fn one(list: &[Payload], kind: u8) -> Vec<u8> {
    let mut found = list.iter().filter(|payload| payload.0 == kind);
    let body = found.next().expect("the payload is there").1.clone();
    assert!(found.next().is_none(), "once");
    body
}

/// SPI and transforms (generic headers with next payload and length included) of each proposal.
pub fn proposals(sa: &[u8]) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let list = unchain(2, &sa[8..]);
    let mut out = Vec::new();
    for (kind, body) in list {
        assert_eq!(kind, 2, "a proposal");
        let spi = usize::from(body[2]);
        let mut transforms = Vec::new();
        for (kind, transform) in unchain(3, &body[4 + spi..]) {
            assert_eq!(kind, 3, "a transform");
            // In a fixed form: the next payload field differs between offer and choice.
            let mut whole = vec![0, 0];
            whole.extend((transform.len() as u16 + 4).to_be_bytes());
            whole.extend(transform);
            transforms.push(whole);
        }
        assert_eq!(usize::from(body[3]), transforms.len());
        out.push((body[4..4 + spi].to_vec(), transforms));
    }
    out
}

/// Every transform of an offer, in the form of [`proposals`].
pub fn offered(sa: &[u8]) -> Vec<Vec<u8>> {
    proposals(sa).into_iter().flat_map(|(_, t)| t).collect()
}

/// Data attributes, RFC 2408 3.3.
pub fn attributes(mut octets: &[u8]) -> Vec<(u16, u64)> {
    let mut out = Vec::new();
    while let [a, b, c, d, rest @ ..] = octets {
        let (class, field) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        if class & 0x8000 != 0 {
            out.push((class & 0x7fff, u64::from(field)));
            octets = rest;
        } else {
            let (value, rest) = rest.split_at(usize::from(field));
            out.push((
                class,
                value.iter().fold(0, |sum, v| sum << 8 | u64::from(*v)),
            ));
            octets = rest;
        }
    }
    out
}

/// Body of an ID payload for an address.
pub fn id_address(address: IpAddr, protocol: u8, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    match address {
        IpAddr::V4(ip) => [&[1, protocol, high, low], ip.octets().as_slice()].concat(),
        IpAddr::V6(ip) => [&[5, protocol, high, low], ip.octets().as_slice()].concat(),
    }
}

/// Body of a NAT-OA payload.
pub fn nat_oa(address: IpAddr) -> Vec<u8> {
    let mut body = id_address(address, 0, 0);
    body[1..4].fill(0);
    body
}
