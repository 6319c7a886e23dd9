//! The users file: who may log in, with what, and to which address. In YAML it is
//! [`tanuki_daemon::users`].

mod mpd_secret;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv6Net;
use tanuki_daemon::config::{Problems, Source};

use crate::config::{HookCommand, UsersFile};
use crate::pool::Range;
use crate::secret::Secret;

/// Who may log in, and what the session gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name, as the client has to give it.
    pub name: String,
    /// What proves it.
    pub password: Password,
    /// Only addresses from here, and nobody else gets them; none: from the pool.
    pub addresses: Option<Range>,
    /// Only this IPv6 prefix, and nobody else gets it; none: from the pool.
    pub prefix: Option<Ipv6Net>,
}

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// It stands in the file.
    Known(Secret),
    /// It is the first line that this program writes, given the user's name as last argument.
    Program(HookCommand),
}

/// Everybody who may log in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    by_name: BTreeMap<String, User>,
    /// Everybody else; its name means nothing.
    anybody: Option<User>,
}

pub(crate) use tanuki_daemon::users::MAX_OWN_RANGE;

impl Users {
    /// Reads and checks the file of a configuration; a pure client has none.
    ///
    /// # Errors
    /// Every problem found, with its place; passwords are never part of a message.
    pub fn read(file: &UsersFile) -> Result<Self, Problems> {
        match file {
            UsersFile::None => Ok(Self::default()),
            UsersFile::Yaml(path) => Self::from_source(&Source::read(path)?),
            UsersFile::MpdSecret(path) => mpd_secret::read(path),
        }
    }

    pub(crate) fn from_parts(by_name: BTreeMap<String, User>, anybody: Option<User>) -> Self {
        Self { by_name, anybody }
    }

    /// Checks a text that is in memory already.
    ///
    /// # Errors
    /// As [`Users::read`].
    pub fn from_source(source: &Source) -> Result<Self, Problems> {
        let by_name = tanuki_daemon::users::read(source)?
            .into_iter()
            .map(|entry| {
                let user = User {
                    name: entry.name.clone(),
                    password: Password::Known(entry.password),
                    addresses: entry.addresses,
                    prefix: entry.prefix.map(|prefix| prefix.first()),
                };
                (entry.name, user)
            })
            .collect();
        Ok(Self::from_parts(by_name, None))
    }

    /// The user of that name, as the peer sent it, or else without a leading `DOMAIN\`; with the
    /// name that counts.
    #[must_use]
    pub fn find<'a>(
        &'a self,
        identity: &'a str,
        without_domain: &'a str,
    ) -> Option<(&'a str, &'a User)> {
        [identity, without_domain]
            .into_iter()
            .find_map(|name| Some((name, self.by_name.get(name)?)))
            .or_else(|| Some((without_domain, self.anybody.as_ref()?)))
    }

    /// The user who logged in by that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&User> {
        self.by_name.get(name).or(self.anybody.as_ref())
    }

    /// Whether a password comes from a program.
    #[must_use]
    pub fn has_program(&self) -> bool {
        let mut all = self.by_name.values().chain(&self.anybody);
        all.any(|user| matches!(user.password, Password::Program(_)))
    }

    /// Everybody with a name, by name.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.by_name.values()
    }

    /// Addresses that belong to one user and are not for the pool.
    pub fn fixed_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.iter()
            .filter_map(|user| user.addresses)
            .flat_map(|range| {
                (u32::from(range.first())..=u32::from(range.last())).map(Ipv4Addr::from)
            })
    }

    /// IPv6 prefixes that belong to one user and are not for the pool.
    pub fn fixed_prefixes(&self) -> impl Iterator<Item = Ipv6Net> + '_ {
        self.iter().filter_map(|user| user.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Users, String> {
        Users::from_source(&Source::new("users.yaml", text)).map_err(|p| p.to_string())
    }

    #[test]
    fn names_are_found_with_and_without_domain() {
        let users =
            read("users:\n- {name: alice, password: a}\n- {name: 'OFFICE\\bob', password: b}\n")
                .unwrap();
        assert_eq!(users.find("HOME\\alice", "alice").unwrap().0, "alice");
        assert_eq!(users.find("OFFICE\\bob", "bob").unwrap().0, "OFFICE\\bob");
        assert!(users.find("bob", "bob").is_none());
        assert!(!format!("{users:?}").contains("\"a\""));
    }

    #[test]
    fn the_sample_is_accepted() {
        let users = read(include_str!("../../etc/users.yaml.sample")).unwrap();
        let fixed: Vec<_> = users.fixed_addresses().collect();
        assert_eq!(fixed, [Ipv4Addr::new(10, 77, 0, 9)]);
    }

    #[test]
    fn mistakes_are_shown_where_they_are_and_passwords_are_not() {
        let cases = [
            (
                "users:\n- {name: a, pasword: geheim}\n",
                ":2:13: ",
                "unknown field `pasword`",
            ),
            (
                "users:\n- {name: a}\n",
                ":2:3: ",
                "missing field `password`",
            ),
            (
                "users:\n- {name: a, password: geheim}\n- {name: a, password: geheim}\n",
                ":3:10: ",
                "expected each name once",
            ),
            (
                "users:\n- {name: a, password: p, address: 10.0.0.1}\n\
                 - {name: b, password: p, address: 10.0.0.0/30}\n",
                ":3:35: ",
                "another user",
            ),
            (
                "users:\n- {name: a, password: p, address: ten}\n",
                ":2:35: ",
                "one address",
            ),
            (
                "users:\n- {name: a, password: p, prefix: '2001:db8::/56'}\n",
                ":2:34: ",
                "expected 64 bits",
            ),
            (
                "users:\n- {name: a, password: p, prefix: '2001:db8::/64'}\n\
                 - {name: b, password: p, prefix: '2001:db8::/64'}\n",
                ":3:34: ",
                "another user",
            ),
            (
                "users:\n- {name: a, password: p, prefix: 10.0.0.1}\n",
                ":2:34: ",
                "no IPv6 prefix",
            ),
            (
                "users:\n- {name: \"a\\u0007\", password: p}\n",
                ":2:10: ",
                "control characters",
            ),
            (
                "users:\n- {name: a, password: [geheim]}\n",
                ":2:23: ",
                "expected a string",
            ),
        ];
        for (text, place, words) in cases {
            let problem = read(text).unwrap_err();
            assert!(
                problem.contains(place) && problem.contains(words),
                "{text}=> {problem}"
            );
            assert!(!problem.contains("geheim"), "{problem}");
        }
    }
}
