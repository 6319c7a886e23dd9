//! The whole server in memory: IKE core, user-space kernel and L2TP server, put together as their
//! daemons do it, with a clock that only moves when told.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_daemon::kernel::translate::{Outcome, Translator};
use ike_proto::Endpoint;
use ike_proto::carrier::Carrier;
use ike_proto::io::{Datagram, Output as IkeOutput, Transmit};
use ike_proto::policy::Policy;
use l2tp_proto::{FlowId, KernelId, SessionSetup, TunnelId};
use l2tpd::config::Config;
use l2tpd::control::protocol::Traffic;
use l2tpd::server::{
    Framing, Input, KernelAnswer, KernelError, KernelOp, Output, Server, SessionKey,
};
use l2tpd::users::Users;
use netgraph::client::Event;
use netgraph::generic::{Connect, Mkpeer, Name, Shutdown};
use netgraph::node::soft_iface::{self, AddressPair};
use netgraph::node::{iface, ksocket, l2tp, ppp, tcpmss};
use netgraph::{Command, Errno};
use pfkey::{Direction, Numbering, PolicyRequest};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use softkernel::ipsec::{InboundEsp, OutboundEsp, PfkeySocketId};
use softkernel::kernel::PortId;
use tanuki_daemon::config::Source;
use tanuki_tests::ike::certificate::WALL;
use tanuki_tests::ike::gateway::SERVER;

use crate::kernel::Host;
use crate::life::silence;

const USERS: &str = "users:\n  - name: User\n    password: clientPass\n";
const CONFIG: &str = "local_address: 10.77.0.1\npool: [10.77.0.10-10.77.0.250]\ndns: [10.77.0.1]\nusers: users.yaml\n";

pub(crate) struct Stack {
    pub(crate) ike: Endpoint,
    pub(crate) kernel: Host,
    pub(crate) l2tpd: Server,
    translator: Translator,
    pfkey: PfkeySocketId,
    tunnels: BTreeMap<String, TunnelId>,
    sessions: BTreeMap<String, SessionKey>,
    rng: ChaCha20Rng,
    /// The server's address.
    pub(crate) server: IpAddr,
    pub(crate) now: Instant,
    /// IKE datagrams on their way out.
    sent: VecDeque<Transmit>,
    /// ESP on its way out.
    pub(crate) esp: VecDeque<(OutboundEsp, Vec<u8>)>,
    /// What was told, for failures.
    pub(crate) log: Vec<String>,
}

impl Stack {
    pub(crate) fn new(policy: Policy) -> Self {
        Self::at(policy, SERVER, "")
    }

    /// A server at an address, with more in its l2tpd.yaml.
    pub(crate) fn at(policy: Policy, server: &str, more: &str) -> Self {
        let mut kernel = Host::new(server);
        for (id, local) in [(1, "0.0.0.0:1701"), (2, "[::]:1701")] {
            let local: SocketAddr = local.parse().unwrap();
            kernel.kernel.bind_port(PortId(id), local).unwrap();
        }
        let pfkey = kernel.kernel.ipsec.open_socket();
        let config = Config::from_source(&Source::new("/l2tpd.yaml", format!("{CONFIG}{more}")));
        let users = Users::from_source(&Source::new("/users.yaml", USERS));
        let mut stack = Self {
            ike: Endpoint::new(policy),
            now: kernel.now,
            l2tpd: Server::new(
                config.unwrap_or_else(|problems| panic!("{problems}")),
                users.unwrap_or_else(|problems| panic!("{problems}")),
                KernelId::Soft,
            ),
            kernel,
            translator: Translator::new(Carrier::Soft, Numbering::FreeBsd, 77),
            pfkey,
            tunnels: BTreeMap::new(),
            sessions: BTreeMap::new(),
            rng: ChaCha20Rng::seed_from_u64(9),
            server: server.parse().unwrap(),
            sent: VecDeque::new(),
            esp: VecDeque::new(),
            log: Vec::new(),
        };
        let register = stack.translator.register();
        stack.pfkey_request(&register.bytes);
        stack.settle();
        stack
    }

