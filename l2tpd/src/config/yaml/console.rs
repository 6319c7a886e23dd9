//! `console` and `web`: mpd5's, for scripts that use them.

use std::net::SocketAddr;

use serde::Deserialize;

use super::Check;
use crate::config::scalar::Text;
use crate::console::{Console, ConsoleUser, Role};
use crate::secret::Secret;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsoleFile {
    listen: Text<SocketAddr>,
    #[serde(default = "yes")]
    login: bool,
    #[serde(default)]
    users: Vec<UserFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebFile {
    listen: Text<SocketAddr>,
    #[serde(default = "yes")]
    login: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFile {
    name: String,
    password: Secret,
    #[serde(default)]
    role: Role,
}

const fn yes() -> bool {
    true
}

impl Check<'_> {
    pub(super) fn console(
        &mut self,
        console: Option<ConsoleFile>,
        web: Option<WebFile>,
    ) -> Console {
        let mut settings = Console::default();
        if let Some(file) = console {
            settings.listen = Some(file.listen.0);
            settings.login = file.login;
            settings.users = file
                .users
                .into_iter()
                .map(|user| ConsoleUser {
                    name: user.name,
                    password: user.password,
                    role: user.role,
                })
                .collect();
            self.open_console("console", settings.login, file.listen.0);
        }
        if let Some(file) = web {
            settings.web = Some(file.listen.0);
            settings.web_login = file.login;
            self.open_console("web", settings.web_login, file.listen.0);
        }
        settings
    }

    /// A console for everybody is for this host at most.
    fn open_console(&mut self, key: &str, login: bool, listen: SocketAddr) {
        if !login && !listen.ip().is_loopback() {
            self.refuse(
                &format!("{key}.login"),
                "off, so that anybody on the network could end sessions; expected true, or \
                 127.0.0.1 to listen on",
            );
        }
    }
}
