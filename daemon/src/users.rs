//! The users file that l2tpd and ike-daemon share: who may log in, with what, and to which address.
//!
//! ```yaml
//! users:
//!   - name: alice
//!     password: "wonderland"
//!   - name: bob
//!     password: "builder"
//!     address: 10.77.0.9          # or a range: 10.77.0.16/28
//!     prefix: 2001:db8:77:9::/64  # IPv6
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};

use crate::config::{Problem, Problems, Source, parsed};
use crate::prefix::Prefixes;
use crate::range::Range;
use crate::secret::Secret;

/// An entry of the file: who may log in, and which addresses are for that user alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name, as the client has to give it.
    pub name: String,
    /// What proves it.
    pub password: Secret,
    /// Only addresses from here, and nobody else gets them; none: from the pool.
    #[serde(rename = "address", default, deserialize_with = "range")]
    pub addresses: Option<Range>,
    /// Only this IPv6 prefix, and nobody else gets it; none: from the pool.
    #[serde(default, deserialize_with = "prefix")]
    pub prefix: Option<Prefixes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    users: Vec<Entry>,
}

/// A range of one user is walked for a free address; this bounds the walk.
pub const MAX_OWN_RANGE: u64 = 65_536;

fn range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Range>, D::Error> {
    parsed(deserializer).map(Some)
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Prefixes>, D::Error> {
    parsed(deserializer).map(Some)
}

/// Reads and checks a users file.
///
/// # Errors
/// Every problem found, with its place; passwords are never part of a message.
pub fn read(source: &Source) -> Result<Vec<Entry>, Problems> {
    let file: File = source.parse()?;
    let mut problems: Vec<Problem> = Vec::new();
    let mut names = BTreeSet::new();
    let mut ranges: Vec<Range> = Vec::new();
    let mut prefixes: Vec<Prefixes> = Vec::new();
    for (index, entry) in file.users.iter().enumerate() {
        let mut refuse = |key: &str, message: &str| {
            problems.push(source.problem(&format!("users.{index}.{key}"), message));
        };
        if entry.name.is_empty() || entry.name.len() > 255 {
            refuse("name", "expected a name of 1 to 255 octets");
        }
        if entry.name.chars().any(char::is_control) {
            refuse("name", "control characters are not accepted in a name");
        }
        if !names.insert(entry.name.as_str()) {
            refuse(
                "name",
                "this user is there already, expected each name once",
            );
        }
        if let Some(range) = entry.addresses {
            if range.size() > MAX_OWN_RANGE {
                refuse("address", "too large for one user, expected at most a /16");
            }
            if ranges.iter().any(|other| other.overlaps(&range)) {
                refuse(
                    "address",
                    "belongs to another user already, expected addresses apart",
                );
            }
            ranges.push(range);
        }
        if let Some(prefix) = entry.prefix {
            if prefix.size() > 1 {
                refuse("prefix", "a session has one prefix, expected 64 bits");
            }
            if prefixes.iter().any(|other| other.overlaps(&prefix)) {
                refuse(
                    "prefix",
                    "belongs to another user already, expected prefixes apart",
                );
            }
            prefixes.push(prefix);
        }
        let password = entry.password.octets();
        if password.is_empty() || password.len() > 255 {
            refuse("password", "expected a password of 1 to 255 octets");
        }
    }
    if problems.is_empty() {
        Ok(file.users)
    } else {
        Err(Problems(problems))
    }
}
