//! The tree into the model: notices, refusals, and the order of it all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ike_proto::Policy;
use racoon_conf::ast::{LdapCfg, ModeCfg, Padding, Privsep, RadiusCfg, Statement, Text};
use racoon_conf::words::{LogLevel, PathKind, ProposalCheck};
use racoon_conf::{Parsed, Span};
use slog::Level;
use tanuki_daemon::config::{Problem, Problems};
use tanuki_daemon::log::LogConfig;

use super::directives::{self, Class};
use super::listen::Addresses;
use super::remote::RemoteTerms;
use super::{Loaded, Place, Read, mode_config, remote, sainfo, setkey};
use crate::config::model::{
    AdminSocket, AuthenticationFiles, Config, ConfiguredConnection, KernelChoice, PeerScripts,
};
use crate::config::static_entry::StaticEntry;

/// Where FreeBSD's port of racoon has its socket when nothing is written.
const DEFAULT_ADMIN_SOCKET: &str = "/var/db/racoon/racoon.sock";

/// Makes the model, or says all that is in the way.
pub(super) fn lower(main: &Path, parsed: &Parsed, scripts: &[Read]) -> Result<Loaded, Problems> {
    let files: Vec<PathBuf> = parsed.files.iter().map(PathBuf::from).collect();
    let mut lowering = Lowering::new(files, main.parent().unwrap_or(Path::new("/")));
    lowering.incomplete = !parsed.problems.is_empty();
    for problem in &parsed.problems {
        lowering.problem(problem.span, problem.message.clone());
    }
    for notice in &parsed.notices {
        lowering.notice(notice.span, notice.message.clone());
    }
    let statements = &parsed.tree.statements;
    let mut listen = Addresses::default();
    let mut log = LogConfig::default();
    let mut psk_path = None;
    let mut pid_file = None;
    for statement in statements {
        lowering.visit("", statement.value.name(), statement.span);
        match &statement.value {
            Statement::Path(kind, value) => match kind.value {
                PathKind::PreSharedKey => psk_path = Some(value),
                PathKind::Script => lowering.script_folder = PathBuf::from(&value.value),
                PathKind::PidFile => pid_file = Some(PathBuf::from(&value.value)),
                PathKind::Certificate => {
                    lowering.certificate_folder = Some(PathBuf::from(&value.value));
                }
                PathKind::Include | PathKind::BackupSa => {}
            },
            Statement::Log(level) => {
                log.level.0 = log_level(level.value);
                lowering.from("log.level", level.span);
            }
            Statement::Listen(block) => lowering.listen(block, &mut listen),
            Statement::Timer(block) => lowering.timer(block),
            other => lowering.without_effect(other),
        }
    }
    let end = statements.last().map_or(Span::default(), |last| last.span);
    remote::lower(&mut lowering, statements, end);
    sainfo::lower(&mut lowering, statements, end);
    let servers = lowering.xauth_servers;
    mode_config::lower(&mut lowering, statements, servers);
    lowering.scripts(scripts);
    lowering.share_traffic();
    let name = psk_path.map_or("psk.txt", |path| path.value.as_str());
    let path = lowering.folder.join(name);
    let place = psk_path.map_or(end, |path| path.span);
    let psk = lowering
        .uses_secrets()
        .then(|| lowering.psk(path.clone(), place));
    lowering.passwords(path);
    lowering.announce_connections();
    if lowering.peer_scripts.iter().all(PeerScripts::is_empty) {
        lowering.peer_scripts.clear();
    }
    for note in lowering.policy.notes() {
        let place = lowering.aggressive.unwrap_or(end);
        lowering.notice(place, note.to_string());
    }
    if !lowering.problems.is_empty() {
        return Err(Problems(lowering.problems));
    }
    let listen_is_explicit = listen.strict;
    let config = Config {
        listen: match listen.isakmp.is_empty() {
            true => vec![
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            ],
            false => listen.isakmp,
        },
        listen_is_explicit,
        policy: lowering.policy,
        connections: lowering.connections,
        kernel: KernelChoice::Auto,
        log,
        psk,
        authentication_files: lowering.authentication_files,
        users_files: lowering
            .xauth_servers
            .map(|_| (String::new(), lowering.folder.join(mode_config::USERS)))
            .into_iter()
            .collect(),
        admin_socket: listen.admin.unwrap_or_else(|| {
            Some(AdminSocket {
                path: DEFAULT_ADMIN_SOCKET.into(),
                owner: None,
                group: None,
                mode: 0o600,
                is_explicit: false,
            })
        }),
        scripts: lowering.peer_scripts,
        setkey: scripts.iter().map(|read| read.file.clone()).collect(),
        static_entries: lowering.static_entries,
        pid_file,
        warnings: lowering.notices,
    };
    Ok(Loaded {
        config,
        origins: lowering.origins,
    })
}

