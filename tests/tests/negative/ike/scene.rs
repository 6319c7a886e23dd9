//! A client on its way through a conversation, which stands still while rows of a table are thrown
//! at the server, and goes on afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ike_proto::io::Transmit;
use ike_proto::policy::Policy;
use tanuki_tests::ike::gateway::{Gateway, SERVER, policy};
use tanuki_tests::ike::{Dialect, Initiator, Pair, Payload, Quick, QuickUnderWay, ordinary};

pub(crate) use ordinary::{RFC_3947, SUITE, dialect};

/// Where the client is; there is no NAT.
pub(crate) const CLIENT: &str = "198.51.100.7:500";
/// Who has nothing to do with it.
pub(crate) const STRANGER: &str = "192.0.2.66:500";
/// What is due for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// No answer.
    Silence,
    /// At most one notification in the clear, no longer than what it answers.
    Complaint,
    /// One encrypted Informational: whoever sent this is authenticated.
    Told,
}

/// One row of a table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) message: Vec<u8>,
    pub(crate) due: Due,
}

/// A row.
pub(crate) fn row(name: impl Into<String>, message: Vec<u8>, due: Due) -> Row {
    Row {
        name: name.into(),
        message,
        due,
    }
}

/// How far the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The first message is to come.
    Nothing,
    /// The third.
    Begun,
    /// The fifth.
    Exchanged,
    /// The first of Quick Mode.
    Established,
    /// The third of Quick Mode.
    Answered,
    /// There is a pair of IPsec SAs; the first message of another Quick Mode is to come.
    Paired,
}

pub(crate) const STAGES: [Stage; 6] = [
    Stage::Nothing,
    Stage::Begun,
    Stage::Exchanged,
    Stage::Established,
    Stage::Answered,
    Stage::Paired,
];

/// The ordinary first messages of Quick Mode.
pub(crate) fn quick(message_id: u32) -> Quick {
    ordinary::quick(message_id, 0xa000 + message_id, "198.51.100.7", 2)
}

/// Payloads of an ordinary first message of Quick Mode, behind HASH(1).
pub(crate) fn quick_payloads(message_id: u32) -> Vec<Payload> {
    let quick = quick(message_id);
    let [idci, idcr] = <[Vec<u8>; 2]>::try_from(quick.ids).unwrap();
    vec![(1, quick.sa), (10, vec![7; 32]), (5, idci), (5, idcr)]
}

/// Answers are not withheld for their number, so that every row is judged.
pub(crate) fn open_handed() -> Policy {
    let mut policy = policy();
    policy.limits.stateless_answers = 1_000_000;
    policy
}

pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) client: Initiator,
    pub(crate) stage: Stage,
    /// The valid message that is to come next.
    pub(crate) next: Vec<u8>,
    /// Every message the client has sent.
    pub(crate) sent: Vec<Vec<u8>>,
    under_way: Option<QuickUnderWay>,
    pair: Option<Pair>,
    quick_modes: u32,
}

impl Scene {
    pub(crate) fn new(policy: Policy, dialect: Dialect) -> Self {
        let own = CLIENT.parse::<SocketAddr>().unwrap().ip().to_string();
        let mut client = Initiator::new(dialect, &own, SERVER, 77);
        Self {
            gateway: Gateway::new(policy),
            next: client.mm1(),
            client,
            stage: Stage::Nothing,
            sent: Vec::new(),
            under_way: None,
            pair: None,
            quick_modes: 0,
        }
    }

    /// A conversation that is as far as that.
    pub(crate) fn at(stage: Stage) -> Self {
        let mut scene = Self::new(open_handed(), dialect());
        while scene.stage < stage {
            scene.step();
        }
        scene
    }