    pub(crate) fn ike_datagram(&mut self, peer: SocketAddr, natt_port: bool, payload: &[u8]) {
        let port = if natt_port { 4500 } else { 500 };
        let datagram = Datagram {
            local: SocketAddr::new(self.server, port),
            peer,
            natt_port,
            payload,
        };
        self.ike.handle_datagram(self.now, datagram, &mut self.rng);
        self.settle();
    }

    pub(crate) fn esp_datagram(&mut self, from: InboundEsp, packet: &[u8]) {
        self.kernel.esp(from, packet);
        self.settle();
    }

    /// Lets time pass, in steps of at most a second.
    pub(crate) fn advance(&mut self, step: Duration) {
        self.now += step;
        self.kernel.advance(step);
        if self.ike.next_timeout().is_some_and(|due| due <= self.now) {
            self.ike.handle_timeout(self.now, &mut self.rng);
        }
        if self.l2tpd.next_timeout().is_some_and(|due| due <= self.now) {
            self.l2tpd.handle_timeout(self.now, &mut self.rng);
        }
        self.settle();
    }

    fn pfkey_request(&mut self, bytes: &[u8]) {
        let clock = self.kernel.clock();
        let ipsec = &mut self.kernel.kernel.ipsec;
        ipsec.request(self.now, clock.wall, self.pfkey, bytes, &mut self.rng);
    }

    fn feed(&mut self, input: Input) {
        self.l2tpd.handle(self.now, input, &mut self.rng);
    }