/// The model as far as it is made, and what was said on the way.
pub(super) struct Lowering {
    files: Vec<PathBuf>,
    /// Where racoon.conf is.
    folder: PathBuf,
    /// Where relative scripts are.
    pub(super) script_folder: PathBuf,
    pub(super) origins: BTreeMap<String, Place>,
    /// Added to the file numbers of spans.
    offset: usize,
    /// Something could not be parsed: what is missing may have stood there.
    pub(super) incomplete: bool,
    problems: Vec<Problem>,
    pub(super) notices: Vec<Problem>,
    said: BTreeSet<&'static str>,
    seen: BTreeSet<String>,
    pub(super) policy: Policy,
    /// What `proposal_check` says in the block that counts.
    pub(super) check: ProposalCheck,
    pub(super) connections: Vec<ConfiguredConnection>,
    /// Addresses of `remote` blocks that we connect to: connection by index, and the place.
    pub(super) remotes: Vec<(IpAddr, usize, Span)>,
    /// The same for [`ike_proto::policy::Remote`]s, in their order.
    pub(super) terms: Vec<RemoteTerms>,
    /// What `authentication`s were read from.
    pub(super) authentication_files: BTreeMap<String, AuthenticationFiles>,
    certificate_folder: Option<PathBuf>,
    /// Where clients give a name and a password.
    pub(super) xauth_servers: Option<Span>,
    /// Names that servers ask us for, by connection, and the place.
    pub(super) logins: Vec<(usize, Text)>,
    /// Where Aggressive Mode is allowed.
    pub(super) aggressive: Option<Span>,
    pub(super) peer_scripts: Vec<PeerScripts>,
    pub(super) static_entries: Vec<StaticEntry>,
}

impl Lowering {
    /// Nothing lowered yet; spans are of `files`.
    pub(super) fn new(files: Vec<PathBuf>, folder: &Path) -> Self {
        Self {
            files,
            folder: folder.to_owned(),
            script_folder: PathBuf::new(),
            origins: BTreeMap::new(),
            offset: 0,
            incomplete: false,
            problems: Vec::new(),
            notices: Vec::new(),
            said: BTreeSet::new(),
            seen: BTreeSet::new(),
            policy: Policy::default(),
            check: ProposalCheck::Strict,
            connections: Vec::new(),
            remotes: Vec::new(),
            terms: Vec::new(),
            authentication_files: BTreeMap::new(),
            certificate_folder: None,
            xauth_servers: None,
            logins: Vec::new(),
            aggressive: None,
            peer_scripts: Vec::new(),
            static_entries: Vec::new(),
        }
    }

    /// The policies of setkey(8) scripts, whose spans start at file 0 of their own.
    pub(super) fn scripts(&mut self, scripts: &[Read]) {
        let mut services = Vec::new();
        for read in scripts {
            self.offset = self.files.len();
            self.files.push(read.file.clone());
            setkey::lower(self, &read.script, &mut services);
        }
        self.offset = 0;
        setkey::allow(self, services);
    }

    /// What peers may carry is the same for all.
    fn share_traffic(&mut self) {
        let general = self.policy.phase2.clone();
        // Clients with an address of ours come in tunnel mode.
        let general_tunnel = general.tunnel || self.policy.mode_config.is_some();
        self.policy.phase2.tunnel = general_tunnel;
        let general = self.policy.phase2.clone();
        for remote in &mut self.policy.remotes {
            remote.mode_config.clone_from(&self.policy.mode_config);
            let own = &mut remote.phase2;
            (own.transport, own.tunnel) = (general.transport, general.tunnel);
            own.services.clone_from(&general.services);
            own.networks.clone_from(&general.networks);
        }
    }

    /// Where racoon.conf is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where certificates are.
    pub(super) fn certificate_folder(&self) -> &Path {
        self.certificate_folder.as_deref().unwrap_or(&self.folder)
    }

    /// What is in the way, if anything is.
    pub(super) fn into_problems(self) -> Result<Vec<StaticEntry>, Problems> {
        match self.problems.is_empty() {
            true => Ok(self.static_entries),
            false => Err(Problems(self.problems)),
        }
    }

