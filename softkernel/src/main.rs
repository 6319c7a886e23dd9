//! `softkernel`: the user-space kernel as a process.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use slog::Logger;
use softkernel::config::{Config, Workers};
use tanuki_daemon::background::Starter;
use tanuki_daemon::config::Source;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::start::{self, Options};

/// Carries IPsec, L2TP and PPP in user space and answers PF_KEYv2 and netgraph on Unix sockets.
#[derive(Debug, Parser)]
#[command(name = "softkernel", version)]
struct Arguments {
    /// Configuration file; a missing file at the default place means defaults.
    #[arg(short, visible_short_alias = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Threads that carry packets, 1 to 64 or `auto`, instead of the configuration's.
    #[arg(long, value_name = "NUMBER")]
    workers: Option<Workers>,
    #[command(flatten)]
    common: Options,
}

impl Arguments {
    fn path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG))
    }
}

const PROGRAM: &str = "softkernel";
const DEFAULT_CONFIG: &str = "/usr/local/etc/tanuki/softkernel.yaml";

fn main() -> ExitCode {
    let arguments = exit::arguments::<Arguments>();
    match prepare(&arguments) {
        Ok(Some((config, runtime_dir))) => {
            let log = config.log.clone();
            start::launch(PROGRAM, &arguments.common, log, |log, starter| {
                run(&config, &runtime_dir, log, starter)
            })
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(failure) => exit::report(PROGRAM, Err(failure)),
    }
}

/// What to serve with; nothing when only a check was wanted.
fn prepare(arguments: &Arguments) -> Result<Option<(Config, PathBuf)>, Failure> {
    let mut config = load(arguments)?;
    if let Some(workers) = arguments.workers {
        config.workers = workers;
    }
    if arguments.common.check {
        println!("{}: ok", arguments.path().display());
        return Ok(None);
    }
    Ok(Some((
        config,
        Options::absolute(&arguments.common.runtime_dir)?,
    )))
}

#[cfg(any(target_os = "freebsd", target_os = "linux"))]
fn run(config: &Config, runtime: &Path, log: &Logger, starter: Starter) -> Result<(), Failure> {
    softkernel::run::run(config, runtime, log, starter)
}

#[cfg(not(any(target_os = "freebsd", target_os = "linux")))]
fn run(_: &Config, _: &Path, _: &Logger, _: Starter) -> Result<(), Failure> {
    let message = "its devices are those of FreeBSD and Linux";
    Err(Failure::new(exit::UNAVAILABLE, message))
}

fn load(arguments: &Arguments) -> Result<Config, Failure> {
    let path = arguments.path();
    if arguments.config.is_none() && !path.exists() {
        return Ok(Config::default());
    }
    Source::read(path)
        .and_then(|source| Config::load(&source))
        .map_err(|problems| start::refused(path, &problems))
}
