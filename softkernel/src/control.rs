//! `control.sock`: `{"command": "stats"}` and `{"command": "nodes"}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engine::{self, Engine};
use crate::graph::NodeDescription;
use crate::kernel;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Counters of everything.
    Stats,
    /// Every netgraph node.
    Nodes,
}

/// The answer to [`Request::Stats`].
#[derive(Debug, Serialize)]
pub struct Stats<'a> {
    /// Packets between the parts.
    pub kernel: &'a kernel::Counters,
    /// Devices and readers.
    pub devices: &'a engine::Counters,
    /// IPsec.
    pub ipsec: BTreeMap<&'static str, u64>,
    /// Packets dropped by netgraph nodes, by reason.
    pub netgraph_drops: BTreeMap<String, u64>,
    /// Security associations, larval ones included.
    pub security_associations: usize,
    /// Policies.
    pub policies: usize,
    /// UDP sockets connected to a single client each.
    pub connected_ports: usize,
    /// Netgraph nodes by type.
    pub nodes: BTreeMap<&'static str, usize>,
}

/// One node in the answer to [`Request::Nodes`].
#[derive(Debug, Serialize)]
pub struct Node {
    /// Its number, hexadecimal.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its type.
    pub kind: &'static str,
    /// Connected hooks.
    pub hooks: usize,
    /// What it says of itself.
    pub status: String,
}

/// Answers a request.
pub fn answer(engine: &Engine, request: Request) -> Value {
    match request {
        Request::Stats => json!(stats(engine)),
        Request::Nodes => json!(
            engine
                .kernel()
                .graph
                .describe()
                .map(node)
                .collect::<Vec<_>>()
        ),
    }
}

fn stats(engine: &Engine) -> Stats<'_> {
    let kernel = engine.kernel();
    let mut nodes = BTreeMap::new();
    for node in kernel.graph.describe() {
        *nodes.entry(node.kind).or_insert(0) += 1;
    }
    let drops = kernel
        .graph
        .drops()
        .map(|(reason, count)| (snake_case(reason), count));
    Stats {
        kernel: kernel.counters(),
        devices: engine.counters(),
        ipsec: kernel.ipsec.counters().iter().collect(),
        netgraph_drops: drops.collect(),
        security_associations: kernel.ipsec.sa_count(),
        policies: kernel.ipsec.policy_count(),
        connected_ports: engine.connected_ports(),
        nodes,
    }
}

fn node(node: NodeDescription) -> Node {
    Node {
        id: format!("{:x}", node.id.0),
        name: node.name,
        kind: node.kind,
        hooks: node.hooks,
        status: node.status,
    }
}

/// `WrongTunnel` as `wrong_tunnel`.
fn snake_case(reason: crate::graph::Drop) -> String {
    let mut out = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
