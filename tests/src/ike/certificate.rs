//! A client that signs, RFC 2409 5.1: with certificates and keys that OpenSSL made.

use ike_crypto::Secret;
use ike_pki::encoding::{certificates, private_key};
use ike_pki::{Certificate, PrivateKey, TrustStore};
use ike_proto::policy::{Authentication, Method, OwnCertificate, Policy};

use super::{CERT, CERTREQ, ID, Payload, SIG};

/// When every one of the certificates is valid: 2030.
pub const WALL: u64 = 1_893_456_000;

/// Certificate encodings of RFC 2408 3.9.
const PKCS7: u8 = 1;
const X509_SIGNATURE: u8 = 4;

/// How a client proves itself.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The subject, in DER: what it says it is.
    pub subject: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    requests: Vec<Vec<u8>>,
    requests_first: bool,
    key: PrivateKey,
}

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../ike-daemon/pki/tests/fixtures"
    );
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

fn chain(name: &str) -> Vec<Certificate> {
    certificates(&file(&format!("{name}.pem"))).unwrap()
}

fn key(name: &str) -> PrivateKey {
    private_key(&file(&format!("{name}.key.pem"))).unwrap()
}

fn subject(name: &str) -> Vec<u8> {
    chain(name)[0].subject().der().to_vec()
}

impl Certified {
    /// racoon: one certificate, and a request without a name behind the signature
    /// (isakmp_ident.c, oakley_getcr).
    pub fn racoon() -> Self {
        Self {
            subject: subject("client"),
            certificates: vec![[&[X509_SIGNATURE], chain("client")[0].der()].concat()],
            requests: vec![vec![X509_SIGNATURE]],
            requests_first: false,
            key: key("client"),
        }
    }

    /// Windows with an authority in between: its chain as one PKCS #7 (RFC 4945 3.3.11.3), requests
    /// by the names of authorities.
    pub fn windows() -> Self {
        let request = [&[X509_SIGNATURE][..], &subject("root")].concat();
        Self {
            subject: subject("server"),
            certificates: vec![[&[PKCS7][..], &file("chain.p7.der")].concat()],
            requests: vec![request],
            requests_first: false,
            key: key("server"),
        }
    }

    /// strongSwan: the chain as certificates, requests in front of the signature.
    pub fn strongswan() -> Self {
        let encoded = |certificate: &Certificate| [&[X509_SIGNATURE], certificate.der()].concat();
        Self {
            subject: subject("client"),
            certificates: chain("client").iter().map(encoded).collect(),
            requests: vec![[&[X509_SIGNATURE][..], &subject("root")].concat()],
            requests_first: true,
            key: key("client"),
        }
    }

    /// What stands in the fifth message.
    pub(super) fn proof(&self, id: Vec<u8>, hash: &[u8]) -> Vec<Payload> {
        let signature = self.key.sign_hash(hash, Secret::from(&[7_u8; 32][..]));
        let requests = self.requests.iter().map(|body| (CERTREQ, body.clone()));
        let (before, behind): (Vec<_>, Vec<_>) = requests.partition(|_| self.requests_first);
        let certificates = self.certificates.iter().map(|body| (CERT, body.clone()));
        [(ID, id)]
            .into_iter()
            .chain(certificates)
            .chain(before)
            .chain([(SIG, signature.unwrap())])
            .chain(behind)
            .collect()
    }
}

/// The server asks for a certificate in its fourth message.
pub(super) fn assert_requested(list: &[Payload]) {
    let asked = list.iter().find(|payload| payload.0 == CERTREQ);
    let asked = &asked.expect("a certificate request").1;
    assert_eq!(asked[0], X509_SIGNATURE);
    assert_eq!(asked[1..], subject("root"));
}

/// The server has signed with the key of its certificate, which is the first.
pub(super) fn assert_signed(list: &[Payload], hash: &[u8]) {
    let sent: Vec<_> = list.iter().filter(|payload| payload.0 == CERT).collect();
    let own = chain("chain");
    assert_eq!(sent.len(), own.len(), "the whole chain");
    assert_eq!(sent[0].1[1..], *own[0].der());
    let leaf = Certificate::from_der(&sent[0].1[1..]).unwrap();
    let signature = super::one(list, SIG);
    leaf.key().verify_hash(hash, &signature).unwrap();
}

/// The server takes certificates of its authority besides the key, and has one over an authority in
/// between.
pub fn accept_certificates(policy: &mut Policy) {
    let mut trust = TrustStore::default();
    trust.add_anchor(chain("root").remove(0));
    let own = OwnCertificate {
        chain: chain("chain"),
        key: key("server"),
    };
    policy.authentication = Authentication {
        methods: vec![Method::Psk, Method::Rsa],
        own: vec![own.into()],
        trust: trust.into(),
        ..Authentication::default()
    };
}
