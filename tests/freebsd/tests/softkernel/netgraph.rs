//! Netgraph: the graph of softkernel against FreeBSD's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use freebsd_transcripts::steps::Step;
use freebsd_transcripts::{Line, host_errno};
use netgraph::frame::Frame;
use softkernel::buffer::Buffer;
use softkernel::graph::{Exit, Graph, Limits, NodeId};

use super::{Difference, compare, steps};

/// What softkernel does otherwise on purpose.
const DIFFERENCES: &[Difference] = &[
    (
        "netgraph-interfaces",
        "an interface",
        5,
        "interfaces are point to point",
    ),
    (
        "netgraph-interfaces",
        "messages of softkernel's interfaces",
        1,
        "FreeBSD's take addresses and MTU by ioctl(2)",
    ),
    (
        "netgraph-generic",
        "mkpeer of a type that does not exist",
        1,
        "ENXIO; ENOENT on FreeBSD comes from the module that it looks for",
    ),
    (
        "netgraph-generic",
        "names that are none",
        1,
        "FreeBSD takes the empty name and nobody finds the node by it",
    ),
    (
        "netgraph-generic",
        "text status of a node that has none",
        1,
        "every node has one, for the state dump",
    ),
    (
        "netgraph-generic",
        "an unknown generic message, an unknown cookie, arguments too short",
        3,
        "EINVAL; FreeBSD looks for the type behind the end of the message before it checks",
    ),
    ("netgraph-ksocket", "options", 3, "nobody asks for options"),
    (
        "netgraph-ksocket",
        "the peer: bound, not connected",
        3,
        "only connected sockets receive; the first datagram of a peer goes to the listening port",
    ),
    (
        "netgraph-ksocket",
        "connect of a connected socket",
        0,
        "a tunnel has one peer",
    ),
    (
        "netgraph-ksocket",
        "a second socket with the same addresses and ports",
        0,
        "sockets with equal addresses differ by their request id",
    ),
    (
        "netgraph-ksocket",
        "cleartext with bypass arrives, with unique in it does not, and does not leave",
        5,
        "policies are looked at where ESP is, behind the graph",
    ),
    (
        "netgraph-l2tp-control",
        "an initiator learns the peer's id later, once",
        0,
        "a node that is not enabled takes any configuration",
    ),
    (
        "netgraph-ppp",
        "a packet as long as the MRU, and a longer one",
        0,
        "the interface's MTU and the control protocols see to the length",
    ),
    (
        "netgraph-ppp",
        "statistics of the link, of the bundle, of no link",
        0,
        "packets longer than the MRU are counted; nobody asks for the bundle's",
    ),
    (
        "netgraph-ppp",
        "frames that are none",
        5,
        "a protocol field of one octet is one",
    ),
];

/// How long the recorder listened after each request.
const SETTLE: Duration = Duration::from_millis(150);

struct World {
    graph: Graph,
    now: Instant,
    sockets: BTreeMap<String, NodeId>,
    buffer: Buffer,
}

