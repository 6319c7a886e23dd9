//! From the command line to the event loop: what every daemon does between `main` and its own work.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use slog::{Logger, error};

use crate::background::{self, Side, Starter};
use crate::config::Problems;
use crate::exit::{self, Failure};
use crate::log::{self, LogConfig};
use crate::runtime_dir;

/// The options that all daemons have.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Folder for sockets, pid file and state.
    #[arg(long, value_name = "DIR", default_value = runtime_dir::DEFAULT)]
    pub runtime_dir: PathBuf,
    /// Check the configuration and end.
    #[arg(short = 'n', long = "check")]
    pub check: bool,
    /// Go into the background once everything works; log to syslog unless told otherwise.
    #[arg(short, long, conflicts_with = "foreground")]
    pub background: bool,
    /// Stay in the foreground, which is the default.
    #[arg(short = 'F', long)]
    pub foreground: bool,
    /// Log more; twice for even more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub debug: u8,
}

/// Why a configuration cannot be used: it is not there, or wrong.
#[must_use]
pub fn refused(file: &Path, problems: &Problems) -> Failure {
    let code = match File::open(file) {
        Ok(_) => exit::CONFIG,
        Err(_) => exit::NO_INPUT,
    };
    Failure::new(code, problems)
}

impl Options {
    /// `path` as it is after the working folder has changed.
    ///
    /// # Errors
    /// When there is no working folder, or the path is empty.
    pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
        std::path::absolute(path)
            .map_err(|error| Failure::new(exit::NO_INPUT, format!("{}: {error}", path.display())))
    }
}

/// Opens the log and runs the daemon, in the background if so asked. `serve` calls
/// [`Starter::release`] when everything works.
///
/// Call it before any thread is started.
pub fn launch(
    program: &'static str,
    options: &Options,
    mut log: LogConfig,
    serve: impl FnOnce(&Logger, Starter) -> Result<(), Failure>,
) -> ExitCode {
    let starter = if options.background {
        match background::detach() {
            Ok(Side::Daemon(starter)) => starter,
            Ok(Side::Starter(code)) => return ExitCode::from(code),
            Err(failure) => return exit::report(program, Err(failure)),
        }
    } else {
        Starter::default()
    };
    log.level = log.level.louder(options.debug);
    exit::report(
        program,
        logged(program, &log, options.background, |logger| {
            serve(logger, starter)
        }),
    )
}

/// Runs `serve` with a log; why it failed is in the log too, for nobody may be at the terminal.
fn logged(
    program: &'static str,
    config: &LogConfig,
    background: bool,
    serve: impl FnOnce(&Logger) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let target = config.target(background)?;
    let (logger, _guard) = log::open(program, config, &target)
        .map_err(|error| Failure::new(exit::CANT_CREATE, format!("log: {error}")))?;
    let outcome = serve(&logger);
    if let (Err(failure), false) = (&outcome, target == log::Target::Stderr) {
        error!(logger, "{}", failure; "exit_code" => failure.code);
    }
    outcome
}
