//! Every byte that passed between our programs and a FreeBSD 14 kernel is understood by our codecs
//! and written again as it was.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use freebsd_transcripts::{Line, parse};
use netgraph::generic::{HookList, Mkpeer, Name, NodeInfo, Rmhook};
use netgraph::node::{iface, ksocket, l2tp, ppp, tcpmss};
use netgraph::{Command, NgMessage, Reply};
use pfkey::{ExtensionKind, Message, Numbering};

fn recordings(kind: &str) -> Vec<(String, Vec<Line>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let mut out: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let lines = parse(&fs::read_to_string(&path).ok()?).unwrap();
            name.starts_with(kind).then_some((name, lines))
        })
        .collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(out.len() >= 7, "{} {kind} recordings", out.len());
    out
}

#[test]
fn a_recording_is_written_as_it_was_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let again: String = parse(&text)
            .unwrap()
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(again.trim_start(), text);
    }
}

#[test]
fn every_pfkey_message_survives() {
    let mut seen = 0;
    for (name, lines) in recordings("pfkey") {
        let mut heading = String::new();
        for line in lines {
            let (bytes, reply) = match line {
                Line::Heading(text) => {
                    heading = text;
                    continue;
                }
                Line::Request { bytes, .. } => (bytes, false),
                Line::Reply { bytes, .. } => (bytes, true),
                _ => continue,
            };
            let broken = [
                "a message that says it is longer than it is",
                "a message of version 1",
            ];
            if broken.contains(&heading.as_str()) {
                continue;
            }
            let message = Message::parse(&bytes, Numbering::FreeBsd)
                .unwrap_or_else(|error| panic!("{name}, {heading}: {error}"));
            assert_eq!(
                *message.emit(Numbering::FreeBsd),
                bytes,
                "{name}, {heading}: {message:?}"
            );
            for extension in &message.extensions {
                assert!(
                    !matches!(extension.kind(), ExtensionKind::Other(_)),
                    "{name}, {heading}: {extension:?}"
                );
            }
            seen += usize::from(reply);
        }
    }
    assert!(seen > 100, "{seen} replies");
}

/// The arguments of a request and the contents of a reply, through their types.
fn typed(message: &NgMessage) -> Option<Vec<u8>> {
    fn request<C: Command>(message: &NgMessage) -> Option<Vec<u8>> {
        (message.is::<C>() && !message.is_response())
            .then(|| C::decode(&message.data).unwrap().encode())
    }
    fn reply<C: Command>(
        message: &NgMessage,
        emit: impl Fn(C::Reply) -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        (message.is::<C>() && message.is_response())
            .then(|| emit(C::Reply::decode(&message.data).unwrap()))
    }
    use netgraph::generic::{Connect, GetNodeInfo, ListHooks};
    request::<Mkpeer>(message)
        .or_else(|| request::<Connect>(message))
        .or_else(|| request::<Name>(message))
        .or_else(|| request::<Rmhook>(message))
        .or_else(|| request::<l2tp::SetConfig>(message))
        .or_else(|| request::<l2tp::SetSessionConfig>(message))
        .or_else(|| request::<l2tp::SetSequence>(message))
        .or_else(|| request::<ppp::SetConfig>(message))
        .or_else(|| request::<ksocket::Bind>(message))
        .or_else(|| request::<ksocket::Connect>(message))
        .or_else(|| request::<ksocket::SetOption>(message))
        .or_else(|| request::<ksocket::GetOption>(message))
        .or_else(|| request::<tcpmss::SetConfig>(message))
        .or_else(|| reply::<GetNodeInfo>(message, |r: NodeInfo| r.emit()))
        .or_else(|| reply::<ListHooks>(message, |r: HookList| r.emit()))
        .or_else(|| reply::<l2tp::GetConfig>(message, |r| r.emit()))
        .or_else(|| reply::<l2tp::GetSessionConfig>(message, |r| r.emit()))
        .or_else(|| reply::<l2tp::GetStats>(message, |r| r.emit()))
        .or_else(|| reply::<l2tp::GetClearStats>(message, |r| r.emit()))
        .or_else(|| reply::<l2tp::GetSessionStats>(message, |r| r.emit()))
        .or_else(|| reply::<l2tp::GetClearSessionStats>(message, |r| r.emit()))
        .or_else(|| reply::<ppp::GetConfig>(message, |r| r.emit()))
        .or_else(|| reply::<ppp::GetLinkStats>(message, |r| r.emit()))
        .or_else(|| reply::<ppp::GetClearLinkStats>(message, |r| r.emit()))
        .or_else(|| reply::<iface::GetIfName>(message, |r| r.emit()))
        .or_else(|| reply::<iface::GetIfIndex>(message, |r| r.emit()))
        .or_else(|| reply::<ksocket::GetName>(message, |r| r.emit()))
        .or_else(|| reply::<ksocket::GetPeerName>(message, |r| r.emit()))
        .or_else(|| reply::<ksocket::GetOption>(message, |r| r.emit()))
}

#[test]
fn every_netgraph_message_survives() {
    let (mut seen, mut known) = (0, 0);
    for (name, lines) in recordings("netgraph") {
        for line in lines {
            let (Line::Request { bytes, .. } | Line::Reply { bytes, .. }) = line else {
                continue;
            };
            let message = NgMessage::parse(&bytes).unwrap();
            assert_eq!(message.emit(), bytes, "{name}: {message:?}");
            seen += 1;
            if message.name == "odd" {
                continue;
            }
            if let Some(again) = typed(&message) {
                assert_eq!(again, message.data, "{name}: {message:?}");
                known += 1;
            } else {
                // Requests without arguments, and those of one number.
                assert!(message.data.len() <= 2, "{name}: {message:?}");
            }
        }
    }
    assert!(
        seen > 200 && known > 100,
        "{seen} messages, {known} with contents"
    );
}
