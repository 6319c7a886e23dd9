//! `l2tpd`: command line, checks, folders, and off into the event loop.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use l2tpd::config::Config;
use l2tpd::driver::{self, Setup};
use l2tpd::kernel;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::pidfile::PidFile;
use tanuki_daemon::{log, runtime_dir};

/// The L2TP and PPP daemon of tanuki.
#[derive(Debug, Parser)]
#[command(name = "l2tpd", version, about)]
struct Options {
    /// The configuration file.
    #[arg(short, visible_short_alias = 'f', long, value_name = "FILE",
        default_value = driver::CONFIG_FILE)]
    config: PathBuf,
    /// The folder for sockets, pid file and state.
    #[arg(long, value_name = "DIR", default_value = runtime_dir::DEFAULT)]
    runtime_dir: PathBuf,
    /// Check the configuration and the users file only.
    #[arg(short = 'n', long = "check")]
    check: bool,
    /// Stay in the foreground, which is the default.
    #[arg(short = 'F', long)]
    foreground: bool,
    /// Log more; twice for everything.
    #[arg(short, long, action = clap::ArgAction::Count)]
    debug: u8,
}

fn main() -> ExitCode {
    exit::report("l2tpd", run(&Options::parse()))
}

fn run(options: &Options) -> Result<(), Failure> {
    let mut config =
        Config::read(&options.config).map_err(|problems| Failure::new(exit::CONFIG, problems))?;
    let users =
        driver::read_users(&config).map_err(|problems| Failure::new(exit::CONFIG, problems))?;
    if options.check {
        println!("{}: correct", options.config.display());
        return Ok(());
    }
    config.log.level = config.log.level.louder(options.debug);
    let folder = runtime_dir::prepare(&options.runtime_dir, "l2tpd").map_err(|error| {
        Failure::new(
            exit::CANT_CREATE,
            format!("{}: {error}", options.runtime_dir.display()),
        )
    })?;
    let _pid = PidFile::create(&folder.join("l2tpd.pid"))
        .map_err(|error| Failure::new(exit::UNAVAILABLE, error))?;
    let (log, _guard) = log::open("l2tpd", &config.log)
        .map_err(|error| Failure::new(exit::CANT_CREATE, format!("log: {error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    runtime
        .block_on(async {
            let kernel = kernel::choose(config.kernel, &options.runtime_dir);
            let config_file = options.config.clone();
            driver::run(
                Setup {
                    config_file,
                    config,
                    folder,
                    kernel,
                },
                users,
                log,
            )
            .await
        })
        .map_err(|error| Failure::new(exit::OS, error))
}
