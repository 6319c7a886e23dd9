//! ikectl: asks and orders the IKE daemon.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ike_daemon::control::protocol::{
    Done, DumpAnswer, IpsecAnswer, PoliciesAnswer, Request, Stats,
};
use ike_daemon::control::tables;
use ike_daemon::driver;
use ike_daemon::racoonctl::{client, command_line, own_socket};
use ike_proto::view::IkeSaView;
use serde::Serialize;
use tanuki_daemon::control::{ControlClient, ControlError};
use tanuki_daemon::exit::{self, Failure};
use tanuki_daemon::runtime_dir;

/// Shows and directs the IKE daemon.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "racoonctl's commands are understood as well, such as `ikectl -ll show-sa isakmp`; see ikectl(8)."
)]
struct Arguments {
    /// Control socket of the daemon [default: ike-daemon/control.sock in the runtime folder].
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Runtime folder of the daemon.
    #[arg(long, global = true, value_name = "DIR", default_value = runtime_dir::DEFAULT)]
    runtime_dir: PathBuf,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show ISAKMP SAs, IPsec SAs, policies or counters.
    #[command(subcommand)]
    Show(Show),
    /// Start a connection of the configuration and wait until it is up.
    Connect {
        /// Its name.
        name: String,
        /// Do not wait.
        #[arg(long)]
        no_wait: bool,
    },
    /// Delete SAs, telling the peer.
    #[command(subcommand)]
    Delete(Delete),
    /// Renew SAs now.
    #[command(subcommand)]
    Rekey(Rekey),
    /// Delete everything, telling every peer.
    Flush,
    /// Read the configuration again; a broken file changes nothing.
    Reload,
    /// Print the whole state.
    Dump,
}

#[derive(Debug, Subcommand)]
enum Show {
    /// ISAKMP SAs (phase 1).
    Ike,
    /// IPsec SAs of the kernel, as setkey -D prints them: with their keys.
    Ipsec {
        /// Pairs with their state, one a line, without keys.
        #[arg(long)]
        pairs: bool,
    },
    /// Policies of the kernel, as setkey -DP prints them.
    Policies,
    /// Counters.
    Stats,
    /// Counters of softkernel: what it carried, and what it dropped for which reason.
    Kernel,
}

#[derive(Debug, Subcommand)]
enum Delete {
    /// An ISAKMP SA by its number.
    Ike {
        /// From `show ike`.
        id: u64,
        /// And everything else of that client.
        #[arg(long)]
        client: bool,
    },
    /// A pair of IPsec SAs by its number.
    Ipsec {
        /// From `show ipsec --pairs`.
        id: u64,
    },
    /// Everything of the clients at an address.
    Peer {
        /// The address.
        address: IpAddr,
    },
}

#[derive(Debug, Subcommand)]
enum Rekey {
    /// An ISAKMP SA by its number.
    Ike {
        /// From `show ike`.
        id: u64,
    },
    /// A pair of IPsec SAs by its number.
    Ipsec {
        /// From `show ipsec --pairs`.
        id: u64,
    },
}

/// Under this name only racoonctl's commands are understood.
const RACOONCTL: &str = "racoonctl";
/// The user-space kernel's folder in the runtime folder.
const SOFTKERNEL: &str = "softkernel";

fn main() -> ExitCode {
    let mut words = std::env::args();
    let called = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    if Path::new(&called).file_name() == Some(OsStr::new(RACOONCTL)) {
        let socket = own_socket(Path::new(runtime_dir::DEFAULT));
        return client::run(RACOONCTL, &words, &socket);
    }
    if let Some((runtime_dir, words)) = racoonctl_words(&words) {
        return client::run("ikectl", &words, &own_socket(&runtime_dir));
    }
    exit::report("ikectl", run(exit::arguments::<Arguments>()))
}

/// The runtime folder, and the other words when the first that is no option is one of racoonctl's
/// commands.
fn racoonctl_words(words: &[String]) -> Option<(PathBuf, Vec<String>)> {
    let mut folder = PathBuf::from(runtime_dir::DEFAULT);
    let mut left = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(value) = word.strip_prefix("--runtime-dir") {
            folder = match value.strip_prefix('=') {
                Some(value) => value.into(),
                None => rest.next()?.into(),
            };
            continue;
        }
        left.push(word.clone());
        let is_short = word.starts_with('-') && !word.starts_with("--");
        let takes_value = is_short && word.ends_with('s');
        if takes_value {
            left.extend(rest.next().cloned());
        } else if !word.starts_with('-') {
            left.extend(rest.cloned());
            return command_line::is_command(word).then_some((folder, left));
        }
    }
    None
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::OS, error))?;
    let text = runtime.block_on(ask(arguments))?;
    print!("{text}");
    Ok(())
}