impl World {
    /// A datagram that leaves by a UDP socket arrives at the one it is connected with, if that is
    /// another node.
    fn deliver(&mut self, mut exit: Exit) {
        for _ in 0..8 {
            let Exit::Udp(from) = exit else { return };
            let ends = self
                .graph
                .ksocket(from)
                .and_then(|socket| Some((socket.local()?, socket.peer()?)));
            let Some((local, peer)) = ends else { return };
            let Some(to) = self.graph.udp_receiver(peer, local, 0) else {
                return;
            };
            exit = self.graph.udp_input(self.now, to, &mut self.buffer);
        }
    }

    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while let Some(exit) = self.graph.poll_transmit(self.now, &mut self.buffer) {
                self.deliver(exit);
            }
            match self.graph.next_timeout().filter(|due| *due <= end) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.graph.handle_timeout(self.now);
                }
                None => break,
            }
        }
        self.now = end;
    }

    fn drain(&mut self) -> Vec<Line> {
        let mut out = Vec::new();
        while let Some(id) = self.graph.poll_readable() {
            let name = self
                .sockets
                .iter()
                .find_map(|(name, socket)| (*socket == id).then(|| name.clone()));
            while let Some(packet) = self.graph.front(id) {
                let socket = name.clone().unwrap_or_default();
                out.push(match Frame::parse(packet).unwrap() {
                    Frame::Control { path, message } => Line::Reply {
                        socket,
                        path: Some(path.to_owned()),
                        bytes: message.to_vec(),
                    },
                    Frame::Data { hook, payload } => Line::DataIn {
                        socket,
                        hook: hook.to_owned(),
                        bytes: payload.to_vec(),
                    },
                    Frame::Status { result, .. } => Line::Status {
                        socket,
                        errno: result.map_or_else(|errno| errno.0, |()| 0),
                    },
                });
                self.graph.pop(id);
            }
        }
        out
    }

    fn step(&mut self, step: &Step) -> (Vec<String>, Vec<String>) {
        let mut theirs: Vec<Line> = step.answers.clone();
        match &step.action {
            Line::Open(name) => {
                let id = self.graph.open_socket().unwrap();
                self.sockets.insert(name.clone(), id);
            }
            Line::Close(name) => {
                let id = self.sockets.remove(name).unwrap();
                self.graph.close_socket(self.now, id);
                self.advance(SETTLE);
            }
            Line::Wait(milliseconds) => self.advance(Duration::from_millis(*milliseconds)),
            Line::Request {
                socket,
                path,
                bytes,
            } => {
                let frame = Frame::Control {
                    path: path.as_deref().unwrap(),
                    message: bytes,
                };
                let id = self.sockets[socket];
                let exit = self.graph.frame(self.now, id, frame, &mut self.buffer);
                self.deliver(exit);
                self.advance(SETTLE);
            }
            Line::DataOut {
                socket,
                hook,
                bytes,
            } => {
                // softkernel does not say whether a node took the data.
                theirs.retain(|line| !matches!(line, Line::Status { .. }));
                let frame = Frame::Data {
                    hook,
                    payload: bytes,
                };
                let id = self.sockets[socket];
                let exit = self.graph.frame(self.now, id, frame, &mut self.buffer);
                self.deliver(exit);
                self.advance(SETTLE);
            }
            other => panic!("{other}"),
        }
        let ours = self.drain();
        let host = theirs.into_iter().map(|line| match line {
            Line::Status { socket, errno } => Line::Status {
                socket,
                errno: host_errno(errno),
            },
            other => other,
        });
        (canonical(host.collect()), canonical(ours))
    }
}

/// In words, without what differs from one graph to the next, in an order of its own.
fn canonical(lines: Vec<Line>) -> Vec<String> {
    let mut out: Vec<String> = lines.into_iter().map(words).collect();
    out.sort();
    out
}

fn words(line: Line) -> String {
    match line {
        Line::Reply { socket, bytes, .. } => freebsd_transcripts::words::netgraph(&socket, &bytes),
        other => other.to_string(),
    }
}

fn replay(name: &str) {
    let steps = steps(name);
    let here = |_| Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut world = World {
        graph: Graph::new(Limits::default(), Box::new(here)),
        now: Instant::now(),
        sockets: BTreeMap::new(),
        buffer: Buffer::new(70_000),
    };
    let said: Vec<_> = steps.iter().map(|step| world.step(step)).collect();
    compare(name, &steps, &said, DIFFERENCES);
}

#[test]
fn generic() {
    replay("netgraph-generic");
}

#[test]
fn adoption() {
    replay("netgraph-adoption");
}

#[test]
fn orphans() {
    replay("netgraph-orphans");
}

#[test]
fn l2tp_control() {
    replay("netgraph-l2tp-control");
}

#[test]
fn l2tp_sessions() {
    replay("netgraph-l2tp-sessions");
}

#[test]
fn ppp() {
    replay("netgraph-ppp");
}

#[test]
fn ksocket() {
    replay("netgraph-ksocket");
}

#[test]
fn interfaces() {
    replay("netgraph-interfaces");
}
