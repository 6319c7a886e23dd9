//! Who owns a file, and what others may do with it.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use tanuki_daemon::config::parsed;

use super::values::scalar;

/// A user of this system, by name or number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User(pub(super) u32);

/// A group of this system, by name or number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group(pub(super) u32);

/// Permissions in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permissions(pub(super) u32);

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = || Ok(nix::unistd::User::from_name(text)?.map(|user| user.uid.as_raw()));
        number("user", text, found).map(Self)
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = || Ok(nix::unistd::Group::from_name(text)?.map(|group| group.gid.as_raw()));
        number("group", text, found).map(Self)
    }
}

impl FromStr for Permissions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| format!("`{text}` are no permissions; expected octal, such as 0660"))
    }
}

fn number(
    what: &str,
    text: &str,
    found: impl FnOnce() -> nix::Result<Option<u32>>,
) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match found() {
        Ok(Some(number)) => Ok(number),
        // What BSD calls the group 0, in files that come from there.
        Ok(None) if (what, text) == ("group", "wheel") => Ok(0),
        Ok(None) => Err(format!(
            "no {what} `{text}` on this system; expected a name or a number"
        )),
        Err(error) => Err(format!("{what} `{text}`: {error}")),
    }
}

scalar!(User, Group, Permissions);