async fn ask(arguments: Arguments) -> Result<String, Failure> {
    let daemon = match arguments.command {
        Command::Show(Show::Kernel) => SOFTKERNEL,
        _ => driver::NAME,
    };
    let path = arguments
        .socket
        .unwrap_or_else(|| runtime_dir::control_socket(&arguments.runtime_dir, daemon));
    let client = &mut ControlClient::connect(&path).await.map_err(failure)?;
    let json = arguments.json;
    match arguments.command {
        Command::Show(Show::Ike) => {
            let sas: Vec<IkeSaView> = call(client, &Request::ShowIke).await?;
            if json {
                to_json(&sas)
            } else {
                Ok(tables::ike(&sas))
            }
        }
        Command::Show(Show::Ipsec { pairs }) => {
            let mut answer: IpsecAnswer = call(client, &Request::ShowIpsec).await?;
            if pairs && !json {
                return Ok(tables::ipsec(&answer.pairs));
            }
            if json {
                // The text has keys in it; programs read the fields.
                answer.text.clear();
                return to_json(&serde_json::json!({
                    "kernel": answer.kernel, "pairs": answer.pairs,
                }));
            }
            Ok(answer.text)
        }
        Command::Show(Show::Policies) => {
            let answer: PoliciesAnswer = call(client, &Request::ShowPolicies).await?;
            if json {
                to_json(&answer.policies)
            } else {
                Ok(answer.text)
            }
        }
        Command::Show(Show::Stats) => {
            let stats: Stats = call(client, &Request::ShowStats).await?;
            if json {
                to_json(&stats)
            } else {
                Ok(tables::stats(&stats))
            }
        }
        Command::Show(Show::Kernel) => {
            let request = serde_json::json!({ "command": "stats" });
            let counters: serde_json::Value =
                client.call(&request, |_| {}).await.map_err(failure)?;
            if json {
                to_json(&counters)
            } else {
                Ok(tables::kernel(&counters))
            }
        }
        Command::Dump => {
            let dump: DumpAnswer = call(client, &Request::Dump).await?;
            if json {
                return to_json(&dump);
            }
            let parts = [
                tables::ike(&dump.ike),
                tables::ipsec(&dump.ipsec),
                tables::stats(&dump.stats),
            ];
            Ok(parts.join("\n"))
        }
        command => {
            let done: Done = call(client, &order(command)).await?;
            if json {
                to_json(&done)
            } else {
                Ok(format!("{}\n", done.message))
            }
        }
    }
}

/// The request of a command whose answer is one sentence.
fn order(command: Command) -> Request {
    match command {
        Command::Connect { name, no_wait } => Request::Connect {
            name,
            wait: !no_wait,
        },
        Command::Delete(Delete::Ike { id, client }) => Request::DeleteIke { id, client },
        Command::Delete(Delete::Ipsec { id }) => Request::DeleteIpsec { id },
        Command::Delete(Delete::Peer { address }) => Request::DeletePeer { peer: address },
        Command::Rekey(Rekey::Ike { id }) => Request::RekeyIke { id },
        Command::Rekey(Rekey::Ipsec { id }) => Request::RekeyIpsec { id },
        Command::Flush => Request::Flush,
        Command::Reload => Request::Reload,
        Command::Dump | Command::Show(_) => Request::Dump,
    }
}

async fn call<A: serde::de::DeserializeOwned>(
    client: &mut ControlClient,
    request: &Request,
) -> Result<A, Failure> {
    client.call(request, |_| {}).await.map_err(failure)
}

fn to_json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(exit::SOFTWARE, error))
}

fn failure(error: ControlError) -> Failure {
    let code = match error {
        ControlError::Unreachable { .. } => exit::UNAVAILABLE,
        ControlError::Refused(_) => exit::DATA,
        ControlError::Broken(_) => exit::IO,
    };
    Failure::new(code, error)
}
