//! Every key of every configuration file has its place in the manual page, and every key there
//! exists. The keys are asked of the parsers: an unknown one is answered with those that are known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tanuki_daemon::config::Source;

/// No parser knows it.
const UNKNOWN: &str = "no-such-key";

/// What a parser says about a text that it refuses.
type Refusal = fn(&str) -> String;

fn ike_daemon(text: &str) -> String {
    ike_daemon::config::Config::from_source(&Source::new("ike-daemon.yaml", text))
        .expect_err(text)
        .to_string()
}

fn l2tpd(text: &str) -> String {
    l2tpd::config::Config::from_source(&Source::new("l2tpd.yaml", text))
        .expect_err(text)
        .to_string()
}

fn users(text: &str) -> String {
    l2tpd::users::Users::from_source(&Source::new("users.yaml", text))
        .expect_err(text)
        .to_string()
}

fn softkernel(text: &str) -> String {
    softkernel::config::Config::load(&Source::new("softkernel.yaml", text))
        .expect_err(text)
        .to_string()
}

/// The keys at the place that `text` puts [`UNKNOWN`] at; none where no mapping with fixed keys is.
fn known(refusal: &str) -> Vec<String> {
    let Some((_, rest)) = refusal.split_once(&format!("unknown field `{UNKNOWN}`, expected "))
    else {
        return Vec::new();
    };
    let line = rest.lines().next().unwrap();
    line.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Adds the keys below `outer` inner `inner` to `keys`: of a mapping, of a mapping's values, of a
/// list's items.
fn collect(refuse: Refusal, outer: &str, inner: &str, keys: &mut BTreeSet<String>) {
    let found = known(&refuse(&format!("{outer}{{{UNKNOWN}: 1}}{inner}")));
    for key in found {
        for (open, close) in [("", ""), ("{any: ", "}"), ("[", "]")] {
            let outer = format!("{outer}{{{key}: {open}");
            collect(refuse, &outer, &format!("{close}}}{inner}"), keys);
        }
        keys.insert(key);
    }
}

fn keys(parsers: &[Refusal]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for refuse in parsers {
        let before = keys.len();
        collect(*refuse, "", "", &mut keys);
        assert!(keys.len() > before, "a parser that tells no keys");
    }
    keys
}

/// The words of a page's `.Cm` macros; those that head an item apart.
fn documented(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = fs::read_to_string(file).unwrap();
    let (mut all, mut heads) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let head = line.strip_prefix(".It Cm ");
        let Some(words) = head.or_else(|| line.strip_prefix(".Cm ")) else {
            // Sections of a page are sections of its file.
            all.extend(line.strip_prefix(".Ss ").map(str::to_owned));
            continue;
        };
        for word in words.split(' ').filter(|word| *word != ",") {
            all.insert(word.to_owned());
            if head.is_some() {
                heads.insert(word.to_owned());
            }
        }
    }
    (all, heads)
}

fn compare(page: &str, parsers: &[Refusal]) {
    let keys = keys(parsers);
    let (all, heads) = documented(page);
    let missing: Vec<_> = keys.difference(&all).collect();
    assert!(missing.is_empty(), "{page} says nothing of {missing:?}");
    let invented: Vec<_> = heads.difference(&keys).collect();
    assert!(
        invented.is_empty(),
        "{page} has what is no key: {invented:?}"
    );
}

#[test]
fn ike_daemon_yaml() {
    compare("ike-daemon/man/ike-daemon.yaml.5", &[ike_daemon]);
}

#[test]
fn l2tpd_yaml_and_users_yaml() {
    compare("l2tpd/man/l2tpd.yaml.5", &[l2tpd, users]);
}

#[test]
fn softkernel_yaml() {
    compare("softkernel/man/softkernel.yaml.5", &[softkernel]);
}

#[test]
fn nested_keys_are_found() {
    let keys = keys(&[l2tpd]);
    // Of the file, of a section, of a list's mapping by name.
    for key in ["pool", "tunnels_per_source", "automatic"] {
        assert!(keys.contains(key), "{key} is not among {keys:?}");
    }
}
