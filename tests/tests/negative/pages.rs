//! `negative.md`, `scenarios.md` and `vectors.md` name every test of theirs, and only tests that
//! exist.

use std::collections::{BTreeMap, BTreeSet};

const NEGATIVE: &str = include_str!("../../negative.md");
const SCENARIOS: &str = include_str!("../../scenarios.md");
const VECTORS: &str = include_str!("../../vectors.md");

/// Where tests are, by the name that stands before `::` on the pages.
const SOURCES: &[(&str, &str)] = &[
    ("captures", include_str!("../vectors/captures.rs")),
    ("keys", include_str!("../vectors/keys.rs")),
    (
        "ike-crypto/cipher",
        include_str!("../../../ike-daemon/crypto/src/cipher.rs"),
    ),
    (
        "ike-crypto/hash",
        include_str!("../../../ike-daemon/crypto/src/hash.rs"),
    ),
    (
        "ike-crypto/key_derivation",
        include_str!("../../../ike-daemon/crypto/tests/key_derivation.rs"),
    ),
    (
        "ppp-proto/chap",
        include_str!("../../../l2tpd/ppp/src/auth/chap.rs"),
    ),
    (
        "ppp-proto/mschapv2",
        include_str!("../../../l2tpd/ppp/src/auth/mschapv2.rs"),
    ),
    (
        "softkernel/authenticator",
        include_str!("../../../softkernel/src/ipsec/authenticator.rs"),
    ),
    (
        "softkernel/esp",
        include_str!("../../../softkernel/src/ipsec/esp.rs"),
    ),
    (
        "softkernel/transform",
        include_str!("../../../softkernel/src/ipsec/transform.rs"),
    ),
    ("clients/main", include_str!("../clients/main.rs")),
    ("lives", include_str!("../scenarios/lives.rs")),
    ("offers", include_str!("../scenarios/offers.rs")),
    ("places", include_str!("../scenarios/places.rs")),
    (
        "ike-proto/connect",
        include_str!("../../../ike-daemon/proto/tests/connect.rs"),
    ),
    (
        "ike-proto/fragments",
        include_str!("../../../ike-daemon/proto/tests/fragments.rs"),
    ),
    (
        "ike-proto/life",
        include_str!("../../../ike-daemon/proto/tests/life.rs"),
    ),
    (
        "ike-proto/wire",
        include_str!("../../../ike-daemon/proto/tests/wire.rs"),
    ),
    (
        "ike-proto/xauth",
        include_str!("../../../ike-daemon/proto/tests/xauth.rs"),
    ),
    (
        "softkernel/lifetimes",
        include_str!("../../../softkernel/tests/ipsec/lifetimes.rs"),
    ),
    ("esp", include_str!("esp.rs")),
    ("l2tp", include_str!("l2tp.rs")),
    ("mutations", include_str!("mutations.rs")),
    ("ppp", include_str!("ppp.rs")),
    ("ike/floods", include_str!("ike/floods.rs")),
    ("ike/header", include_str!("ike/header.rs")),
    ("ike/informational", include_str!("ike/informational.rs")),
    ("ike/payloads", include_str!("ike/payloads.rs")),
    ("ike/phase1", include_str!("ike/phase1.rs")),
    ("ike/phase2", include_str!("ike/phase2.rs")),
    ("ike/replay", include_str!("ike/replay.rs")),
    ("cisco", include_str!("../cisco.rs")),
    ("rules/ike", include_str!("../rules/ike.rs")),
    ("rules/l2tp", include_str!("../rules/l2tp.rs")),
    (
        "ike-crypto/diffie_hellman",
        include_str!("../../../ike-daemon/crypto/tests/diffie_hellman.rs"),
    ),
    (
        "ike-pki/hostile",
        include_str!("../../../ike-daemon/pki/tests/hostile.rs"),
    ),
    (
        "ike-pki/keys",
        include_str!("../../../ike-daemon/pki/tests/keys.rs"),
    ),
    (
        "ike-proto/aggressive",
        include_str!("../../../ike-daemon/proto/tests/aggressive.rs"),
    ),
    (
        "ike-proto/clients",
        include_str!("../../../ike-daemon/proto/tests/clients.rs"),
    ),
    (
        "ike-proto/fragments_hostile",
        include_str!("../../../ike-daemon/proto/tests/fragments_hostile.rs"),
    ),
    (
        "l2tp-proto/clients",
        include_str!("../../../l2tpd/l2tp/tests/clients.rs"),
    ),
    (
        "l2tp-proto/hidden",
        include_str!("../../../l2tpd/l2tp/src/wire/hidden.rs"),
    ),
    (
        "l2tp-proto/hostile",
        include_str!("../../../l2tpd/l2tp/tests/hostile.rs"),
    ),
    (
        "l2tp-proto/pair",
        include_str!("../../../l2tpd/l2tp/tests/pair.rs"),
    ),
    (
        "l2tp-proto/text",
        include_str!("../../../l2tpd/l2tp/src/wire/text.rs"),
    ),
    (
        "ppp-proto/bad_input",
        include_str!("../../../l2tpd/ppp/tests/bad_input.rs"),
    ),
    (
        "ppp-proto/clients",
        include_str!("../../../l2tpd/ppp/tests/clients.rs"),
    ),
    (
        "ppp-proto/pair",
        include_str!("../../../l2tpd/ppp/tests/pair.rs"),
    ),
    (
        "softkernel/packets",
        include_str!("../../../softkernel/tests/ipsec/packets.rs"),
    ),
    (
        "softkernel/ppp",
        include_str!("../../../softkernel/src/graph/ppp.rs"),
    ),
    (
        "softkernel/replay",
        include_str!("../../../softkernel/src/ipsec/replay.rs"),
    ),
];