    /// Notes where the setting at `path` of ike-daemon.yaml(5) comes from.
    pub(super) fn from(&mut self, path: impl Into<String>, span: Span) {
        let place = self.place(span, String::new());
        let (file, line) = (place.file, place.line);
        self.origins.insert(path.into(), Place { file, line });
    }

    pub(super) fn problem(&mut self, span: Span, message: String) {
        let problem = self.place(span, message);
        // What several blocks inherit is said once.
        if self.seen.insert(problem.to_string()) {
            self.problems.push(problem);
        }
    }

    pub(super) fn notice(&mut self, span: Span, message: String) {
        let notice = self.place(span, message);
        if self.seen.insert(notice.to_string()) {
            self.notices.push(notice);
        }
    }

    fn place(&self, span: Span, message: String) -> Problem {
        let size = |number: u32| usize::try_from(number).unwrap_or(0);
        let file = usize::from(span.file.0) + self.offset;
        Problem {
            file: self.files.get(file).cloned().unwrap_or_default(),
            line: size(span.line),
            column: size(span.column),
            message,
        }
    }

    /// Does what the table says about a directive. Whether it is honoured.
    pub(super) fn visit(&mut self, section: &str, word: &str, span: Span) -> bool {
        let name = match section {
            "" => word.to_owned(),
            section => format!("{section} {word}"),
        };
        match directives::class(&name) {
            Some(Class::Honoured(_)) => true,
            Some(Class::NoOp(why)) => {
                // One notice for all that have the same reason.
                if self.said.insert(why) {
                    self.notice(span, format!("`{word}` has no effect: {why}"));
                }
                false
            }
            Some(Class::Refused { reason, instead }) => {
                self.problem(span, format!("`{word}`: {reason}; {instead}"));
                false
            }
            None => {
                self.problem(span, format!("`{word}` is not known; leave it out"));
                false
            }
        }
    }

    /// Does what the table says about a special value of an honoured directive.
    pub(super) fn value(&mut self, directive: &str, value: &str, span: Span, found: &str) {
        let word = word_of(directive);
        let subject = match found {
            "" => format!("`{word}`"),
            found => format!("`{word}`: {found}"),
        };
        match directives::value_class(directive, value) {
            Some(Class::NoOp(why) | Class::Honoured(why)) => {
                self.notice(span, format!("{subject}: {why}"));
            }
            Some(Class::Refused { reason, instead }) => {
                self.problem(span, format!("{subject}: {reason}; {instead}"));
            }
            None => self.problem(span, format!("{subject}: not served")),
        }
    }

    /// Like [`Lowering::value`] for what is missing, unless it may be among what was not parsed.
    pub(super) fn missing(&mut self, directive: &str, value: &str, span: Span) {
        if !self.incomplete {
            self.value(directive, value, span, "");
        }
    }

    /// Something out of a list that is not served: refused when nothing else is on the list.
    pub(super) fn unserved(&mut self, directive: &str, span: Span, found: &str, others: bool) {
        if others {
            let word = word_of(directive);
            self.notice(
                span,
                format!("`{word}`: {found} is not served and left out; the others count"),
            );
        } else {
            self.value(directive, "unserved", span, found);
        }
    }

    fn without_effect(&mut self, statement: &Statement) {
        let (section, items): (&str, Vec<(&str, Span)>) = match statement {
            Statement::Privsep(block) => ("privsep", names(block, Privsep::name)),
            Statement::Padding(block) => ("padding", names(block, Padding::name)),
            Statement::RadiusCfg(block) => ("radiuscfg", names(block, RadiusCfg::name)),
            Statement::LdapCfg(block) => ("ldapcfg", names(block, LdapCfg::name)),
            Statement::ModeCfg(block) => ("mode_cfg", names(block, ModeCfg::name)),
            _ => return,
        };
        for (name, span) in items {
            self.visit(section, name, span);
        }
    }
}

fn names<T>(
    block: &[racoon_conf::Spanned<T>],
    name: fn(&T) -> &'static str,
) -> Vec<(&'static str, Span)> {
    block
        .iter()
        .map(|item| (name(&item.value), item.span))
        .collect()
}

/// A directive without its section.
fn word_of(directive: &str) -> &str {
    directive
        .split_once(' ')
        .map_or(directive, |(_, word)| word)
}

fn log_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warning => Level::Warning,
        LogLevel::Notify | LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
        LogLevel::Debug2 => Level::Trace,
    }
}