    /// Everything that follows from what has happened.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !(self.ike_output() || self.pfkey_message() || self.packets() || self.l2tp_output())
            {
                return;
            }
        }
        panic!("the server does not come to rest");
    }

    fn ike_output(&mut self) -> bool {
        let Some(output) = self.ike.poll_output() else {
            return false;
        };
        match output {
            IkeOutput::Transmit(transmit) => self.sent.push_back(transmit),
            IkeOutput::Event(event) => self.log.push(format!("{event:?}")),
            IkeOutput::Job(job) => self.ike.handle_job(self.now, job.run(WALL), &mut self.rng),
            IkeOutput::Kernel(_, request) => {
                for message in self.translator.submit(&request) {
                    self.pfkey_request(&message.bytes);
                }
            }
        }
        true
    }

    fn pfkey_message(&mut self) -> bool {
        let Some((socket, message)) = self.kernel.kernel.ipsec.poll_message() else {
            return false;
        };
        if socket == self.pfkey {
            match self.translator.receive(&message) {
                Some(Outcome::Reply(reply)) => {
                    self.ike.handle_kernel(self.now, reply, &mut self.rng);
                }
                Some(other) => self.log.push(format!("{other:?}")),
                None => {}
            }
        }
        true
    }

    /// IKE messages that went to `peer`.
    pub(crate) fn take_ike(&mut self, peer: SocketAddr) -> Vec<Vec<u8>> {
        let sent = std::mem::take(&mut self.sent);
        let (own, others) = sent.into_iter().partition(|sent| sent.peer == peer);
        self.sent = others;
        let own: VecDeque<Transmit> = own;
        own.into_iter().map(|sent| sent.bytes).collect()
    }

    /// ESP packets that went where `is_for` says.
    pub(crate) fn take_esp(
        &mut self,
        is_for: impl Fn(SocketAddr) -> bool,
    ) -> VecDeque<(OutboundEsp, Vec<u8>)> {
        let sent = std::mem::take(&mut self.esp);
        let (own, others) = sent
            .into_iter()
            .partition(|(esp, _)| is_for(esp.destination));
        self.esp = others;
        own
    }

    /// What nobody was there to receive.
    pub(crate) fn forget_packets(&mut self) {
        self.esp.clear();
        self.sent.clear();
    }

    fn packets(&mut self) -> bool {
        self.esp.append(&mut self.kernel.outgoing);
        if let Some((meta, bytes)) = self.kernel.datagrams.pop_front() {
            let flow = FlowId {
                local: meta.local,
                peer: meta.peer,
                reqid: meta.reqid,
                kernel: KernelId::Soft,
            };
            self.feed(Input::Datagram { flow, bytes });
            return true;
        }
        let Some(event) = self.kernel.event() else {
            return false;
        };
        match event {
            Event::Data { hook, payload } => {
                if let Some(tunnel) = self.tunnels.get(&hook).copied() {
                    self.feed(Input::Control {
                        tunnel,
                        frame: payload,
                    });
                } else if let Some(session) =
                    self.sessions.get(&hook.replacen('r', "b", 1)).copied()
                    && hook.starts_with('r')
                {
                    self.feed(Input::Frame {
                        session,
                        protocol: ppp::PROTOCOL_IPV6,
                        payload,
                    });
                } else if let Some(session) = self.sessions.get(&hook).copied() {
                    let protocol = u16::from_be_bytes([payload[2], payload[3]]);
                    self.feed(Input::Frame {
                        session,
                        protocol,
                        payload: payload[4..].to_vec(),
                    });
                }
            }
            Event::Message { from, message } => {
                if message.is::<l2tp::AckFailure>() {
                    let named = |id: &&TunnelId| from.starts_with(&tunnel_name(**id));
                    let failed = self.tunnels.values().find(named).copied();
                    let tunnel = failed.expect("the node of a tunnel");
                    self.feed(Input::AckFailure { tunnel });
                }
            }
        }
        true
    }

    fn l2tp_output(&mut self) -> bool {
        let Some(output) = self.l2tpd.poll_output() else {
            return false;
        };
        match output {
            Output::Kernel { op, operation, .. } => {
                let outcome = self.execute(&operation);
                if let Err(error) = &outcome {
                    self.log.push(format!("{operation:?}: {error:?}"));
                }
                if operation.has_answer() {
                    let outcome = outcome.map_err(|errno| KernelError::Refused {
                        request: String::new(),
                        reason: errno.to_string(),
                        errno: errno.0,
                    });
                    self.feed(Input::Kernel { op, outcome });
                }
            }
            Output::Hook { hook, .. } => self.feed(Input::HookDone {
                hook,
                outcome: Ok(()),
            }),
            Output::Event(event) => self.log.push(format!("{event:?}")),
            other => self.log.push(format!("{other:?}")),
        }
        true
    }

    fn call<C: Command>(&mut self, path: &str, command: &C) -> Result<C::Reply, Errno> {
        self.kernel.call(path, command)
    }

    fn execute(&mut self, operation: &KernelOp) -> Result<KernelAnswer, Errno> {
        let none = Traffic::default();
        match operation {
            KernelOp::CreateTunnel(create) => {
                let (hook, name) = (format!("c{}", create.tunnel), tunnel_name(create.tunnel));
                let node = format!("{name}:");
                self.call(".:", &Mkpeer::new(l2tp::TYPE, &hook, l2tp::HOOK_CTRL))?;
                self.call(&hook, &Name::new(&name))?;
                self.call(
                    &node,
                    &l2tp::SetSequence(l2tp::SequenceConfig {
                        next_send: create.sequence.ns,
                        next_receive: create.sequence.nr,
                        received_ack: create.sequence.rack,
                        sent_ack: create.sequence.xack,
                    }),
                )?;
                let (local, peer) = (create.flow.local, create.flow.peer);
                let udp = ksocket::udp_hook(peer.ip());
                self.call(&node, &Mkpeer::new(ksocket::TYPE, l2tp::HOOK_LOWER, udp))?;
                let lower = format!("{node}{}", l2tp::HOOK_LOWER);
                for direction in [Direction::INBOUND, Direction::OUTBOUND] {
                    let request = PolicyRequest::esp_transport_unique(create.flow.reqid);
                    let policy = pfkey::Policy::ipsec(direction, request);
                    let blob = policy.to_blob(Numbering::FreeBsd);
                    let option = ksocket::SocketOption::ipsec_policy(peer.ip(), blob);
                    self.call(&lower, &ksocket::SetOption(option))?;
                }
                self.call(&lower, &ksocket::Bind(ksocket::Address(local)))?;
                let config = l2tp::Config {
                    enabled: true,
                    match_id: true,
                    tunnel_id: create.tunnel.value(),
                    peer_id: create.peer_id,
                    peer_window: create.peer_window,
                    retransmit_max: 5,
                    retransmit_max_timeout: 8,
                };
                self.call(&node, &l2tp::SetConfig(config))?;
                self.call(&lower, &ksocket::Connect(ksocket::Address(peer)))?;
                self.tunnels.insert(hook, create.tunnel);
            }
            KernelOp::SendControl {
                tunnel,
                session_id,
                avps,
            } => {
                let frame = [&session_id.to_be_bytes()[..], avps].concat();
                self.kernel.send(&format!("c{tunnel}"), &frame);
            }
            KernelOp::RemoveTunnel { tunnel } => {
                self.remove(&tunnel_name(*tunnel))?;
                self.tunnels.remove(&format!("c{tunnel}"));
            }
            KernelOp::CreateSession(setup) => self.create_session(setup)?,
            KernelOp::UpdateSession(setup) => self.set_session(setup)?,
            KernelOp::SendFrame {
                session,
                protocol,
                payload,
            } => {
                let frame = ppp::bypass_frame(0, *protocol, payload);
                self.kernel.send(&bypass(*session), &frame);
            }
            KernelOp::ProxyArp { .. } => {}
            KernelOp::SetPpp { session, framing } => self.set_ppp(*session, framing)?,
            KernelOp::CreateInterface {
                session,
                mtu,
                ipv6,
                solicitations,
                ..
            } => {
                let link = node("p", *session);
                self.call(&link, &Mkpeer::new(tcpmss::TYPE, ppp::HOOK_INET, "ppp"))?;
                let clamp = format!("{link}{}", ppp::HOOK_INET);
                self.call(
                    &clamp,
                    &Name::new(node("m", *session).trim_end_matches(':')),
                )?;
                self.call(&clamp, &Mkpeer::new(iface::TYPE, "iface", iface::HOOK_INET))?;
                let path = format!("{clamp}.iface");
                self.call(&path, &Name::new(node("i", *session).trim_end_matches(':')))?;
                for (from, to) in [("ppp", "iface"), ("iface", "ppp")] {
                    let config = tcpmss::Config {
                        in_hook: from.to_owned(),
                        out_hook: to.to_owned(),
                        max_mss: mtu.saturating_sub(40),
                    };
                    self.call(&clamp, &tcpmss::SetConfig(config))?;
                }
                let interface = node("i", *session);
                if *ipv6 {
                    let connect = Connect::new(&interface, ppp::HOOK_IPV6, iface::HOOK_INET6);
                    self.call(&link, &connect)?;
                }
                if *solicitations {
                    let ours = bypass(*session).replacen('b', "r", 1);
                    let theirs = soft_iface::HOOK_SOLICITATIONS;
                    self.call(".:", &Connect::new(&interface, &ours, theirs))?;
                }
                return Ok(KernelAnswer::Interface("ng0".to_owned()));
            }
            KernelOp::ConfigureInterface(setup) => {
                let node = node("i", setup.session);
                let mtu = soft_iface::Mtu(setup.mtu.into());
                self.call(&node, &soft_iface::SetMtu(mtu))?;
                for &(local, peer) in &setup.addresses {
                    self.call(&node, &soft_iface::SetAddress(AddressPair { local, peer }))?;
                }
                for route in &setup.routes {
                    let network = soft_iface::Network {
                        address: route.network(),
                        prefix: route.prefix_len(),
                    };
                    match self.call(&node, &soft_iface::AddRoute(network)) {
                        Ok(()) | Err(Errno::EEXIST) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            KernelOp::ReadTraffic { .. } => return Ok(KernelAnswer::Traffic(none)),
            KernelOp::RemoveSession { session } => {
                for kind in ["i", "m", "p"] {
                    self.remove(node(kind, *session).trim_end_matches(':'))?;
                }
                self.sessions.remove(&bypass(*session));
                return Ok(KernelAnswer::Traffic(none));
            }
            other => panic!("{other:?} is for callers and restarts"),
        }
        Ok(KernelAnswer::Done)
    }

    fn create_session(&mut self, setup: &SessionSetup) -> Result<(), Errno> {
        let key = SessionKey {
            tunnel: setup.tunnel,
            session: setup.session,
        };
        let tunnel = format!("{}:", tunnel_name(setup.tunnel));
        let hook = l2tp::session_hook(setup.session.value());
        self.call(&tunnel, &Mkpeer::new(ppp::TYPE, &hook, &ppp::link_hook(0)))?;
        let name = node("p", key);
        self.call(
            &format!("{tunnel}{hook}"),
            &Name::new(name.trim_end_matches(':')),
        )?;
        self.call(".:", &Connect::new(&name, &bypass(key), ppp::HOOK_BYPASS))?;
        self.sessions.insert(bypass(key), key);
        let framing = Framing {
            peer_mru: 1500,
            pfc: false,
            acfc: false,
            ipv4: false,
            ipv6: false,
        };
        self.set_ppp(key, &framing)?;
        self.set_session(setup)
    }

    fn set_session(&mut self, setup: &SessionSetup) -> Result<(), Errno> {
        let config = l2tp::SessionConfig {
            session_id: setup.session.value(),
            peer_id: setup.peer_id,
            control_sequencing: setup.control_sequencing,
            enable_sequencing: setup.data_sequencing,
            include_length: setup.include_length,
        };
        let tunnel = format!("{}:", tunnel_name(setup.tunnel));
        self.call(&tunnel, &l2tp::SetSessionConfig(config))
    }

    fn set_ppp(&mut self, key: SessionKey, framing: &Framing) -> Result<(), Errno> {
        let bundle = ppp::BundleConfig {
            ip: framing.ipv4,
            ipv6: framing.ipv6,
            ..Default::default()
        };
        let config =
            ppp::NodeConfig::single_link(bundle, framing.peer_mru, framing.pfc, framing.acfc);
        self.call(&node("p", key), &ppp::SetConfig(config))
    }

    fn remove(&mut self, name: &str) -> Result<(), Errno> {
        match self.call(&format!("{name}:"), &Shutdown) {
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Nothing of anybody is left.
    fn assert_empty(&self) {
        assert_eq!(self.ike.table_entries(), 0, "{:#?}", self.log);
        assert_eq!(self.kernel.kernel.ipsec.sa_count(), 0);
        assert_eq!(self.kernel.kernel.ipsec.policy_count(), 0);
        let l2tpd = self.l2tpd.view(self.now);
        assert!(l2tpd.sessions.is_empty() && l2tpd.tunnels.is_empty());
        let pools = l2tpd.pools.iter();
        assert_eq!(pools.map(|(_, used, _)| used).sum::<u64>(), 0, "addresses");
        assert!(self.tunnels.is_empty() && self.sessions.is_empty());
        assert_eq!(self.kernel.kernel.graph.len(), 1, "but our own socket");
    }
}

/// However a test ends, five minutes after its last client has said anything nothing is left of it.
impl Drop for Stack {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            silence(self, 300);
            self.assert_empty();
        }
    }
}

fn tunnel_name(tunnel: TunnelId) -> String {
    format!("tanuki-t{tunnel}")
}

fn node(kind: &str, key: SessionKey) -> String {
    format!("tanuki-{kind}{}-{}:", key.tunnel, key.session)
}

fn bypass(key: SessionKey) -> String {
    format!("b{}-{}", key.tunnel, key.session)
}
