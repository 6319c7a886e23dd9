//! ike-daemon: the command line and the start.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ike_daemon::config::{Config, DEFAULT_PATH};
use ike_daemon::driver::{self, Paths};
use slog::Logger;
use tanuki_daemon::background::Starter;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::start::{self, Options};

/// The IKE daemon of tanuki: IKEv1 for L2TP/IPsec.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Configuration file: YAML, or racoon.conf.
    #[arg(short, visible_short_alias = 'f', long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(flatten)]
    common: Options,
}

fn main() -> ExitCode {
    let arguments = exit::arguments::<Arguments>();
    match prepare(&arguments) {
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

/// What to serve with; nothing when only a check was wanted.
fn prepare(arguments: &Arguments) -> Result<Option<(Config, Paths)>, Failure> {
    let config = Config::load(&arguments.config)
        .map_err(|problems| start::refused(&arguments.config, &problems))?;
    if arguments.common.check {
        for warning in &config.warnings {
            eprintln!("{warning} (warning)");
        }
        println!("{}: ok", arguments.config.display());
        return Ok(None);
    }
    let paths = Paths {
        config: Options::absolute(&arguments.config)?,
        runtime_dir: Options::absolute(&arguments.common.runtime_dir)?,
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
