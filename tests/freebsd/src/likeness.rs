//! Two recordings of one conversation: whether two kernels did the same.

use std::collections::HashMap;
use std::fmt::Write;

use pfkey::{Extension, Message, MessageType, Numbering};

use crate::steps::{Step, steps};
use crate::{Line, words};

/// What the kernels did otherwise, step by step; empty when they did the same.
#[must_use]
pub fn differences(before: Vec<Line>, now: Vec<Line>) -> String {
    let (before, now) = (steps(before), steps(now));
    let mut out = String::new();
    if before.len() != now.len() {
        // Writing into a String does not fail.
        let _ = writeln!(out, "{} steps before, {} now", before.len(), now.len());
    }
    let (mut names_before, mut names_now) = (Names::default(), Names::default());
    for (before, now) in before.iter().zip(&now) {
        let said_before = names_before.step(before);
        let said_now = names_now.step(now);
        if said_before != said_now {
            let _ = writeln!(out, "step {} of: {}", before.number, before.heading);
            for (when, lines) in [("before", said_before), ("now", said_now)] {
                for line in lines {
                    let _ = writeln!(out, "  {when:6} {line}");
                }
            }
        }
    }
    out
}

/// Numbers that a kernel, or the process, chose, by the order of their appearance.
#[derive(Debug, Default)]
struct Names {
    pids: HashMap<u32, u32>,
    spis: HashMap<u32, u32>,
    policies: HashMap<u32, u32>,
    reqids: HashMap<u32, u32>,
    acquires: HashMap<u32, u32>,
}

/// The name of a number, a new one if need be.
fn name(names: &mut HashMap<u32, u32>, number: u32) -> u32 {
    let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
    *names.entry(number).or_insert(next)
}

impl Names {
    fn step(&mut self, step: &Step) -> Vec<String> {
        let mut said: Vec<String> = step.answers.iter().map(|line| self.line(line)).collect();
        // What different sockets heard has no order.
        said.sort();
        said.insert(0, self.line(&step.action));
        said
    }

    fn line(&mut self, line: &Line) -> String {
        match line {
            Line::Request {
                socket,
                path: None,
                bytes,
            }
            | Line::Reply {
                socket,
                path: None,
                bytes,
            } => match Message::parse(bytes, Numbering::FreeBsd) {
                Ok(message) => words::pfkey(socket, self.renamed(message)),
                // Broken on purpose; its pid is still the process's.
                Err(error) => format!("{socket}: {} octets, {error}", bytes.len()),
            },
            Line::Reply { socket, bytes, .. } => words::netgraph(socket, bytes),
            Line::Request {
                socket,
                path: Some(path),
                bytes,
            } => {
                let path = if path.starts_with('[') { "[id]" } else { path };
                format!("to {path} {}", words::netgraph(socket, bytes))
            }
            other => other.to_string(),
        }
    }

    fn renamed(&mut self, mut message: Message) -> Message {
        let chose_policy = matches!(
            message.kind,
            MessageType::X_SPDADD | MessageType::X_SPDUPDATE
        );
        let acquires = message.kind == MessageType::ACQUIRE && message.pid == 0;
        if acquires || self.acquires.contains_key(&message.sequence) {
            message.sequence = name(&mut self.acquires, message.sequence);
        }
        let chose_spi = message.kind == MessageType::GETSPI;
        if message.pid != 0 {
            message.pid = 1 + name(&mut self.pids, message.pid);
        }
        for extension in &mut message.extensions {
            match extension {
                Extension::Sa(sa) if chose_spi || self.spis.contains_key(&sa.spi) => {
                    sa.spi = name(&mut self.spis, sa.spi);
                }
                Extension::Policy(policy) => {
                    if chose_policy && policy.id != 0 || self.policies.contains_key(&policy.id) {
                        policy.id = name(&mut self.policies, policy.id);
                    }
                    for request in &mut policy.requests {
                        if request.reqid > pfkey::ext::IPSEC_MANUAL_REQID_MAX {
                            request.reqid = name(&mut self.reqids, request.reqid);
                        }
                    }
                }
                _ => {}
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn recording(name: &str) -> Vec<Line> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
        parse(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    }

    /// The message as of another process, from a kernel that chose another SPI.
    fn elsewhere(bytes: &mut Vec<u8>, spi: u32) {
        let Ok(mut message) = Message::parse(bytes, Numbering::FreeBsd) else {
            return;
        };
        message.pid += u32::from(message.pid != 0) * 4000;
        for extension in &mut message.extensions {
            match extension {
                Extension::Sa(sa) if sa.spi == spi => sa.spi = 0xbad5_eed0,
                _ => {}
            }
        }
        *bytes = message.emit(Numbering::FreeBsd).to_vec();
    }

    #[test]
    fn another_process_with_another_spi_had_the_same_conversation() {
        let before = recording("pfkey-life.txt");
        let chosen = before.iter().find_map(|line| match line {
            Line::Reply { bytes, .. } => Message::parse(bytes, Numbering::FreeBsd)
                .ok()
                .filter(|message| message.kind == MessageType::GETSPI)
                .and_then(|message| message.sa().map(|sa| sa.spi)),
            _ => None,
        });
        let mut now = before.clone();
        for line in &mut now {
            if let Line::Request { bytes, .. } | Line::Reply { bytes, .. } = line {
                elsewhere(bytes, chosen.unwrap());
            }
        }
        assert_ne!(now, before);
        assert_eq!(differences(before, now), "");
    }

    #[test]
    fn another_error_number_is_a_difference() {
        let before = recording("netgraph-generic.txt");
        let mut now = before.clone();
        let status = now.iter_mut().find_map(|line| match line {
            Line::Status { errno, .. } => Some(errno),
            _ => None,
        });
        *status.unwrap() = 99;
        let told = differences(before, now);
        assert!(told.contains("now    a = 99"), "{told}");
    }
}
