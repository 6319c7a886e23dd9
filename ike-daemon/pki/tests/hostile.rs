//! Octets that somebody changed: nothing is believed and nothing panics.

#[allow(dead_code)]
mod fixtures;

use fixtures::{NOW, file, trust};
use ike_pki::encoding::{certificates, pkcs7_certificates, private_key};
use ike_pki::{Certificate, DistinguishedName, NamePattern, TrustStore, validate};
use proptest::prelude::*;

#[test]
fn a_certificate_cut_short_is_none() {
    let der = file("client.der");
    for len in 0..der.len() {
        assert!(Certificate::from_der(&der[..len]).is_err(), "{len}");
    }
    let longer = [der.clone(), vec![0]].concat();
    assert!(Certificate::from_der(&longer).is_err());
    assert!(Certificate::from_der(&vec![0x30; 20_000]).is_err());
}

#[test]
fn a_certificate_with_one_octet_changed_is_not_believed() {
    let store = trust(&["root"]);
    let der = file("client.der");
    for place in 0..der.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = der.clone();
            changed[place] ^= change;
            if let Ok(certificate) = Certificate::from_der(&changed) {
                let judged = validate(&certificate, &[], &store, NOW);
                assert!(judged.is_err(), "octet {place} ^ {change:#x}");
            }
        }
    }
}

proptest! {
    #[test]
    fn random_octets(octets in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = Certificate::from_der(&octets);
        let _ = certificates(&octets);
        let _ = private_key(&octets);
        let _ = pkcs7_certificates(&octets, 4);
        let _ = DistinguishedName::from_der(&octets);
        let _ = TrustStore::default().add_revocation_lists(&octets);
    }

    #[test]
    fn random_changes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for name in ["client.der", "chain.p7.der", "client.pkcs8.der"] {
            let mut octets = file(name);
            for (place, value) in &changes {
                let place = place.index(octets.len());
                octets[place] = *value;
            }
            let _ = Certificate::from_der(&octets);
            let _ = pkcs7_certificates(&octets, 8);
            let _ = private_key(&octets);
        }
    }

    #[test]
    fn random_texts(text in "\\PC{0,60}") {
        if let Some(name) = DistinguishedName::from_text(&text) {
            prop_assert_eq!(DistinguishedName::from_der(name.der()).unwrap(), name);
        }
        let _ = NamePattern::from_text(&text);
    }
}
