//! An mpd.conf with its mpd.secret as `l2tpd.yaml` and `users.yaml`, each setting with the line it
//! comes from.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use mpd_conf::diag::Span;
use mpd_conf::model::{Bundle, Link, Model, Setting};
use mpd_conf::options::LinkOption;
use tanuki_daemon::config::{Problem, Problems};

use super::load_model;
use crate::config::file::read_bounded;
use crate::config::{ConfigFile, UsersFile, write};
use crate::users::{Password, Users};

/// The file of users in YAML.
const USERS: &str = "users.yaml";

/// What an import makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `l2tpd.yaml`.
    pub config: String,
    /// `users.yaml`; none when mpd.secret has what YAML has not, and goes on to be read.
    pub users: Option<String>,
    /// What was not carried over.
    pub left: Vec<Problem>,
}

/// Reads mpd.conf and mpd.secret. Links of other types than L2TP are left out, and that is told.
///
/// # Errors
/// Every problem that stands in the way, with its place.
pub fn import(file: &Path) -> Result<Imported, Problems> {
    let whole = |message: String| Problem {
        file: file.to_owned(),
        line: 0,
        column: 0,
        message,
    };
    let bytes = read_bounded(file).map_err(|error| Problems(vec![whole(error.to_string())]))?;
    let source = ConfigFile {
        path: file.to_owned(),
        label: None,
        skip_unsupported: true,
    };
    let (loaded, model) = load_model(&source, &bytes)?;
    let mut left: Vec<Problem> = loaded
        .notices
        .iter()
        .map(|notice| placed(notice).unwrap_or_else(|| whole(notice.clone())))
        .collect();
    let (users, reason) = users(&loaded.config.users)?;
    left.extend(reason.map(whole));
    let origins = origins(&model);
    let origin = |path: &str| origins.get(path).cloned();
    let name = users.as_ref().map(|_| USERS);
    let written = write::yaml(&loaded.config, name, &origin);
    for (path, why) in written.left {
        left.push(whole(format!("{path}: {why}")));
    }
    let head = format!(
        "# l2tpd.yaml, made by tanuki-import from {}; see l2tpd.yaml(5).\n\
         # What stands behind a `#` is where the setting comes from.\n\n",
        file.display()
    );
    Ok(Imported {
        config: head + &written.text,
        users,
        left,
    })
}

/// A notice with its place apart.
fn placed(notice: &str) -> Option<Problem> {
    let (place, message) = notice.split_once(": ")?;
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Problem {
        file: file.into(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
        message: message.to_owned(),
    })
}

/// The users in YAML, or why they stay where they are.
fn users(file: &UsersFile) -> Result<(Option<String>, Option<String>), Problems> {
    let Some(path) = file.path() else {
        return Ok((None, None));
    };
    let users = Users::read(file)?;
    let mut text = format!(
        "# users.yaml, made by tanuki-import from {}.\n",
        path.display()
    );
    text += "users:\n";
    let stays = |why: &str| {
        let why = format!("{} goes on to be read: {why}", path.display());
        Ok((None, Some(why)))
    };
    if users.has_program() {
        return stays("a password of a program has no word in YAML");
    }
    let mut ranges = Vec::new();
    for user in users.iter() {
        let Password::Known(password) = &user.password else {
            continue;
        };
        let json = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let password = json(&String::from_utf8_lossy(password.octets()));
        let address = match user.addresses {
            None => String::new(),
            Some(range) => {
                if ranges
                    .iter()
                    .any(|other: &crate::pool::Range| other.overlaps(&range))
                {
                    return stays("addresses of several users overlap");
                }
                ranges.push(range);
                format!(", address: {range}")
            }
        };
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "- {{name: {}, password: {password}{address}}}",
            json(&user.name)
        );
    }
    Ok((Some(text), None))
}

