//! `rules.md` names every test of every rule, and every rule has one.

use std::collections::BTreeMap;

const TABLE: &str = include_str!("../../rules.md");
const SOURCES: [&str; 3] = [
    include_str!("ike.rs"),
    include_str!("l2tp.rs"),
    include_str!("ppp.rs"),
];

/// The rules there are.
fn rules() -> impl Iterator<Item = u32> {
    (1..=14).chain(20..=26).chain(30..=35)
}

/// Test functions by the number in their name.
fn tests() -> BTreeMap<u32, Vec<&'static str>> {
    let mut found: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for source in SOURCES {
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            if line.trim() != "#[test]" {
                continue;
            }
            let declaration = lines.next().unwrap();
            let name = declaration.strip_prefix("fn ").unwrap();
            let name = name.split('(').next().unwrap();
            let number = name.strip_prefix('r').unwrap().split('_').next().unwrap();
            found.entry(number.parse().unwrap()).or_default().push(name);
        }
    }
    found
}

#[test]
fn every_rule_has_a_test_and_the_table_says_so() {
    let tests = tests();
    let known: Vec<u32> = rules().collect();
    assert_eq!(tests.keys().copied().collect::<Vec<_>>(), known);
    let mut rows = BTreeMap::new();
    for row in TABLE.lines().filter(|line| line.starts_with("| R")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, rule, what, names, result, _] = cells[..] else {
            panic!("{row}")
        };
        assert!(!what.is_empty() && !result.is_empty(), "{row}");
        let names: Vec<_> = names
            .split(' ')
            .map(|name| name.trim_matches('`'))
            .collect();
        let number = rule.trim_start_matches('R').parse::<u32>().unwrap();
        assert_eq!(rows.insert(number, names), None, "{rule} stands twice");
    }
    assert_eq!(rows, tests, "rules.md and the tests differ");
}

/// Every test and lab case that `docs/clients.md` names is there.
#[test]
fn what_the_page_on_clients_names_exists() {
    const PAGE: &str = include_str!("../../../docs/clients.md");
    const TESTS: [&str; 5] = [
        include_str!("../clients/main.rs"),
        include_str!("../clients/crowd.rs"),
        include_str!("../clients/ipv6.rs"),
        include_str!("../clients/sizes.rs"),
        include_str!("ike.rs"),
    ];
    const CASES: [&str; 10] = [
        include_str!("../../lab/cases/certificates.py"),
        include_str!("../../lab/cases/connecting.py"),
        include_str!("../../lab/cases/endurance.py"),
        include_str!("../../lab/cases/ipv6.py"),
        include_str!("../../lab/cases/linux.py"),
        include_str!("../../lab/cases/misbehaving.py"),
        include_str!("../../lab/cases/native.py"),
        include_str!("../../lab/cases/ppp.py"),
        include_str!("../../lab/cases/probing.py"),
        include_str!("../../lab/cases/refusals.py"),
    ];
    let held = PAGE.split("Held by:").skip(1);
    let mut named = 0;
    for name in held.flat_map(|text| {
        let list = text.split("\n\n").next().unwrap();
        list.split('`').skip(1).step_by(2)
    }) {
        let there = match name.contains('_') {
            true => TESTS
                .iter()
                .any(|source| source.contains(&format!("fn {name}("))),
            false => CASES
                .iter()
                .any(|source| source.contains(&format!("@case(\"{name}\","))),
        };
        assert!(there, "docs/clients.md names {name}, which does not exist");
        named += 1;
    }
    assert!(named > 20, "only {named} names were found");
}