    /// Sends the message that is to come.
    pub(crate) fn step(&mut self) {
        let (gateway, client) = (&mut self.gateway, &mut self.client);
        self.sent.push(self.next.clone());
        let quick_mode = |client: &mut Initiator, number: &mut u32| {
            *number += 1;
            let (qm1, under_way) = client.qm1(&quick(*number));
            (qm1, Some(under_way))
        };
        match self.stage {
            Stage::Nothing => {
                let mm2 = gateway.ask(CLIENT, false, &self.next);
                self.next = client.mm3(&mm2);
                self.stage = Stage::Begun;
            }
            Stage::Begun => {
                let mm4 = gateway.ask(CLIENT, false, &self.next);
                client.read_mm4(&mm4);
                self.next = client.mm5();
                self.stage = Stage::Exchanged;
            }
            Stage::Exchanged => {
                let mm6 = gateway.ask(CLIENT, false, &self.next);
                client.read_mm6(&self.next, &mm6);
                (self.next, self.under_way) = quick_mode(client, &mut self.quick_modes);
                self.stage = Stage::Established;
            }
            Stage::Established | Stage::Paired => {
                let qm2 = gateway.ask(CLIENT, false, &self.next);
                let (qm3, pair) = client.qm3(self.under_way.as_ref().unwrap(), &qm2);
                (self.next, self.pair) = (qm3, Some(pair));
                self.stage = Stage::Answered;
            }
            Stage::Answered => {
                assert!(gateway.receive(CLIENT, false, &self.next).is_empty());
                gateway.assert_pair(self.pair.as_ref().unwrap());
                (self.next, self.under_way) = quick_mode(client, &mut self.quick_modes);
                self.stage = Stage::Paired;
            }
        }
    }

    /// All that can be seen of the server's tables.
    pub(crate) fn tables(&self) -> (usize, String, Vec<u32>) {
        let (endpoint, now) = (&self.gateway.endpoint, self.gateway.now);
        let views = format!("{:?} {:?}", endpoint.ike_sas(now), endpoint.child_sas(now));
        let spis = self.gateway.sas.keys().map(|(_, spi)| spi);
        let spis = spis.chain(&self.gateway.larval).copied().collect();
        (endpoint.table_entries(), views, spis)
    }

    /// Throws rows at the server, each from where the client is, one after the other in the same
    /// state, which must not change; then the conversation goes on as if nothing had been.
    pub(crate) fn endures(self, rows: &[Row]) {
        self.endures_from(CLIENT, rows);
    }

    pub(crate) fn endures_from(mut self, from: &str, rows: &[Row]) {
        let stage = self.stage;
        let before = self.tables();
        for row in rows {
            let name = format!("{} at {stage:?}", row.name);
            let (jobs, requests) = (self.gateway.jobs, self.gateway.requests);
            let sent = self.gateway.receive(from, false, &row.message);
            check(&name, from, row, &sent);
            assert_eq!(self.tables(), before, "{name}");
            assert!(self.gateway.jobs - jobs <= 1, "{name}: computations");
            assert!(self.gateway.requests - requests <= 2, "{name}: the kernel");
        }
        while self.stage < Stage::Paired {
            self.step();
        }
    }
}

/// The answers to one row.
fn check(name: &str, from: &str, row: &Row, sent: &[Transmit]) {
    let bytes: usize = sent.iter().map(|sent| sent.bytes.len()).sum();
    for answer in sent {
        assert_eq!(answer.peer, from.parse().unwrap(), "{name}: to whom");
        assert_eq!(answer.bytes[18], 5, "{name}: an Informational");
    }
    match row.due {
        Due::Silence => assert!(sent.is_empty(), "{name}: {sent:x?}"),
        Due::Complaint => {
            assert!(sent.len() <= 1, "{name}: {sent:x?}");
            assert!(bytes <= row.message.len(), "{name}: {bytes} octets");
            assert!(sent.iter().all(|sent| sent.bytes[19] & 1 == 0), "{name}");
        }
        Due::Told => {
            assert_eq!(sent.len(), 1, "{name}");
            assert_eq!(sent[0].bytes[19], 1, "{name}: encrypted");
        }
    }
}

/// Octets in and out by address.
#[derive(Default)]
pub(crate) struct Ledger(BTreeMap<SocketAddr, (usize, usize)>);

impl Ledger {
    pub(crate) fn received(&mut self, from: &str, octets: usize) {
        self.0.entry(from.parse().unwrap()).or_default().0 += octets;
    }

    pub(crate) fn sent(&mut self, sent: &[Transmit]) {
        for sent in sent {
            self.0.entry(sent.peer).or_default().1 += sent.bytes.len();
        }
    }

    /// Nobody has got more than came from there.
    pub(crate) fn assert_no_amplification(&self) {
        for (address, (received, sent)) in &self.0 {
            assert!(sent <= received, "{address}: {received} in, {sent} out");
        }
    }
}
