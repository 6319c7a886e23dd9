//! Chains made by OpenSSL (`fixtures/make`): which are believed, and why the others are not.

mod fixtures;

use fixtures::{NOW, certificate, file, trust};
use ike_pki::{
    Certificate, DistinguishedName, PathError, Subject, TrustStore, Weaknesses, validate,
};

/// `leaf` under the root, with the certificates of `others` beside it.
fn judge(leaf: &str, others: &[&str], now: u64) -> Result<(), PathError> {
    judge_by(&trust(&["root"]), leaf, others, now)
}

fn judge_by(store: &TrustStore, leaf: &str, others: &[&str], now: u64) -> Result<(), PathError> {
    let others: Vec<Certificate> = others.iter().map(|name| certificate(name)).collect();
    validate(&certificate(leaf), &others, store, now)
}

#[test]
fn chains_that_lead_to_an_authority() {
    assert_eq!(judge("client", &[], NOW), Ok(()));
    assert_eq!(judge("server", &["middle"], NOW), Ok(()));
    // In any order, with things that have nothing to do with it, and the root sent along.
    assert_eq!(
        judge("server", &["root", "ec-root", "client", "middle"], NOW),
        Ok(())
    );
    // The authority in the middle may be the one that is trusted.
    assert_eq!(judge_by(&trust(&["middle"]), "server", &[], NOW), Ok(()));
    // Or just that one peer.
    assert_eq!(judge_by(&trust(&["client"]), "client", &[], NOW), Ok(()));
    for curve in ["ec256", "ec384", "ec521"] {
        assert_eq!(
            judge_by(&trust(&["root", "ec-root"]), curve, &[], NOW),
            Ok(())
        );
    }
    // Two authorities of one name, in either order.
    for order in [["root", "impostor"], ["impostor", "root"]] {
        assert_eq!(judge_by(&trust(&order), "client", &[], NOW), Ok(()));
        assert_eq!(judge_by(&trust(&order), "imposed", &[], NOW), Ok(()));
    }
}

#[test]
fn chains_that_do_not() {
    type Reason = fn(&PathError) -> bool;
    let cases: &[(&str, &[&str], Reason)] = &[
        ("server", &[], |e| matches!(e, PathError::UnknownIssuer(_))),
        ("ec256", &["ec-root"], |e| {
            matches!(e, PathError::UnknownIssuer(_))
        }),
        ("imposed", &["impostor"], |e| {
            matches!(e, PathError::BadSignature(_))
        }),
        ("by-client", &["client"], |e| {
            matches!(e, PathError::NotAnAuthority(_))
        }),
        ("by-no-signing-ca", &["no-signing-ca"], |e| {
            matches!(e, PathError::NotAnAuthority(_))
        }),
        ("too-deep", &["deep", "middle"], |e| {
            matches!(e, PathError::PathTooLong(_))
        }),
        ("critical", &[], |e| {
            matches!(e, PathError::CriticalExtension(_))
        }),
        ("by-constrained", &["constrained"], |e| {
            matches!(e, PathError::CriticalExtension(_))
        }),
        ("encipher", &[], |e| matches!(e, PathError::WrongUsage(_))),
        ("code", &[], |e| matches!(e, PathError::WrongUsage(_))),
        ("sha1", &[], |e| matches!(e, PathError::TooWeak(_))),
        ("short", &[], |e| matches!(e, PathError::TooWeak(_))),
    ];
    for (leaf, others, reason) in cases {
        let error = judge(leaf, others, NOW).unwrap_err();
        assert!(reason(&error), "{leaf}: {error}");
    }
}

#[test]
fn weak_ones_only_when_allowed() {
    let mut store = TrustStore::new(Weaknesses::Allowed);
    store.add_anchor(certificate("root"));
    assert_eq!(judge_by(&store, "sha1", &[], NOW), Ok(()));
    assert_eq!(judge_by(&store, "short", &[], NOW), Ok(()));
}

