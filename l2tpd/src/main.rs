//! `l2tpd`: command line, checks, folders, and off into the event loop.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use l2tpd::config::Config;
use l2tpd::driver::{self, Setup};
use l2tpd::kernel;
use l2tpd::users::Users;
use slog::Logger;
use tanuki_daemon::background::Starter;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::pidfile::PidFile;
use tanuki_daemon::runtime_dir;
use tanuki_daemon::start::{self, Options};

const NAME: &str = "l2tpd";

/// The L2TP and PPP daemon of tanuki.
#[derive(Debug, Parser)]
#[command(name = "l2tpd", version, about)]
struct Arguments {
    /// The configuration file.
    #[arg(short, visible_short_alias = 'f', long, value_name = "FILE",
        default_value = driver::CONFIG_FILE)]
    config: PathBuf,
    #[command(flatten)]
    common: Options,
}

fn main() -> ExitCode {
    let arguments = exit::arguments::<Arguments>();
    match prepare(&arguments) {
        Ok(Some(start)) => {
            let log = start.config.log.clone();
            start::launch(NAME, &arguments.common, log, |log, starter| {
                serve(log, starter, start)
            })
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(failure) => exit::report(NAME, Err(failure)),
    }
}

/// What to serve with.
struct Start {
    config_file: PathBuf,
    config: Config,
    users: Users,
    runtime_dir: PathBuf,
}

/// Nothing when only a check was wanted.
fn prepare(arguments: &Arguments) -> Result<Option<Start>, Failure> {
    // The users file is found beside it, from whichever folder.
    let config_file = Options::absolute(&arguments.config)?;
    let config =
        Config::read(&config_file).map_err(|problems| start::refused(&config_file, &problems))?;
    let users =
        driver::read_users(&config).map_err(|problems| start::refused(&config.users, &problems))?;
    if arguments.common.check {
        println!("{}: ok", arguments.config.display());
        return Ok(None);
    }
    Ok(Some(Start {
        config_file,
        config,
        users,
        runtime_dir: Options::absolute(&arguments.common.runtime_dir)?,
    }))
}

fn serve(log: &Logger, starter: Starter, start: Start) -> Result<(), Failure> {
    let Start {
        config_file,
        config,
        users,
        runtime_dir,
    } = start;
    let folder = runtime_dir::prepare(&runtime_dir, NAME)?;
    let _pid = PidFile::create(&folder.join("l2tpd.pid"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    runtime.block_on(async {
        let kernels = kernel::choose(config.kernel, &runtime_dir).await?;
        let setup = Setup {
            config_file,
            config,
            folder,
            kernels,
        };
        driver::run(setup, users, log.clone(), starter).await
    })
}
