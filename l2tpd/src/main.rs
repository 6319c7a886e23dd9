//! `l2tpd`: command line (mpd5's too), checks, folders, and off into the event loop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{ArgAction, CommandFactory, Parser};
use l2tpd::config::{ConfigFile, Loaded};
use l2tpd::driver::{self, Setup};
use l2tpd::kernel;
use l2tpd::users::Users;
use slog::Logger;
use tanuki_daemon::background::Starter;
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::pidfile::{self, PidFile};
use tanuki_daemon::runtime_dir;
use tanuki_daemon::start::{self, Options};

const NAME: &str = "l2tpd";
/// Where mpd5 has its files.
const MPD_FOLDER: &str = "/usr/local/etc/mpd5";
const MPD_FILE: &str = "mpd.conf";
/// For a daemon that `-k` ends; it takes three seconds at most by itself.
const FAREWELL: Duration = Duration::from_secs(10);

/// The L2TP and PPP daemon of tanuki.
#[derive(Debug, Parser)]
#[command(name = "l2tpd", version, about, disable_version_flag = true)]
struct Arguments {
    /// The configuration: l2tpd.yaml or an mpd.conf.
    #[arg(short, long, value_name = "FILE", default_value = driver::CONFIG_FILE)]
    config: PathBuf,
    /// An mpd.conf by its name in the folder of -d.
    #[arg(short = 'f', value_name = "NAME", conflicts_with = "config")]
    mpd_file: Option<PathBuf>,
    /// The folder of mpd.conf and mpd.secret, by default /usr/local/etc/mpd5.
    #[arg(short = 'd', value_name = "DIR", conflicts_with = "config")]
    mpd_folder: Option<PathBuf>,
    /// The label of mpd.conf that runs after `startup`; `default` otherwise.
    #[arg(value_name = "LABEL")]
    label: Option<String>,
    /// Leave out what mpd.conf says about PPTP, PPPoE, modem and other links than L2TP.
    #[arg(long, visible_alias = "ignore-foreign-links")]
    skip_unsupported: bool,
    /// End a running l2tpd first.
    #[arg(short)]
    kill: bool,
    /// Write the process id to this file too.
    #[arg(short, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// What syslog calls the daemon.
    #[arg(short, value_name = "IDENT")]
    syslog_ident: Option<String>,
    /// mpd5's; refused: the daemon does not end with a connection.
    #[arg(short, hide = true)]
    one_shot: bool,
    /// mpd5's; refused: PAM is not asked.
    #[arg(short = 'm', value_name = "SERVICE", hide = true)]
    pam_service: Option<String>,
    /// Print the version.
    #[arg(short = 'v', visible_short_alias = 'V', long, action = ArgAction::Version)]
    version: (),
    #[command(flatten)]
    common: Options,
}

impl Arguments {
    /// `-d` is mpd5's, so here it is `-D` that logs more.
    fn from_command_line() -> Self {
        exit::arguments_of(Self::command().mut_arg("debug", |debug| debug.short('D')))
    }

    fn config_file(&self) -> Result<ConfigFile, Failure> {
        let of_mpd = self.mpd_file.is_some() || self.mpd_folder.is_some();
        let path = if of_mpd {
            let folder = self.mpd_folder.as_deref().unwrap_or(Path::new(MPD_FOLDER));
            folder.join(self.mpd_file.as_deref().unwrap_or(Path::new(MPD_FILE)))
        } else {
            self.config.clone()
        };
        Ok(ConfigFile {
            // The users file is found beside it, from whichever folder.
            path: Options::absolute(&path)?,
            label: self.label.clone(),
            skip_unsupported: self.skip_unsupported,
        })
    }

    fn refused(&self) -> Result<(), Failure> {
        if self.one_shot {
            let words = "-o: the daemon does not end with a connection; take it away";
            return Err(Failure::new(exit::USAGE, words));
        }
        if self.pam_service.is_some() {
            let words = "-m: PAM is not asked (see auth in l2tpd-mpd.conf(5)); take it away";
            return Err(Failure::new(exit::USAGE, words));
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    match prepare(&arguments) {
        Ok(Some(start)) => {
            let log = start.loaded.config.log.clone();
            // Lives as long as the process.
            let name = match &arguments.syslog_ident {
                Some(ident) => Box::leak(ident.clone().into_boxed_str()),
                None => NAME,
            };
            start::launch(name, &arguments.common, log, |log, starter| {
                serve(log, starter, start)
            })
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(failure) => exit::report(NAME, Err(failure)),
    }
}

/// What to serve with.
struct Start {
    config_file: ConfigFile,
    loaded: Loaded,
    users: Users,
    runtime_dir: PathBuf,
    pid_file: Option<PathBuf>,
}

/// Nothing when only a check was wanted.
fn prepare(arguments: &Arguments) -> Result<Option<Start>, Failure> {
    arguments.refused()?;
    let config_file = arguments.config_file()?;
    let loaded = config_file
        .read()
        .map_err(|problems| start::refused(&config_file.path, &problems))?;
    let users = Users::read(&loaded.config.users).map_err(|problems| {
        let file = loaded.config.users.path();
        start::refused(file.unwrap_or(&config_file.path), &problems)
    })?;
    if arguments.common.check {
        for notice in &loaded.notices {
            println!("{notice}");
        }
        println!("{}: ok", config_file.path.display());
        return Ok(None);
    }
    let runtime_dir = Options::absolute(&arguments.common.runtime_dir)?;
    if arguments.kill {
        end_running(&runtime_dir)?;
    }
    Ok(Some(Start {
        config_file,
        loaded,
        users,
        runtime_dir,
        pid_file: arguments
            .pid_file
            .as_deref()
            .map(Options::absolute)
            .transpose()?,
    }))
}

/// Ends the daemon of that folder, if one runs, and waits until it has.
fn end_running(runtime_dir: &Path) -> Result<(), Failure> {
    let path = runtime_dir.join(NAME).join("l2tpd.pid");
    let until = Instant::now() + FAREWELL;
    let mut told = false;
    while let Some(pid) = pidfile::holder(&path) {
        if !std::mem::replace(&mut told, true) {
            pidfile::terminate(pid)
                .map_err(|error| Failure::new(exit::OS, format!("process {pid}: {error}")))?;
        }
        if Instant::now() > until {
            let words = format!("process {pid} does not end");
            return Err(Failure::new(exit::UNAVAILABLE, words));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn serve(log: &Logger, starter: Starter, start: Start) -> Result<(), Failure> {
    let Start {
        config_file,
        loaded,
        users,
        runtime_dir,
        pid_file,
    } = start;
    let Loaded { config, notices } = loaded;
    let folder = runtime_dir::prepare(&runtime_dir, NAME)?;
    let _pid = PidFile::create(&folder.join("l2tpd.pid"))?;
    let _other_pid = pid_file.as_deref().map(PidFile::create).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    runtime.block_on(async {
        let kernels = kernel::choose(config.kernel, &runtime_dir).await?;
        let setup = Setup {
            config_file,
            config,
            notices,
            folder,
            kernels,
        };
        driver::run(setup, users, log.clone(), starter).await
    })
}
