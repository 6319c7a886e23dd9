//! `mode_config`: addresses and users for clients in tunnel mode.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use ike_crypto::Secret;
use ike_proto::policy::{AddressRange, ModeConfig, Policy, XauthUser};
use tanuki_daemon::config::Source;
use tanuki_daemon::range::Range;
use tanuki_daemon::users;

use super::check::{Check, set};
use super::model::Config;
use super::yaml::ModeConfigSection;

/// The longest text of an attribute that every client takes.
const MAX_TEXT: usize = 1024;

impl Check<'_> {
    /// The section at `path`.
    pub(super) fn mode_config(&mut self, path: &str, section: &ModeConfigSection) -> ModeConfig {
        let range = |range: Range| AddressRange {
            first: range.first(),
            last: range.last(),
        };
        let mut config = ModeConfig {
            pool: section
                .pool
                .iter()
                .flat_map(|list| &list.0)
                .map(|r| range(r.0))
                .collect(),
            netmask: section.netmask.map(|address| address.0),
            dns: section
                .dns
                .iter()
                .flat_map(|list| &list.0)
                .map(|a| a.0)
                .collect(),
            nbns: section
                .wins
                .iter()
                .flat_map(|list| &list.0)
                .map(|a| a.0)
                .collect(),
            default_domain: section.domain.clone(),
            split_include: section.split_include.iter().map(|net| net.0).collect(),
            split_exclude: section.split_exclude.iter().map(|net| net.0).collect(),
            split_dns: section.split_dns.clone(),
            banner: section.banner.clone(),
            ..ModeConfig::default()
        };
        set(&mut config.save_password, section.save_password);
        if config.pool.is_empty() && section.users.is_none() {
            self.problem(
                path,
                "neither `pool` nor `users`: nothing to give to anybody",
            );
        }
        for (key, text) in [
            ("domain", &config.default_domain),
            ("banner", &config.banner),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| text.is_empty() || text.len() > MAX_TEXT)
            {
                self.problem(&format!("{path}.{key}"), "expected 1 to 1024 octets");
            }
        }
        if let Some(file) = &section.users {
            config.users = self.users(&format!("{path}.users"), &file.0);
        }
        config
    }

    fn users(&mut self, place: &str, file: &Path) -> BTreeMap<String, XauthUser> {
        match read_users(file) {
            Ok((users, warning)) => {
                if let Some(warning) = warning {
                    self.warn(place, warning);
                }
                users
            }
            Err(why) => {
                self.problem(place, why);
                BTreeMap::new()
            }
        }
    }

    /// Methods with XAUTH need users; `mode_config` serves tunnel mode.
    pub(super) fn xauth_has_users(&mut self, policy: &Policy) {
        let general = (
            "authentication.methods".to_owned(),
            &policy.authentication,
            &policy.mode_config,
        );
        let remotes = policy.remotes.iter().map(|remote| {
            let place = format!("remotes.{}.authentication.methods", remote.name);
            (place, &remote.authentication, &remote.mode_config)
        });
        for (place, authentication, config) in remotes.chain([general]) {
            let users = config
                .as_ref()
                .is_some_and(|config: &Arc<ModeConfig>| !config.users.is_empty());
            let xauth = authentication
                .methods
                .iter()
                .find(|method| method.uses_xauth());
            if let Some(method) = xauth
                && !users
                && policy.respond
            {
                self.problem(
                    &place,
                    format_args!("{method} needs names and passwords: `mode_config` with `users`"),
                );
            }
        }
    }
}

impl Config {
    /// The users of `file` are others now: of the general rules, of the remotes that have them from
    /// there, and of remotes with that file of their own.
    pub fn set_users(&mut self, file: &Path, users: &BTreeMap<String, XauthUser>) {
        let changed = |old: &Arc<ModeConfig>| {
            Arc::new(ModeConfig {
                users: users.clone(),
                ..ModeConfig::clone(old)
            })
        };
        let is_of = |name: &str| self.users_files.get(name).is_some_and(|own| own == file);
        let general = self.policy.mode_config.clone();
        let new_general = general.as_ref().filter(|_| is_of("")).map(changed);
        for remote in &mut self.policy.remotes {
            let Some(own) = &mut remote.mode_config else {
                continue;
            };
            let inherited = general
                .as_ref()
                .is_some_and(|general| Arc::ptr_eq(own, general));
            if inherited {
                *own = new_general.clone().unwrap_or_else(|| Arc::clone(own));
            } else if is_of(&remote.name) {
                *own = changed(own);
            }
        }
        if new_general.is_some() {
            self.policy.mode_config = new_general;
        }
    }
}

/// The users of a file, and what is unwise about it.
pub(crate) fn read_users(
    file: &Path,
) -> Result<(BTreeMap<String, XauthUser>, Option<String>), String> {
    let read = Source::read(file).and_then(|source| users::read(&source));
    let entries = read.map_err(|problems| problems.to_string())?;
    let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    let warning =
        (mode & 0o077 != 0).then(|| format!("{} can be read by others; chmod 600", file.display()));
    let users = entries.into_iter().map(|entry| {
        let user = XauthUser {
            password: Secret::from(entry.password.octets()),
            addresses: entry.addresses.map(|range| AddressRange {
                first: range.first(),
                last: range.last(),
            }),
        };
        (entry.name, user)
    });
    Ok((users.collect(), warning))
}
