//! mpd.secret as a list of users.

use std::collections::BTreeMap;
use std::path::Path;

use ipnet::Ipv4Net;
use mpd_conf::{Diagnostics, Problem as MpdProblem, SecretsFile, Source};
use tanuki_daemon::config::{Problem, Problems};

use super::{MAX_OWN_RANGE, Password, User, Users};
use crate::config::{HookCommand, read_bounded};
use crate::pool::Range;
use crate::secret::Secret;

/// Reads and checks the file.
pub(super) fn read(path: &Path) -> Result<Users, Problems> {
    let bytes = read_bounded(path).map_err(|error| {
        Problems(vec![Problem {
            file: path.to_owned(),
            line: 0,
            column: 0,
            message: error.to_string(),
        }])
    })?;
    users(&path.display().to_string(), &bytes)
}

fn users(name: &str, bytes: &[u8]) -> Result<Users, Problems> {
    let mut diagnostics = Diagnostics::default();
    let file = SecretsFile::parse(name, bytes, &mut diagnostics);
    let mut by_name: BTreeMap<String, User> = BTreeMap::new();
    let mut anybody = None;
    for entry in file.entries() {
        let addresses = match entry.addresses.map(range) {
            None => None,
            Some(Some(range)) => Some(range),
            Some(None) => {
                diagnostics.problem(
                    MpdProblem::new(&entry.span, "too many addresses for one user")
                        .remedy("write an address or a network of /16 or narrower"),
                );
                continue;
            }
        };
        let password = match &entry.source {
            Source::Password(secret) => Password::Known(Secret::new(secret.expose())),
            Source::Program(program) => Password::Program(HookCommand::from(program)),
        };
        let user = User {
            name: entry.login.clone(),
            password,
            addresses,
            prefix: None,
        };
        if entry.login == "*" {
            // What stands behind it is never reached.
            anybody = Some(user);
            break;
        }
        by_name.entry(entry.login.clone()).or_insert(user);
    }
    if diagnostics.problems.is_empty() {
        Ok(Users::from_parts(by_name, anybody))
    } else {
        Err(crate::config::problems_of_mpd(&diagnostics.problems))
    }
}

/// From the address written to the end of its network: the one written is given first.
fn range(network: Ipv4Net) -> Option<Range> {
    let range = Range::new(network.addr(), network.broadcast()).ok()?;
    (range.size() <= MAX_OWN_RANGE).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_matches_counts() {
        let users = users(
            "mpd.secret",
            b"alice \"wonder land\" 10.77.0.9\nbob builder 10.77.0.16/28\nalice other\n\
              carol \"!/bin/echo -n\"\n* \"!/bin/lookup a\"\ndave hidden\n",
        )
        .unwrap();
        let (name, alice) = users.find("HOME\\alice", "alice").unwrap();
        assert_eq!(name, "alice");
        assert_eq!(alice.password, Password::Known(Secret::new("wonder land")));
        assert_eq!(alice.addresses.unwrap().to_string(), "10.77.0.9");
        let (_, bob) = users.find("bob", "bob").unwrap();
        assert_eq!(bob.addresses.unwrap().to_string(), "10.77.0.16-10.77.0.31");
        let program = |name| match &users.find(name, name).unwrap().1.password {
            Password::Program(command) => command.arguments.clone(),
            Password::Known(_) => panic!("{name} has a password"),
        };
        assert_eq!(program("carol"), ["-n"]);
        assert_eq!(program("dave"), ["a"], "hidden by the line above");
        assert_eq!(users.find("X\\eve", "eve").unwrap().0, "eve");
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let problem = |text: &str| {
            let problems = users("mpd.secret", text.as_bytes()).unwrap_err();
            problems.to_string()
        };
        assert_eq!(
            problem("alice a\nbob b 10.0.0.0/8\n"),
            "mpd.secret:2:1: too many addresses for one user (write an address or a network of \
             /16 or narrower)"
        );
        assert!(problem("alice\n").starts_with("mpd.secret:1:1: the password is missing"));
        assert!(problem("a geheim 300.0.0.1\n").starts_with("mpd.secret:1:10: "));
        assert!(!problem("a geheim 300.0.0.1\n").contains("geheim"));
    }
}