/// Where cases of the lab are.
const CASES: &[&str] = &[
    include_str!("../../lab/cases/certificates.py"),
    include_str!("../../lab/cases/connecting.py"),
    include_str!("../../lab/cases/endurance.py"),
    include_str!("../../lab/cases/refusals.py"),
    include_str!("../../lab/cases/tunnels.py"),
];

/// Functions under `#[test]` and cases of the lab, as the pages name them.
fn tests() -> BTreeSet<String> {
    let cases = CASES
        .iter()
        .flat_map(|source| source.split("@case(\"").skip(1));
    let name = |case: &str| format!("lab::{}", case.split('"').next().unwrap());
    let mut found: BTreeSet<String> = cases.map(name).collect();
    for (place, source) in SOURCES {
        let mut lines = source.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line != "#[test]" {
                continue;
            }
            let declaration = lines.find(|line| line.starts_with("fn ")).unwrap();
            let name = declaration["fn ".len()..].split('(').next().unwrap();
            found.insert(format!("{place}::{name}"));
        }
    }
    found
}

/// The tests that a page names; its rows are numbered without a gap, so many of each letter, and
/// name a test or say why not.
fn named(page: &str, rows: &[(char, usize)]) -> BTreeSet<String> {
    let mut numbers: BTreeMap<char, usize> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, number, what, tests, result, _] = cells[..] else {
            panic!("{row}")
        };
        if number == "no." {
            continue;
        }
        let letter = number.chars().next().unwrap();
        let count = numbers.entry(letter).or_default();
        *count += 1;
        assert_eq!(number, format!("{letter}{count}"), "{row}");
        let own: Vec<_> = tests.split(' ').filter(|name| !name.is_empty()).collect();
        let reason = result.strip_prefix("not applicable: ");
        assert!(
            !what.is_empty() && own.is_empty() == reason.is_some(),
            "{row}"
        );
        assert!(reason.is_some() || result.starts_with("held"), "{row}");
        names.extend(own.iter().map(|name| name.trim_matches('`').to_owned()));
    }
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), rows);
    names
}

/// Every test a page names exists, and every test of these places is named.
fn assert_complete(page: &str, rows: &[(char, usize)], own: &[&str]) {
    let named = named(page, rows);
    let tests = tests();
    let missing: Vec<_> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "named and not there: {missing:?}");
    let own = |name: &&String| own.iter().any(|place| name.starts_with(place));
    let unnamed: Vec<_> = tests
        .iter()
        .filter(own)
        .filter(|name| !named.contains(*name))
        .collect();
    assert!(unnamed.is_empty(), "there and not named: {unnamed:?}");
}

#[test]
fn negative_inputs_are_all_on_the_page() {
    let rows = [
        ('E', 13),
        ('I', 33),
        ('L', 15),
        ('M', 5),
        ('P', 16),
        ('V', 47),
    ];
    assert_complete(
        NEGATIVE,
        &rows,
        &["esp::", "ike/", "l2tp::", "mutations::", "ppp::"],
    );
}

#[test]
fn scenarios_are_all_on_the_page() {
    let rows = [('O', 11), ('Q', 9), ('S', 28), ('W', 29)];
    assert_complete(SCENARIOS, &rows, &["lives::", "offers::", "places::"]);
}

#[test]
fn vectors_are_all_on_the_page() {
    let rows = [('A', 5), ('B', 8), ('C', 12), ('K', 13)];
    assert_complete(VECTORS, &rows, &["captures::", "keys::"]);
}