/// Path in YAML to file and line in mpd.conf.
fn origins(model: &Model) -> BTreeMap<String, String> {
    let mut origins = Origins(BTreeMap::new());
    let global = &model.global;
    origins.setting("tunnel_idle", &global.l2tp_timeout);
    origins.setting("limits.sessions_per_tunnel", &global.l2tp_limit);
    origins.setting("limits.sessions", &global.max_children);
    origins.setting("limits.sessions_per_user", &model.max_logins);
    for pool in &model.pools {
        let first = pool.ranges.first().map(|range| &range.span);
        origins.add(format!("pools.{}", pool.name), first);
    }
    for bundle in &model.bundles {
        origins.bundle(&format!("bundles.{}", bundle.name), bundle);
    }
    for link in &model.links {
        let of = if link.options.enabled(LinkOption::Incoming) {
            "links"
        } else {
            "connections"
        };
        origins.link(&format!("{of}.{}", link.name), link);
    }
    origins.setting("console.listen", &model.console.local);
    origins.setting("web.listen", &model.web.local);
    origins.setting("console", &model.console.open);
    origins.setting("web", &model.web.open);
    origins.0
}

struct Origins(BTreeMap<String, String>);

impl Origins {
    fn add(&mut self, path: String, span: Option<&Span>) {
        if let Some(span) = span {
            let name = Path::new(&*span.file).file_name().unwrap_or_default();
            let place = format!("{}:{}", name.to_string_lossy(), span.line);
            self.0.insert(path, place);
        }
    }

    fn setting<T>(&mut self, path: &str, setting: &Setting<T>) {
        self.add(path.to_owned(), setting.span.as_ref());
    }

    fn bundle(&mut self, path: &str, bundle: &Bundle) {
        self.add(path.to_owned(), Some(&bundle.span));
        let iface = &bundle.iface;
        self.setting(&format!("{path}.local_address"), &bundle.ipcp.local);
        self.setting(&format!("{path}.pool"), &bundle.ipcp.peer);
        self.setting(&format!("{path}.dns"), &bundle.ipcp.dns);
        self.setting(&format!("{path}.nbns"), &bundle.ipcp.nbns);
        self.setting(&format!("{path}.mtu"), &iface.mtu);
        self.setting(&format!("{path}.idle_timeout"), &iface.idle);
        self.setting(&format!("{path}.session_timeout"), &iface.session);
        self.setting(&format!("{path}.hooks.up"), &iface.up_script);
        self.setting(&format!("{path}.hooks.down"), &iface.down_script);
        self.setting(&format!("{path}.interface.name"), &iface.name);
        self.setting(&format!("{path}.interface.group"), &iface.group);
        self.setting(&format!("{path}.interface.description"), &iface.description);
        let first = iface.routes.first().and_then(|route| route.span.as_ref());
        self.add(format!("{path}.routes"), first);
    }

    fn link(&mut self, path: &str, link: &Link) {
        self.add(path.to_owned(), Some(&link.span));
        self.setting(&format!("{path}.local"), &link.l2tp.local);
        self.setting(&format!("{path}.peer"), &link.l2tp.peer);
        self.setting(&format!("{path}.server"), &link.l2tp.peer);
        self.setting(&format!("{path}.host_name"), &link.l2tp.host_name);
        self.setting(&format!("{path}.secret"), &link.l2tp.secret);
        self.setting(
            &format!("{path}.authentication_timeout"),
            &link.auth.timeout,
        );
        self.setting(&format!("{path}.user"), &link.auth.authname);
        self.setting(&format!("{path}.password"), &link.auth.password);
        self.setting(&format!("{path}.mtu"), &link.mtu);
        self.setting(&format!("{path}.mru"), &link.mru);
        self.setting(&format!("{path}.echo"), &link.keep_alive);
        self.setting(&format!("{path}.max_sessions"), &link.max_children);
        self.setting(&format!("{path}.retry"), &link.redial_delay);
        self.setting(&format!("{path}.attempts"), &link.max_redial);
        self.add(format!("{path}.automatic"), link.opened.as_ref());
        let methods = [LinkOption::ChapMsv2, LinkOption::ChapMd5, LinkOption::Pap];
        let said = methods.iter().find_map(|method| link.options.span(*method));
        self.add(format!("{path}.authentication"), said);
    }
}
