//! Records the conversations with the FreeBSD kernel it runs on; root, nothing else using PF_KEY.
//!
//! ```text
//! freebsd-record FOLDER [NAME...]
//! freebsd-record --compare FOLDER [NAME...]
//! ```
//!
//! Each conversation becomes `FOLDER/NAME.txt`, or is compared with what is there: a line for each
//! that went the same, and the steps of each that did not. SAs, policies and nodes of others are removed by
//! some of them: this is for machines that were made for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use freebsd_transcripts::recorder::{graph, nodes, sa, sp, traffic, windows};
use freebsd_transcripts::{Line, likeness};

const NAMES: [&str; 18] = [
    "pfkey-register",
    "pfkey-life",
    "pfkey-algorithms",
    "pfkey-refusals",
    "pfkey-nat-traversal",
    "pfkey-expire",
    "pfkey-windows",
    "pfkey-acquire",
    "pfkey-octets",
    "pfkey-policies",
    "netgraph-generic",
    "netgraph-adoption",
    "netgraph-orphans",
    "netgraph-l2tp-control",
    "netgraph-l2tp-sessions",
    "netgraph-ppp",
    "netgraph-ksocket",
    "netgraph-interfaces",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let compare = arguments.next_if(|first| first == "--compare").is_some();
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        eprintln!(
            "usage: freebsd-record [--compare] FOLDER [NAME...]\nnames: {}",
            NAMES.join(" ")
        );
        return ExitCode::from(64);
    };
    let wanted: Vec<String> = arguments.collect();
    let mut code = ExitCode::SUCCESS;
    for name in NAMES {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let done = match record(name).await {
            Ok(lines) if compare => compared(&folder, name, lines),
            Ok(lines) => write(&folder, name, &lines),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => println!("{name}"),
            Err(error) => {
                eprintln!("{name}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn compared(folder: &Path, name: &str, now: Vec<Line>) -> io::Result<()> {
    let text = fs::read_to_string(folder.join(format!("{name}.txt")))?;
    let before = freebsd_transcripts::parse(&text).map_err(io::Error::other)?;
    let differences = likeness::differences(before, now);
    if differences.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(format!("went otherwise\n{differences}")))
    }
}

fn write(folder: &Path, name: &str, lines: &[Line]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let made_by = Line::Heading(format!("freebsd-record {name}; {}", kernel()?));
    let text: String = std::iter::once(&made_by)
        .chain(lines)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(folder.join(format!("{name}.txt")), text.trim_start())
}

/// Which kernel this is.
fn kernel() -> io::Result<String> {
    let output = Command::new("uname").arg("-rKm").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn record(name: &str) -> io::Result<Vec<Line>> {
    match name {
        "pfkey-register" => sa::register(),
        "pfkey-life" => sa::life(),
        "pfkey-algorithms" => sa::algorithms(),
        "pfkey-refusals" => sa::refusals(),
        "pfkey-nat-traversal" => sa::nat_traversal(),
        "pfkey-expire" => sa::expire(),
        "pfkey-windows" => windows::windows(),
        "pfkey-acquire" => traffic::acquire(),
        "pfkey-octets" => traffic::octets(),
        "pfkey-policies" => sp::life(),
        "netgraph-generic" => graph::generic().await,
        "netgraph-adoption" => graph::adoption().await,
        "netgraph-orphans" => graph::orphans().await,
        "netgraph-l2tp-control" => nodes::l2tp_control().await,
        "netgraph-l2tp-sessions" => nodes::l2tp_sessions().await,
        "netgraph-ppp" => nodes::ppp().await,
        "netgraph-ksocket" => nodes::ksocket().await,
        "netgraph-interfaces" => nodes::interfaces().await,
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}
