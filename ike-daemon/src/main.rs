//! ike-daemon: the command line and the start.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ike_daemon::config::{Config, DEFAULT_PATH};
use ike_daemon::driver::{self, Paths};
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::{log, runtime_dir};

/// The IKE daemon of tanuki: IKEv1 for L2TP/IPsec.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Configuration file: YAML, or racoon.conf.
    #[arg(short, visible_short_alias = 'f', long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Folder for sockets, pid file and state.
    #[arg(long, value_name = "DIR", default_value = runtime_dir::DEFAULT)]
    runtime_dir: PathBuf,
    /// Check the configuration and end.
    #[arg(short = 'n', long = "check")]
    check: bool,
    /// Stay in the foreground (always the case).
    #[arg(short = 'F', long)]
    foreground: bool,
    /// Log more; twice for even more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    debug: u8,
}

fn main() -> ExitCode {
    exit::report(driver::NAME, start(Arguments::parse()))
}

fn start(arguments: Arguments) -> Result<(), Failure> {
    let mut config = Config::load(&arguments.config).map_err(|problems| {
        Failure::new(
            exit::CONFIG,
            format_args!("configuration refused\n{problems}"),
        )
    })?;
    if arguments.check {
        for warning in &config.warnings {
            eprintln!("{warning} (warning)");
        }
        println!("{}: ok", arguments.config.display());
        return Ok(());
    }
    config.log.level = config.log.level.louder(arguments.debug);
    let (logger, _guard) = log::open(driver::NAME, &config.log)
        .map_err(|error| Failure::new(exit::CANT_CREATE, format!("log: {error}")))?;
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(threads)
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    let paths = Paths {
        config: arguments.config,
        runtime_dir: arguments.runtime_dir,
    };
    let outcome = runtime.block_on(driver::run(logger, config, paths));
    // A computation that nobody waits for any more must not delay the end.
    runtime.shutdown_background();
    outcome
}
