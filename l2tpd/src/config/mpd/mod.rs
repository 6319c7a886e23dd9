//! mpd.conf to [`Config`]: the model that [`mpd_conf`] reads, in the terms of the daemon. What
//! only several settings together show is refused here, at the place of one of them.
//!
//! | file | what |
//! |---|---|
//! | `bundles.rs` | `set bundle`, `set ipcp`, `set iface` |
//! | `links.rs` | links that take calls, and where they listen |
//! | `connections.rs` | links that call |
//! | `origins.rs` | where each setting of YAML comes from, for `tanuki-import` |

mod bundles;
mod connections;
mod links;
mod origins;

pub use origins::{Imported, import};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mpd_conf::diag::Span;
use mpd_conf::model::{Endpoint, Model, Role as MpdRole, Service};
use mpd_conf::options::{ConsoleOption, GlobalOption, OptionMenu, WebOption};
use mpd_conf::{Loader, Problem as MpdProblem, Request, interpret};
use tanuki_daemon::config::{Problem, Problems};
use tanuki_daemon::log::LogConfig;

use super::file::read_bounded;
use super::model::{KernelChoice, L2tpSettings, Limits, UserLimit, UsersFile};
use super::{Bundle, Config, ConfigFile, HookCommand, Loaded};
use crate::console::{Console, ConsoleUser, Role};
use crate::pool::Range;
use crate::secret::Secret;

/// mpd's name for the file of users, beside mpd.conf.
const SECRETS: &str = "mpd.secret";

/// Reads and checks an mpd.conf.
///
/// # Errors
/// Every problem found, each with its place and what would be accepted.
pub(super) fn load(file: &ConfigFile, bytes: &[u8]) -> Result<Loaded, Problems> {
    load_model(file, bytes).map(|(loaded, _)| loaded)
}

fn load_model(file: &ConfigFile, bytes: &[u8]) -> Result<(Loaded, Model), Problems> {
    let folder = file.path.parent().unwrap_or(Path::new("")).to_owned();
    let request = Request {
        file: file.path.display().to_string(),
        label: file.label.clone(),
        ignore_foreign_links: file.skip_unsupported,
    };
    let done = interpret(bytes, &request, &mut Folder(&folder));
    let mut lowering = Lowering {
        model: &done.model,
        file: request.file.clone(),
        folder,
        bundles: BTreeMap::new(),
        pools: BTreeMap::new(),
        problems: done.problems.clone(),
        notices: done.notices.iter().map(ToString::to_string).collect(),
    };
    // What depends on a setting that was refused would be a consequence only.
    let config = if done.problems.is_empty() {
        lowering.config()
    } else {
        None
    };
    match config {
        Some(config) if lowering.problems.is_empty() => {
            let notices = lowering.notices;
            Ok((Loaded { config, notices }, done.model))
        }
        _ => {
            let mut problems = problems_of_mpd(&lowering.problems);
            if done.suppressed > 0 {
                problems.0.push(Problem {
                    file: file.path.clone(),
                    line: 0,
                    column: 0,
                    message: format!("and {} more problems", done.suppressed),
                });
            }
            Err(problems)
        }
    }
}

/// Problems of mpd.conf or mpd.secret in the words of every configuration.
pub(crate) fn problems_of_mpd(problems: &[MpdProblem]) -> Problems {
    let problem = |problem: &MpdProblem| Problem {
        file: problem.span.file.to_string().into(),
        line: problem.span.line as usize,
        column: problem.span.column as usize,
        message: if problem.remedy.is_empty() {
            problem.message.clone()
        } else {
            format!("{} ({})", problem.message, problem.remedy)
        },
    };
    Problems(problems.iter().map(problem).collect())
}

impl From<&mpd_conf::model::Program> for HookCommand {
    fn from(program: &mpd_conf::model::Program) -> Self {
        Self {
            program: program.path.clone().into(),
            arguments: program.arguments.clone(),
        }
    }
}

/// Files that `load FILE LABEL` names are looked for beside mpd.conf.
struct Folder<'a>(&'a Path);

impl Loader for Folder<'_> {
    fn load(&mut self, name: &str) -> Result<Vec<u8>, String> {
        read_bounded(&self.0.join(name)).map_err(|error| error.to_string())
    }
}

struct Lowering<'m> {
    model: &'m Model,
    /// The file's name, for what is wrong with it as a whole.
    file: String,
    folder: PathBuf,
    /// Those that were asked for; none: what is wrong with it was said.
    bundles: BTreeMap<String, Option<Arc<Bundle>>>,
    pools: BTreeMap<String, Vec<Range>>,
    problems: Vec<MpdProblem>,
    notices: Vec<String>,
}

