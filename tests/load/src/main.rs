//! `tanuki-load`: thousands of L2TP/IPsec clients from one process, to see what a server stands.
//!
//! | file | idea |
//! |---|---|
//! | `options.rs` | the command line |
//! | `client.rs` | one client: IKE, L2TP and PPP put together, no I/O |
//! | `ike.rs`, `l2tp.rs` | its layers: the daemons' own cores from the other side |
//! | `echo.rs` | ping through the tunnel |
//! | `driver.rs` | a task for each client |
//! | `report.rs` | how many, how long, and why not |

mod client;
mod driver;
mod echo;
mod ike;
mod l2tp;
mod options;
mod report;

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use ike_crypto::Secret;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, rlim_t, setrlimit};
use nix::sys::time::TimeValLike;
use ppp_proto::{AuthMethod, Credentials};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, UnwrapErr};
use softkernel::buffer::Buffer;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::LocalSet;

use driver::{Command, Note, Shared};
use options::Options;
use report::Report;

/// Besides the clients' sockets.
const OTHER_FILES: rlim_t = 64;
/// Longest IP packet through a tunnel, and what stands in front of it.
const PACKET: usize = 2048;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(objection) = options.objection() {
        eprintln!("tanuki-load: {objection}");
        return ExitCode::from(2);
    }
    match start(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tanuki-load: {error}");
            ExitCode::from(2)
        }
    }
}

fn start(options: &Options) -> io::Result<bool> {
    allow_files(rlim_t::from(options.clients) + OTHER_FILES)?;
    let threads = std::thread::available_parallelism()?.get();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(threads)
        .build()?;
    LocalSet::new().block_on(&runtime, run(options))
}

/// A socket is an open file.
fn allow_files(wanted: rlim_t) -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).map_err(|_| {
        io::Error::other(format!(
            "only {soft} files may be open, {wanted} are needed: ulimit -n {wanted}, or start as root"
        ))
    })
}

/// True when everybody connected and nobody was lost.
async fn run(options: &Options) -> io::Result<bool> {
    let (notes, mut from_clients) = mpsc::unbounded_channel();
    let (commands, _) = watch::channel(Command::Stay(None));
    let mut seed = [0; 32];
    UnwrapErr(getrandom::SysRng).fill_bytes(&mut seed);
    let shared = Rc::new(Shared {
        terms: ike::Terms {
            server: options.target(),
            psk: Secret::from(options.psk.as_bytes()),
            group: options.group,
            suites: ike::usual_suites(),
            ike_only: options.ike_only,
        },
        timeout: options.timeout,
        echo_size: usize::try_from(options.size).unwrap_or_default(),
        rng: RefCell::new(ChaCha20Rng::from_seed(seed)),
        packet: RefCell::new(Buffer::new(PACKET)),
        notes,
    });
    let begun = Instant::now();
    let slots = options.concurrency.map_or(Semaphore::MAX_PERMITS, |many| {
        usize::try_from(many).unwrap_or(Semaphore::MAX_PERMITS)
    });
    let slots = Arc::new(Semaphore::new(slots));
    for number in 0..options.clients {
        let at = options.rate.map(|rate| {
            let after = Duration::from_secs_f64(f64::from(number) / rate);
            tokio::time::Instant::from(begun + after)
        });
        let (shared, slots) = (Rc::clone(&shared), Arc::clone(&slots));
        let (own, commands) = (options.address(number), commands.subscribe());
        let credentials = credentials(options, number);
        tokio::task::spawn_local(async move {
            if let Some(at) = at {
                tokio::time::sleep_until(at).await;
            }
            // The semaphore is never closed.
            let permit = slots.acquire_owned().await;
            driver::run(shared, own, credentials, commands, permit).await;
        });
    }
    drop(shared);

    let mut report = Report {
        clients: options.clients,
        ..Report::default()
    };
    let mut settled = 0;
    while settled < options.clients {
        let Some(note) = from_clients.recv().await else {
            break;
        };
        settled += u32::from(matches!(note, Note::Online(_) | Note::Failed(_)));
        take(&mut report, note);
    }
    report.elapsed = begun.elapsed();
    if options.json {
        print(options, &report)?;
    }
    if !options.hold.is_zero() {
        let online = f64::from(u32::try_from(report.times.len()).unwrap_or(u32::MAX));
        let every = options
            .echo
            .map(|rate| Duration::from_secs_f64(online / rate));
        commands.send_replace(Command::Stay(every));
        let now = tokio::time::Instant::now();
        let end = now + options.hold;
        let mut silence = options.echo_for.map(|echo| now + echo);
        let mut ends = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        let [Ok(interrupt), Ok(terminate)] = &mut ends else {
            return Err(io::Error::other("no signals"));
        };
        loop {
            tokio::select! {
                note = from_clients.recv() => match note {
                    Some(note) => take(&mut report, note),
                    None => break,
                },
                () = tokio::time::sleep_until(silence.unwrap_or(end)), if silence.is_some() => {
                    silence = None;
                    commands.send_replace(Command::Stay(None));
                }
                () = tokio::time::sleep_until(end) => break,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
            }
        }
    }
    commands.send_replace(Command::Leave {
        tell: !options.vanish,
    });
    while let Some(note) = from_clients.recv().await {
        take(&mut report, note);
    }
    print(options, &report)?;
    Ok(report.is_clean())
}

fn credentials(options: &Options, number: u32) -> Credentials {
    Credentials {
        user: options
            .user
            .as_deref()
            .unwrap_or_default()
            .replace("{}", &number.to_string()),
        secret: ppp_proto::Secret::new(options.password.as_deref().unwrap_or_default()),
        methods: vec![AuthMethod::MsChapV2],
    }
}

fn take(report: &mut Report, note: Note) {
    let mut count = |reasons: fn(&mut Report) -> &mut std::collections::BTreeMap<String, u32>,
                     reason| {
        *reasons(report).entry(reason).or_default() += 1;
    };
    match note {
        Note::Failed(reason) => count(|report| &mut report.failed, reason),
        Note::Lost(reason) => count(|report| &mut report.lost, reason),
        Note::Online(times) => report.times.push(times),
        Note::EchoSent => report.echoes_sent += 1,
        Note::Answered(time) => report.round_trips.push(time),
    }
}

fn print(options: &Options, report: &Report) -> io::Result<()> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let spent = usage.user_time() + usage.system_time();
    let spent = Duration::from_micros(u64::try_from(spent.num_microseconds()).unwrap_or_default());
    let summary = report.summary(spent);
    let text = if options.json {
        serde_json::to_string(&summary)?
    } else {
        summary.to_string()
    };
    // Whoever reads may have gone.
    writeln!(io::stdout(), "{text}")
}
