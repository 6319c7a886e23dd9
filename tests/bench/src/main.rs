//! `tanuki-bench`: what limits a VPN server on this machine, measured without one, and the load for
//! packets too small for TCP. `scripts/bench` runs it beside the servers.

mod cpu;
mod diffie_hellman;
mod flood;
mod memory;
mod relay;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures limits and makes load.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// ESP sealed and opened in memory, every suite, one thread; JSON: bytes per CPU second.
    Memory {
        /// Payload bytes of a packet.
        #[arg(long, default_value_t = 1400)]
        size: usize,
        /// Seconds for each suite and direction.
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
    },
    /// Carries the packets of a TUN device in UDP, in clear text: softkernel's devices alone. Until
    /// killed.
    Relay {
        /// Name of the TUN device, which is made.
        #[arg(long)]
        device: String,
        /// Its MTU.
        #[arg(long, default_value_t = 1400)]
        mtu: usize,
        /// Our UDP address.
        #[arg(long)]
        local: SocketAddr,
        /// The other end's.
        #[arg(long)]
        peer: SocketAddr,
    },
    /// Diffie-Hellman, every group, one thread; JSON: milliseconds of CPU time.
    DiffieHellman {
        /// Seconds for each group.
        #[arg(long, default_value_t = 0.5)]
        seconds: f64,
    },
    /// Sends UDP datagrams as fast as the system takes them; JSON: how many.
    Flood {
        /// Where to.
        #[arg(long)]
        to: SocketAddr,
        /// Payload bytes of a datagram.
        #[arg(long, default_value_t = 64)]
        size: usize,
        /// For how long.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// Counts UDP datagrams until none has come for a second; JSON: how many, in how many seconds.
    Sink {
        /// Where.
        #[arg(long)]
        at: SocketAddr,
    },
}

fn main() -> io::Result<()> {
    let said = match Options::parse().job {
        Job::Memory { size, seconds } => memory::run(size, Duration::from_secs_f64(seconds)),
        Job::Relay {
            device,
            mtu,
            local,
            peer,
        } => return relay::run(&device, mtu, local, peer),
        Job::DiffieHellman { seconds } => {
            Ok(diffie_hellman::run(Duration::from_secs_f64(seconds))?)
        }
        Job::Flood { to, size, seconds } => {
            serde_json::to_value(flood::flood(to, size, Duration::from_secs_f64(seconds))?)
        }
        Job::Sink { at } => serde_json::to_value(flood::sink(at)?),
    };
    println!("{}", said.map_err(io::Error::other)?);
    Ok(())
}
