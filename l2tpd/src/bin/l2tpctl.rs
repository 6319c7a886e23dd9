//! `l2tpctl`: shows and changes what a running `l2tpd` does.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use l2tpd::control::protocol::{Answer, Request};
use l2tpd::control::tables;
use tanuki_daemon::control::{ControlClient, ControlError};
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::runtime_dir;

/// Shows and changes what a running l2tpd does.
#[derive(Debug, Parser)]
#[command(name = "l2tpctl", version, about)]
struct Options {
    /// The daemon's control socket [default: l2tpd/control.sock in the runtime folder].
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// The daemon's runtime folder.
    #[arg(long, value_name = "DIR", default_value = runtime_dir::DEFAULT, global = true)]
    runtime_dir: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what there is.
    #[command(subcommand)]
    Show(Show),
    /// End sessions, tunnels or connections.
    #[command(subcommand)]
    Disconnect(Disconnect),
    /// Bring a connection of the configuration up.
    Connect {
        /// Its name.
        name: String,
    },
    /// Read the configuration and the users file again.
    Reload,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Show {
    /// L2TP tunnels.
    Tunnels,
    /// PPP sessions with their traffic.
    Sessions,
    /// Users and where they are.
    Users,
    /// Address ranges and their use.
    Pools,
    /// All counters.
    Stats,
    /// Connections this host makes.
    Connections,
}

#[derive(Debug, Subcommand)]
enum Disconnect {
    /// One session, named as `show sessions` does.
    Session {
        /// TUNNEL/SESSION.
        #[arg(value_parser = session_name)]
        name: (u16, u16),
    },
    /// One tunnel and its sessions.
    Tunnel {
        /// Its number in `show tunnels`.
        id: u16,
    },
    /// Every session of a user.
    User {
        /// The name in the users file.
        name: String,
    },
    /// A connection this host makes.
    Connection {
        /// Its name.
        name: String,
    },
}

fn session_name(text: &str) -> Result<(u16, u16), String> {
    text.split_once('/')
        .and_then(|(tunnel, session)| Some((tunnel.parse().ok()?, session.parse().ok()?)))
        .ok_or_else(|| "expected TUNNEL/SESSION such as 3/9".to_owned())
}

impl Command {
    fn request(self) -> Request {
        match self {
            Self::Show(Show::Tunnels) => Request::ShowTunnels,
            Self::Show(Show::Sessions) => Request::ShowSessions,
            Self::Show(Show::Users) => Request::ShowUsers,
            Self::Show(Show::Pools) => Request::ShowPools,
            Self::Show(Show::Stats) => Request::ShowStats,
            Self::Show(Show::Connections) => Request::ShowConnections,
            Self::Disconnect(Disconnect::Session {
                name: (tunnel, session),
            }) => Request::DisconnectSession { tunnel, session },
            Self::Disconnect(Disconnect::Tunnel { id }) => Request::DisconnectTunnel { tunnel: id },
            Self::Disconnect(Disconnect::User { name }) => Request::DisconnectUser { user: name },
            Self::Disconnect(Disconnect::Connection { name }) => Request::Disconnect { name },
            Self::Connect { name } => Request::Connect { name },
            Self::Reload => Request::Reload,
        }
    }
}

fn main() -> ExitCode {
    exit::report("l2tpctl", run(exit::arguments::<Options>()))
}

fn run(options: Options) -> Result<(), Failure> {
    let socket = options
        .socket
        .unwrap_or_else(|| runtime_dir::control_socket(&options.runtime_dir, "l2tpd"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    let request = options.command.request();
    let answer: Answer = runtime
        .block_on(async {
            ControlClient::connect(&socket)
                .await?
                .call(&request, |_| {})
                .await
        })
        .map_err(|error| {
            let code = match error {
                ControlError::Unreachable { .. } => exit::UNAVAILABLE,
                ControlError::Refused(_) => exit::DATA,
                ControlError::Broken(_) => exit::IO,
            };
            Failure::new(code, error)
        })?;
    if options.json {
        println!(
            "{}",
            json(&answer).map_err(|error| Failure::new(exit::SOFTWARE, error))?
        );
    } else {
        print!("{}", tables::text(&answer));
    }
    Ok(())
}

/// The answer itself, without saying what kind it is: who asked knows.
fn json(answer: &Answer) -> serde_json::Result<String> {
    let value = match answer {
        Answer::Tunnels(tunnels) => serde_json::to_value(tunnels)?,
        Answer::Sessions(sessions) => serde_json::to_value(sessions)?,
        Answer::Users(users) => serde_json::to_value(users)?,
        Answer::Pools(pools) => serde_json::to_value(pools)?,
        Answer::Stats(stats) => serde_json::to_value(stats)?,
        Answer::Connections(connections) => serde_json::to_value(connections)?,
        Answer::Done(words) | Answer::Refused(words) => serde_json::to_value(words)?,
    };
    serde_json::to_string_pretty(&value)
}