#[test]
fn before_and_after() {
    let (not_before, not_after) = certificate("client").validity();
    assert_eq!(judge("client", &[], not_after), Ok(()));
    assert!(matches!(
        judge("client", &[], not_before - 1),
        Err(PathError::NotYetValid(_))
    ));
    assert!(matches!(
        judge("client", &[], not_after + 1),
        Err(PathError::Expired(_))
    ));
    // A pinned certificate expires as well.
    let pinned = judge_by(&trust(&["client"]), "client", &[], not_after + 1);
    assert!(matches!(pinned, Err(PathError::Expired(_))));
}

#[test]
fn what_an_authority_took_back() {
    let with = |lists: &[&str]| {
        let mut store = trust(&["root"]);
        for list in lists {
            assert_eq!(store.add_revocation_lists(&file(list)), Ok(1));
        }
        store
    };
    let good = with(&["root.crl.pem", "middle.crl.pem"]);
    assert!(matches!(
        judge_by(&good, "revoked", &[], NOW),
        Err(PathError::Revoked(_))
    ));
    assert_eq!(judge_by(&good, "client", &[], NOW), Ok(()));
    assert_eq!(judge_by(&good, "server", &["middle"], NOW), Ok(()));
    assert_eq!(judge_by(&with(&[]), "revoked", &[], NOW), Ok(()));
    // A list that is over, or by somebody else of that name, is no list: nobody comes in.
    for bad in ["stale.crl.pem", "impostor.crl.pem"] {
        let error = judge_by(&with(&[bad]), "client", &[], NOW);
        assert!(
            matches!(error, Err(PathError::BadRevocationList(_))),
            "{bad}"
        );
    }
}

#[test]
fn a_loop_of_authorities_ends() {
    // Forty copies of an authority of one name and another key: a bounded number is tried.
    let others: Vec<Certificate> = (0..40).map(|_| certificate("middle")).collect();
    let mut store = trust(&["ec-root"]);
    let judged = validate(&certificate("server"), &others, &store, NOW);
    assert_eq!(judged, Err(PathError::TooMuchWork));
    store.add_anchor(certificate("root"));
    assert_eq!(
        validate(&certificate("server"), &others, &store, NOW),
        Ok(())
    );
}

#[test]
fn whom_a_certificate_is_for() {
    let server = certificate("server");
    let name = |text| DistinguishedName::from_text(text).unwrap();
    let own = name("C=CH, O=tanuki, CN=vpn.example.org");
    assert!(server.vouches_for(&Subject::Name(own.der())));
    // Written with another kind of string and case it is the same name.
    assert!(server.vouches_for(&Subject::Name(
        name("C=ch, O=TANUKI, CN=vpn.example.org").der()
    )));
    assert!(!server.vouches_for(&Subject::Name(name("C=CH, O=tanuki").der())));
    assert!(!server.vouches_for(&Subject::Name(&[])));
    assert!(!server.vouches_for(&Subject::Name(&[0x30])));
    assert!(server.vouches_for(&Subject::Dns("VPN.example.org")));
    assert!(!server.vouches_for(&Subject::Dns("vpn.example.org.")));
    assert!(!server.vouches_for(&Subject::Dns("example.org")));
    assert!(!server.vouches_for(&Subject::Dns("")));
    assert!(server.vouches_for(&Subject::Address("203.0.113.1".parse().unwrap())));
    assert!(server.vouches_for(&Subject::Address("2001:db8::1".parse().unwrap())));
    assert!(!server.vouches_for(&Subject::Address("203.0.113.2".parse().unwrap())));
    let client = certificate("client");
    assert!(client.vouches_for(&Subject::Mail("Ann@example.org")));
    assert!(!client.vouches_for(&Subject::Dns("ann@example.org")));
    assert!(!client.vouches_for(&Subject::Mail("bob@example.org")));
    assert_eq!(client.subject().to_string(), "C=CH, O=tanuki, CN=ann");
}
