//! Keys in every shape, and signatures against OpenSSL's.

#[allow(dead_code)]
mod fixtures;

use fixtures::{certificate, file};
use ike_crypto::Secret;
use ike_pki::encoding::{pkcs7_certificates, private_key};
use ike_pki::{EncodingError, KeyError, PrivateKey, PublicKey, SignatureKind};

fn seed(octet: u8) -> Secret {
    Secret::from(vec![octet; 32])
}

#[test]
fn every_shape_of_a_key_is_the_same_key() {
    let key = certificate("client").key().clone();
    for name in [
        "client.key.pem",
        "client.pkcs1.pem",
        "client.pkcs1.der",
        "client.pkcs8.der",
    ] {
        assert_eq!(private_key(&file(name)).unwrap().public(), key, "{name}");
    }
    for (name, curve) in [("ec256.sec1.pem", "ec256"), ("ec521.sec1.der", "ec521")] {
        let key = private_key(&file(name)).unwrap();
        assert_eq!(key.public(), *certificate(curve).key(), "{name}");
    }
    assert_eq!(
        format!("{:?}", private_key(&file("client.key.pem")).unwrap()),
        "PrivateKey(RSA)"
    );
}

#[test]
fn keys_that_are_none() {
    for name in ["client.encrypted.pem", "client.encrypted-pkcs1.pem"] {
        let error = private_key(&file(name)).unwrap_err();
        assert_eq!(error, EncodingError::Key(KeyError::Encrypted), "{name}");
    }
    assert_eq!(
        private_key(&file("client.pem")).unwrap_err(),
        EncodingError::NothingInside
    );
    let both = [file("client.key.pem"), file("ec256.key.pem")].concat();
    assert_eq!(private_key(&both).unwrap_err(), EncodingError::Malformed);
    let der = file("client.pkcs8.der");
    for len in 0..der.len() {
        assert!(PrivateKey::from_der(&der[..len]).is_err(), "{len}");
    }
}

#[test]
fn rsa_signatures_are_openssls() {
    let key = private_key(&file("client.key.pem")).unwrap();
    let hash = file("hash.bin");
    let signature = file("client.signature.bin");
    // The signature does not depend on what it was blinded with.
    for octet in [0, 1, 255] {
        assert_eq!(key.sign_hash(&hash, seed(octet)).unwrap(), signature);
    }
    assert_eq!(key.public().verify_hash(&hash, &signature), Ok(()));
}

/// CVE-2018-16151, CVE-2018-16152 and what came after: there is one encoding of a hash, and nothing
/// else is a signature.
#[test]
fn rsa_signatures_that_are_none() {
    let public = certificate("client").key().clone();
    let hash = file("hash.bin");
    for name in [
        "client.prefixed.bin",
        "client.trailing.bin",
        "client.short-padding.bin",
        "client.type2.bin",
        "client.wrong-padding.bin",
    ] {
        assert!(public.verify_hash(&hash, &file(name)).is_err(), "{name}");
    }
    let good = file("client.signature.bin");
    for len in 0..good.len() {
        assert!(public.verify_hash(&hash, &good[..len]).is_err(), "{len}");
    }
    let longer = [good.clone(), vec![0]].concat();
    let padded = [vec![0], good.clone()].concat();
    for wrong in [longer, padded, vec![0; 256], vec![0xff; 256]] {
        assert!(public.verify_hash(&hash, &wrong).is_err());
    }
    for bit in 0..64 {
        let mut wrong = good.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(public.verify_hash(&hash, &wrong).is_err(), "bit {bit}");
    }
    for other in [&hash[..31], &[], &[0; 32]] {
        assert!(public.verify_hash(other, &good).is_err());
    }
    let other = certificate("server").key().clone();
    assert!(other.verify_hash(&hash, &good).is_err());
}

/// r and s of a signature in DER, side by side.
fn side_by_side(der: &[u8], len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        out.extend(vec![0; len - number.len()]);
        out.extend(number);
        rest = after;
    }
    out
}

#[test]
fn ecdsa_signatures() {
    let public = certificate("ec256").key().clone();
    let hash = file("hash.bin");
    let signature = side_by_side(&file("ec256.signature.der"), 32);
    assert_eq!(public.verify_hash(&hash, &signature), Ok(()));
    // CVE-2013-2944: nothing is no signature; nor is DER, in IKEv1.
    let wrongs = [
        vec![],
        vec![0; 64],
        file("ec256.signature.der"),
        signature[..63].to_vec(),
    ];
    for wrong in wrongs {
        assert!(public.verify_hash(&hash, &wrong).is_err());
    }
    let kinds = [
        ("ec256", SignatureKind::EcdsaP256, 32, 64),
        ("ec384", SignatureKind::EcdsaP384, 48, 96),
        ("ec521", SignatureKind::EcdsaP521, 64, 132),
    ];
    for (name, kind, hash, len) in kinds {
        let key = private_key(&file(&format!("{name}.key.pem"))).unwrap();
        assert_eq!(key.public().kind(), kind);
        let hash = vec![7; hash];
        let signature = key.sign_hash(&hash, seed(0)).unwrap();
        assert_eq!(signature.len(), len);
        let public: PublicKey = certificate(name).key().clone();
        assert_eq!(public.verify_hash(&hash, &signature), Ok(()));
        assert!(
            public
                .verify_hash(&vec![8; hash.len()], &signature)
                .is_err()
        );
    }
}

#[test]
fn a_chain_in_pkcs7() {
    let octets = file("chain.p7.der");
    let found = pkcs7_certificates(&octets, 8).unwrap();
    let expected = [certificate("server"), certificate("middle")];
    assert_eq!(found, expected.map(|c| c.der().to_vec()));
    assert_eq!(pkcs7_certificates(&octets, 1), Err(EncodingError::TooLong));
    for len in 0..octets.len() {
        assert!(pkcs7_certificates(&octets[..len], 8).is_err(), "{len}");
    }
    assert!(pkcs7_certificates(&file("client.der"), 8).is_err());
}
