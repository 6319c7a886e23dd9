//! `control.sock`: `{"command": "stats"}` and `{"command": "nodes"}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engine::{self, Engine};
use crate::graph::NodeDescription;
use crate::kernel;
use crate::server::Shared;
use crate::worker::team::Report;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Counters of everything.
    Stats,
    /// Every netgraph node.
    Nodes,
}

/// The answer to [`Request::Stats`]. Counts are those of all workers together.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// Packets between the parts.
    pub kernel: kernel::Counters,
    /// Devices and readers.
    pub devices: engine::Counters,
    /// IPsec.
    pub ipsec: BTreeMap<&'static str, u64>,
    /// Packets dropped by netgraph nodes, by reason.
    pub netgraph_drops: BTreeMap<String, u64>,
    /// ESP packets received and sent by each thread; the control thread is number 0.
    pub workers: BTreeMap<String, u64>,
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
pub async fn answer(shared: &Shared, request: Request) -> Value {
    match request {
        Request::Stats => {
            let asked = shared.borrow().team().ask();
            let mut reports = Vec::new();
            for report in asked {
                // One that has ended ends the process.
                reports.extend(report.await);
            }
            json!(stats(&shared.borrow(), &reports))
        }
        Request::Nodes => {
            let engine = shared.borrow();
            let nodes = engine.kernel().graph.describe().map(node);
            json!(nodes.collect::<Vec<_>>())
        }
    }
}

fn stats(engine: &Engine, reports: &[Report]) -> Stats {
    let kernel = engine.kernel();
    let mut nodes = BTreeMap::new();
    for node in kernel.graph.describe() {
        *nodes.entry(node.kind).or_insert(0) += 1;
    }
    let mut counters = *kernel.counters();
    let mut devices = *engine.counters();
    let mut ipsec = kernel.ipsec.counters().clone();
    let mut workers = BTreeMap::new();
    let mut carried = |worker: usize, counters: &kernel::Counters| {
        workers.insert(format!("esp_in_{worker}"), counters.esp_in);
        workers.insert(format!("esp_out_{worker}"), counters.esp_out);
    };
    carried(0, &counters);
    let mut netgraph_drops = BTreeMap::new();
    let mut dropped =
        |reason, count| *netgraph_drops.entry(snake_case(reason)).or_insert(0) += count;
    for (reason, count) in kernel.graph.drops() {
        dropped(reason, count);
    }
    for (number, report) in (1..).zip(reports) {
        let Report { plane, devices: of } = report;
        carried(number, &plane.kernel);
        counters += &plane.kernel;
        devices += of;
        ipsec.add(&plane.ipsec);
        for (reason, count) in &plane.drops {
            dropped(*reason, *count);
        }
    }
    Stats {
        kernel: counters,
        devices,
        ipsec: ipsec.iter().collect(),
        netgraph_drops,
        workers,
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