impl Lowering<'_> {
    fn refuse(&mut self, span: &Span, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems
            .push(MpdProblem::new(span, message).remedy(remedy));
    }

    fn notice(&mut self, span: &Span, message: &str) {
        self.notices.push(format!("{span}: {message}"));
    }

    fn config(&mut self) -> Option<Config> {
        self.ippools();
        let (links, listen) = self.links();
        let users = if listen.is_empty() {
            UsersFile::None
        } else {
            UsersFile::MpdSecret(self.folder.join(SECRETS))
        };
        let connections = self.connections();
        if listen.is_empty() && connections.is_empty() && self.problems.is_empty() {
            let start = Span {
                file: self.file.as_str().into(),
                line: 1,
                column: 1,
            };
            let any = self
                .model
                .links
                .first()
                .map_or(start, |link| link.span.clone());
            self.refuse(
                &any,
                "nothing to do: no link takes calls and none is opened",
                "write 'set link enable incoming', or 'set l2tp peer ...' and 'open'",
            );
            return None;
        }
        let console = self.console();
        let global = &self.model.global;
        let seconds = |n: u32| Duration::from_secs(u64::from(n));
        let max_logins = &self.model.max_logins.value;
        let bundles = self.bundles.values().flatten();
        Some(Config {
            listen,
            kernel: KernelChoice::Auto,
            host_name: host_name(),
            users,
            l2tp: L2tpSettings {
                secret: None,
                hello: Duration::from_secs(60),
                sequencing: true,
                // 0 is "at once" to mpd.
                idle: seconds(global.l2tp_timeout.value.max(1)),
            },
            links,
            bundles: bundles
                .map(|bundle| (bundle.name.clone(), Arc::clone(bundle)))
                .collect(),
            pools: self.pools.clone(),
            limits: Limits {
                tunnels: 10_000,
                half_open: 500,
                tunnels_per_source: 250,
                sessions_per_tunnel: match global.l2tp_limit.value {
                    0 => 65_535,
                    most => usize::try_from(most).unwrap_or(65_535),
                },
                sessions: usize::try_from(global.max_children.value).unwrap_or(65_535),
                sessions_per_user: (max_logins.count > 0).then(|| UserLimit {
                    sessions: usize::try_from(max_logins.count).unwrap_or(usize::MAX),
                    refuse: true,
                    ignore_case: max_logins.ignore_case,
                }),
            },
            hook_timeout: Duration::from_secs(30),
            log: LogConfig::default(),
            connections,
            console,
        })
    }

    fn ippools(&mut self) {
        let mut seen: Vec<Range> = Vec::new();
        for pool in &self.model.pools {
            let mut ranges = Vec::new();
            for each in &pool.ranges {
                match Range::new(each.first, each.last) {
                    Ok(range) => {
                        if let Some(other) = seen.iter().find(|other| other.overlaps(&range)) {
                            let text = format!("{range} overlaps {other}");
                            self.refuse(&each.span, text, "write ranges that lie apart");
                        }
                        seen.push(range);
                        ranges.push(range);
                    }
                    Err(error) => self.refuse(&each.span, error.to_string(), "write fewer"),
                }
            }
            self.pools.insert(pool.name.clone(), ranges);
        }
    }

    fn console(&mut self) -> Console {
        let model = self.model;
        let (listen, login) = self.service("console", &model.console, ConsoleOption::Auth);
        let (web, web_login) = self.service("web", &model.web, WebOption::Auth);
        if model.users.is_empty()
            && let Some(span) = &model.console.open.span
            && listen.is_some()
            && login
        {
            self.notice(
                span,
                "nobody can log in to the console: write 'set user ...'",
            );
        }
        Console {
            listen,
            login,
            web,
            web_login,
            users: model
                .users
                .iter()
                .map(|user| ConsoleUser {
                    name: user.name.clone(),
                    password: Secret::new(user.password.expose()),
                    role: match user.role {
                        MpdRole::Admin => Role::Admin,
                        MpdRole::Operator => Role::Operator,
                        MpdRole::User => Role::User,
                    },
                })
                .collect(),
            session_time: model.global.options.enabled(GlobalOption::SessionTime),
        }
    }

    fn service<M: OptionMenu>(
        &mut self,
        name: &str,
        service: &Service<M>,
        auth: M,
    ) -> (Option<SocketAddr>, bool) {
        let login = service.options.enabled(auth);
        let local = socket(service.local.value, 0);
        if let Some(span) = service.open.span.as_ref()
            && service.open.value
            && !login
            && !local.ip().is_loopback()
        {
            self.refuse(
                span,
                format!("anybody on the network could use the {name} of {local}"),
                format!("write 'set {name} enable auth', or 'set {name} self 127.0.0.1'"),
            );
        }
        (service.open.value.then_some(local), login)
    }
}

fn socket(endpoint: Endpoint, port: u16) -> SocketAddr {
    SocketAddr::new(endpoint.address, endpoint.port.unwrap_or(port))
}

/// The system's, as far as it fits into a Host Name AVP.
fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name: String = name
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_graphic)
        .take(255)
        .collect();
    if name.is_empty() {
        "tanuki".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests;
