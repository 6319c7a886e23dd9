//! `softkernel`: the user-space kernel as a process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Parser};
use softkernel::config::Config;
use tanuki_daemon::config::Source;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::{log, runtime_dir};

/// Carries IPsec, L2TP and PPP in user space and answers PF_KEYv2 and netgraph on Unix sockets.
#[derive(Debug, Parser)]
#[command(name = "softkernel", version)]
struct Arguments {
    /// Configuration file; a missing file at the default place means defaults.
    #[arg(short, visible_short_alias = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for sockets and the pid file.
    #[arg(long, value_name = "DIR", default_value = runtime_dir::DEFAULT)]
    runtime_dir: PathBuf,
    /// Check the configuration and exit.
    #[arg(short = 'n', long = "check")]
    check: bool,
    /// Stay in the foreground (always so).
    #[arg(short = 'F', long)]
    foreground: bool,
    /// Log more; twice for still more.
    #[arg(short = 'd', long = "debug", action = ArgAction::Count)]
    debug: u8,
}

const PROGRAM: &str = "softkernel";
const DEFAULT_CONFIG: &str = "/usr/local/etc/tanuki/softkernel.yaml";

fn main() -> ExitCode {
    exit::report(PROGRAM, start(&Arguments::parse()))
}

fn start(arguments: &Arguments) -> Result<(), Failure> {
    let mut config = load(arguments)?;
    if arguments.check {
        return Ok(());
    }
    config.log.level = config.log.level.louder(arguments.debug);
    let (logger, _guard) = log::open(PROGRAM, &config.log)
        .map_err(|error| Failure::new(exit::CANT_CREATE, format!("log: {error}")))?;
    run(&config, arguments, &logger)
}

#[cfg(target_os = "linux")]
fn run(config: &Config, arguments: &Arguments, log: &slog::Logger) -> Result<(), Failure> {
    softkernel::run::run(config, &arguments.runtime_dir, log)
}

#[cfg(not(target_os = "linux"))]
fn run(_: &Config, _: &Arguments, _: &slog::Logger) -> Result<(), Failure> {
    let message = "its devices are those of Linux; use `kernel: system` on this system";
    Err(Failure::new(exit::UNAVAILABLE, message))
}

fn load(arguments: &Arguments) -> Result<Config, Failure> {
    let path = match &arguments.config {
        Some(path) => path.clone(),
        None if !PathBuf::from(DEFAULT_CONFIG).exists() => return Ok(Config::default()),
        None => PathBuf::from(DEFAULT_CONFIG),
    };
    let source = Source::read(&path).map_err(|problems| Failure::new(exit::NO_INPUT, problems))?;
    Config::load(&source).map_err(|problems| Failure::new(exit::CONFIG, problems))
}
