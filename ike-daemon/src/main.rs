//! ike-daemon: the command line and the start.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use ike_daemon::config::write::{self, Secrets};
use ike_daemon::config::{Config, DEFAULT_PATH, Family, Overrides};
use ike_daemon::driver::{self, Paths};
use slog::Logger;
use tanuki_daemon::background::Starter;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::log::Target;
use tanuki_daemon::start::{self, Options};

/// Under this name the daemon starts as racoon does: into the background unless told otherwise.
const RACOON: &str = "racoon";
/// Where FreeBSD's port of racoon has its configuration.
const RACOON_PATH: &str = "/usr/local/etc/racoon/racoon.conf";
/// What `-V` lists, in racoon's words: scripts look for them.
const FEATURES: &[&str] = &[
    "IPv6 support",
    "Dead Peer Detection",
    "IKE fragmentation",
    "Hybrid authentication",
    "NAT Traversal",
    "Admin port",
    "Monotonic clock",
];

/// The IKE daemon of tanuki: IKEv1 for L2TP/IPsec. Takes racoon's options as well.
#[derive(Debug, Parser)]
#[command(about, disable_version_flag = true)]
struct Arguments {
    /// Configuration file: YAML, or racoon.conf
    /// [default: /usr/local/etc/tanuki/ike-daemon.yaml; under the name racoon, racoon's].
    #[arg(short, visible_short_alias = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// setkey(8) script whose policies and SAs are put into the kernel, and taken out at the end
    /// (repeatable).
    #[arg(long, value_name = "FILE")]
    setkey: Vec<PathBuf>,
    #[command(flatten)]
    common: Options,
    /// Print the configuration as it was understood, without keys, in ike-daemon.yaml's words.
    #[arg(short = 'C', long)]
    dump: bool,
    /// Log to this file.
    #[arg(short, long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Port of IKE.
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Port of NAT traversal.
    #[arg(short = 'P', long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    natt_port: Option<u16>,
    /// Listen on IPv4 only, unless the configuration names addresses.
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Listen on IPv6 only, unless the configuration names addresses.
    #[arg(short = '6')]
    ipv6: bool,
    /// No effect: what a restart needs is always kept.
    #[arg(short = 'B')]
    backup: bool,
    /// No effect: log records name what they are about.
    #[arg(short = 'L')]
    location: bool,
    /// No effect: see -d.
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,
    /// No effect: peers on one host need nothing special.
    #[arg(short = 'Z')]
    local_test: bool,
    /// Print the version and what is served, and end.
    #[arg(short = 'V', long)]
    version: bool,
}

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let as_racoon = Path::new(&called).file_name() == Some(OsStr::new(RACOON));
    let mut arguments = exit::arguments::<Arguments>();
    if as_racoon && !arguments.common.foreground {
        arguments.common.background = true;
    }
    if arguments.version {
        print_version();
        return ExitCode::SUCCESS;
    }
    match prepare(&arguments, as_racoon) {
        Ok(Some((config, paths))) => {
            let log = config.log.clone();
            start::launch(driver::NAME, &arguments.common, log, |log, starter| {
                serve(log, starter, config, paths)
            })
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(failure) => exit::report(driver::NAME, Err(failure)),
    }
}

fn print_version() {
    println!("ike-daemon {} (tanuki)\n", env!("CARGO_PKG_VERSION"));
    println!("Compiled with:");
    for feature in FEATURES {
        println!("- {feature}");
    }
}

/// What to serve with; nothing when only a check was wanted.
fn prepare(arguments: &Arguments, as_racoon: bool) -> Result<Option<(Config, Paths)>, Failure> {
    let usual = if as_racoon { RACOON_PATH } else { DEFAULT_PATH };
    let path = arguments.config.as_deref().unwrap_or(Path::new(usual));
    let absolute = |path: &PathBuf| Options::absolute(path);
    let overrides = Overrides {
        policies: arguments
            .setkey
            .iter()
            .map(absolute)
            .collect::<Result<_, _>>()?,
        log: arguments.log.clone().map(Target::File),
        port: arguments.port,
        natt_port: arguments.natt_port,
        family: match (arguments.ipv4, arguments.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        },
    };
    let config = overrides
        .load(path)
        .map_err(|problems| start::refused(path, &problems))?;
    if arguments.dump {
        print!("{}", write::yaml(&config, Secrets::Hidden, &|_| None));
    }
    if arguments.common.check {
        for warning in &config.warnings {
            eprintln!("{warning} (warning)");
        }
        println!("{}: ok", path.display());
        return Ok(None);
    }
    let paths = Paths {
        config: Options::absolute(path)?,
        overrides,
        runtime_dir: Options::absolute(&arguments.common.runtime_dir)?,
        system_pfkey: None,
    };
    Ok(Some((config, paths)))
}

fn serve(log: &Logger, starter: Starter, config: Config, paths: Paths) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(threads)
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    let outcome = runtime.block_on(driver::run(log.clone(), config, paths, starter));
    // A computation that nobody waits for any more must not delay the end.
    runtime.shutdown_background();
    outcome
}
