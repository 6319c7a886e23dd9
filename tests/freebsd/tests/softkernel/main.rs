//! softkernel answers what a FreeBSD 14 kernel was asked, and answers alike; where it does not on
//! purpose, a table says so, and says it of nothing else.

#![allow(clippy::unwrap_used, clippy::panic)]

mod netgraph;
mod pfkey;

use std::fs;
use std::path::Path;

use freebsd_transcripts::parse;
use freebsd_transcripts::steps::Step;

fn steps(name: &str) -> Vec<Step> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let text = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    freebsd_transcripts::steps::steps(parse(&text).unwrap())
}

/// One deliberate difference: recording, heading, step within it (0: all), why.
type Difference = (&'static str, &'static str, usize, &'static str);

/// Compares what both said to every step; `said` holds, by step, FreeBSD's and softkernel's words.
fn compare(name: &str, steps: &[Step], said: &[(Vec<String>, Vec<String>)], table: &[Difference]) {
    let entries = || table.iter().filter(|entry| entry.0 == name);
    let mut wrong = String::new();
    let mut used = Vec::new();
    for (step, (freebsd, soft)) in steps.iter().zip(said) {
        let deliberate = entries()
            .find(|entry| entry.1 == step.heading && (entry.2 == 0 || entry.2 == step.number));
        if freebsd == soft {
            continue;
        }
        if let Some(entry) = deliberate {
            used.push(entry);
            continue;
        }
        wrong += &format!("{name}, step {} of: {}\n", step.number, step.heading);
        wrong += &format!(
            "  {}\n",
            step.action
                .to_string()
                .chars()
                .take(160)
                .collect::<String>()
        );
        for line in freebsd {
            wrong += &format!("  FreeBSD    {line}\n");
        }
        for line in soft {
            wrong += &format!("  softkernel {line}\n");
        }
    }
    for entry in entries() {
        if !used.contains(&entry) {
            wrong += &format!("{name}: no difference any more: {entry:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
