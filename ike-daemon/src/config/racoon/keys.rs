//! Who needs a key of psk.txt, and who has one.

use std::path::PathBuf;

use ike_proto::policy::{Login, SecretEntry, SecretPeer};
use racoon_conf::Span;

use super::Place;
use super::lower::Lowering;
use super::psk::PskFile;

impl Lowering {
    /// Whether anybody authenticates by a pre-shared key. Where nobody can come at all, what stands
    /// in the way is told already.
    pub(super) fn uses_secrets(&self) -> bool {
        let remotes = self
            .policy
            .remotes
            .iter()
            .map(|remote| &remote.authentication);
        let mut methods = remotes
            .chain([&self.policy.authentication])
            .flat_map(|authentication| &authentication.methods)
            .peekable();
        methods.peek().is_none() || methods.any(|method| method.uses_secret())
    }

    /// As in racoon, the password of a login is its key in psk.txt.
    pub(super) fn passwords(&mut self, path: PathBuf) {
        let logins = std::mem::take(&mut self.logins);
        if logins.is_empty() {
            return;
        }
        let keys = PskFile::new(path).read();
        for (index, user) in logins {
            let secrets = match &keys {
                Ok(keys) => &keys.secrets,
                Err(problem) => {
                    let (file, message) = (problem.file.display(), &problem.message);
                    self.problem(user.span, format!("`xauth_login`: {file}: {message}"));
                    continue;
                }
            };
            let of_user = |entry: &&SecretEntry| match &entry.peer {
                SecretPeer::Identity(own) => own.data == user.value.as_bytes(),
                _ => false,
            };
            let Some(entry) = secrets.iter().find(of_user) else {
                self.value("remote xauth_login", "no password", user.span, &user.value);
                continue;
            };
            if let Some(configured) = self.connections.get_mut(index) {
                configured.connection.login = Some(Login {
                    user: user.value.clone(),
                    password: entry.secret.clone(),
                });
            }
        }
    }

    pub(super) fn psk(&mut self, path: PathBuf, place: Span) -> PskFile {
        let mut psk = PskFile::new(path);
        match psk.read() {
            Ok(keys) => {
                if keys.secrets.is_empty() {
                    let found = psk.path().display().to_string();
                    self.value("path pre_shared_key", "empty", place, &found);
                }
                for (index, line) in keys.lines.iter().enumerate() {
                    let (file, line) = (psk.path().to_owned(), *line);
                    self.origins
                        .insert(format!("secrets.{index}"), Place { file, line });
                }
                self.policy.secrets = keys.secrets;
                self.notices.extend(keys.warnings);
            }
            Err(problem) => self.problem(
                place,
                format!(
                    "`pre_shared_key`: {}: {}",
                    problem.file.display(),
                    problem.message
                ),
            ),
        }
        psk
    }

    /// Connections without a key are kept: psk.txt may get one while we run.
    pub(super) fn announce_connections(&mut self) {
        let without: Vec<(Span, String)> = self
            .remotes
            .iter()
            .filter_map(|(peer, index, span)| {
                let connection = &self.connections.get(*index)?.connection;
                let identity = connection.peer_identity.as_ref();
                let terms = self.policy.terms(*peer);
                let mut methods = terms.authentication.methods.iter();
                if !methods.any(|method| method.uses_secret()) {
                    return None;
                }
                (!crate::config::check::has_secret(&self.policy, *peer, identity))
                    .then(|| (*span, format!("no key for {peer} in psk.txt yet")))
            })
            .collect();
        for (span, message) in without {
            self.notice(span, message);
        }
    }
}
