//! Kernel operations as netgraph requests: the graph of one tunnel and its sessions.
//!
//! ```text
//! our socket node --"cTTTT" ‹› "ctrl"-- l2tp tanuki-tTTTT --"lower" ‹› "inet/dgram/udp"-- ksocket
//!                        l2tp --"session_SSSS" ‹› "link0"-- ppp tanuki-pTTTT-SSSS
//! our socket node --"bTTTT-SSSS" ‹› "bypass"-- ppp
//!                        ppp --"inet" ‹› "ppp"-- bpf tanuki-fTTTT-SSSS
//!                        bpf --"iface" ‹› "ppp"-- tcpmss tanuki-mTTTT-SSSS
//!                        tcpmss --"iface" ‹› "inet"-- iface tanuki-iTTTT-SSSS
//!                        ppp --"ipv6" ‹› "ppp6"-- bpf --"iface6" ‹› "inet6"-- iface
//! with router advertisements, the same between "ipv6" and "ppp6" of the bpf node above:
//!                        ppp --"ipv6" ‹› "ppp6"-- bpf tanuki-sTTTT-SSSS --"rest" ‹› "ppp6"-- bpf
//! socket --"rTTTT-SSSS" ‹› "solicitations"-- bpf tanuki-sTTTT-SSSS
//! ```
//!
//! softkernel's interface looks at source addresses itself: there are no bpf nodes there, and its
//! iface node has the hook `solicitations`.
//!
//! The requests of an operation go together, and then their answers are waited for: a client takes some
//! twenty. The first refusal is the operation's outcome, and what it had made is removed.

use l2tp_proto::{CreateTunnel, SessionId, SessionSetup, TunnelId};
use netgraph::generic::{Connect, ListNames, Mkpeer, Name, Rmhook, Shutdown};
use netgraph::node::{ksocket, l2tp, ppp};
use netgraph::{CallError, Command, Errno, Netgraph};
use pfkey::ext::IPSEC_MANUAL_REQID_MAX;
use pfkey::{Direction, Numbering, Policy, PolicyRequest};

use super::interface::Families;
use super::{dress, names};
use crate::control::protocol::Traffic;
use crate::server::{Framing, KernelAnswer, KernelError, KernelOp, SessionKey};

/// Retransmissions of a control message before the peer counts as dead, as mpd5 has it.
const RETRANSMIT_MAX: u16 = 8;
/// The longest pause between two of them, seconds.
const RETRANSMIT_MAX_TIMEOUT: u16 = 10;
/// The path of our own socket node.
const SELF_PATH: &str = ".:";

/// One socket node and what is done through it.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) netgraph: Netgraph,
}

pub(super) fn at(name: &str) -> String {
    format!("{name}:")
}

impl Executor {
    /// Carries one operation out.
    ///
    /// # Errors
    /// The kernel refused, does not answer, or is gone.
    pub(super) async fn execute(
        &mut self,
        operation: &KernelOp,
    ) -> Result<KernelAnswer, KernelError> {
        let outcome = self.carry_out(operation).await;
        // An operation that failed half way may have left some: they are not the next one's.
        let rest = self.settle().await;
        outcome.and_then(|answer| rest.map(|()| answer))
    }

    async fn carry_out(&mut self, operation: &KernelOp) -> Result<KernelAnswer, KernelError> {
        match operation {
            KernelOp::CreateTunnel(create) => {
                let made = self.create_tunnel(create).await;
                if made.is_err() {
                    self.remove(&names::tunnel(create.tunnel)).await?;
                }
                made.map(|()| KernelAnswer::Done)
            }
            KernelOp::UpdateTunnel {
                tunnel,
                peer_id,
                peer_window,
            } => {
                let config = tunnel_config(*tunnel, *peer_id, *peer_window);
                self.call(&at(&names::tunnel(*tunnel)), &l2tp::SetConfig(config))
                    .await?;
                Ok(KernelAnswer::Done)
            }
            KernelOp::SendControl {
                tunnel,
                session_id,
                avps,
            } => {
                let mut frame = session_id.to_be_bytes().to_vec();
                frame.extend_from_slice(avps);
                self.send(&names::control_hook(*tunnel), &frame).await
            }
            KernelOp::RemoveTunnel { tunnel } => {
                self.remove(&names::tunnel(*tunnel)).await?;
                Ok(KernelAnswer::Done)
            }
            KernelOp::CreateSession(setup) => {
                let made = self.create_session(setup).await;
                if made.is_err() {
                    self.remove(&names::ppp(key_of(setup))).await?;
                }
                made.map(|()| KernelAnswer::Done)
            }
            KernelOp::UpdateSession(setup) => {
                self.set_session(setup).await?;
                self.settle().await?;
                Ok(KernelAnswer::Done)
            }
            KernelOp::SendFrame {
                session,
                protocol,
                payload,
            } => {
                let frame = ppp::bypass_frame(0, *protocol, payload);
                self.send(&names::bypass_hook(*session), &frame).await
            }
            KernelOp::SetPpp { session, framing } => {
                self.set_ppp(*session, framing).await?;
                self.settle().await?;
                Ok(KernelAnswer::Done)
            }
            KernelOp::CreateInterface {
                session,
                mtu,
                ipv6,
                solicitations,
                name,
                group,
            } => {
                let families = Families {
                    ipv6: *ipv6,
                    solicitations: *solicitations,
                };
                let interface = self.create_interface(*session, *mtu, families).await?;
                if self.netgraph.is_soft() {
                    return Ok(KernelAnswer::Interface(interface));
                }
                dress::name(interface, name.as_deref(), group.as_deref())
                    .await
                    .map(KernelAnswer::Interface)
            }
            KernelOp::ProxyArp {
                address, answer, ..
            } => {
                if !self.netgraph.is_soft() {
                    dress::proxy_arp(*address, *answer).await?;
                }
                Ok(KernelAnswer::Done)
            }
            KernelOp::ConfigureInterface(setup) => {
                self.configure_interface(setup).await?;
                Ok(KernelAnswer::Done)
            }
            KernelOp::ReadTraffic { session } => {
                self.traffic(*session).await.map(KernelAnswer::Traffic)
            }
            KernelOp::RemoveSession { session } => {
                let traffic = self.traffic(*session).await;
                for name in names::of_session(*session) {
                    self.remove(&name).await?;
                }
                traffic.map(KernelAnswer::Traffic)
            }
            KernelOp::Adopt {
                tunnel,
                sessions,
                solicitations,
            } => {
                self.adopt(*tunnel, sessions).await?;
                for &session in solicitations {
                    let tunnel = *tunnel;
                    self.take_solicitations(SessionKey { tunnel, session })
                        .await?;
                }
                Ok(KernelAnswer::Done)
            }
            KernelOp::RemoveNode { name } => {
                self.remove(name).await?;
                Ok(KernelAnswer::Done)
            }
        }
    }

    /// Names our socket node, which nobody else can then.
    ///
    /// # Errors
    /// Another process has the name.
    pub(super) async fn take_name(&mut self) -> Result<(), KernelError> {
        self.call(SELF_PATH, &Name::new(names::DAEMON)).await
    }

    /// The names of all nodes.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub(super) async fn nodes(&mut self) -> Result<Vec<String>, KernelError> {
        let list = self.call(SELF_PATH, &ListNames).await?;
        Ok(list.0.into_iter().map(|node| node.name).collect())
    }

    async fn create_tunnel(&mut self, create: &CreateTunnel) -> Result<(), KernelError> {
        let hook = names::control_hook(create.tunnel);
        let name = names::tunnel(create.tunnel);
        let node = at(&name);
        self.post(SELF_PATH, &Mkpeer::new(l2tp::TYPE, &hook, l2tp::HOOK_CTRL))
            .await?;
        self.post(&format!("{SELF_PATH}{hook}"), &Name::new(&name))
            .await?;
        let numbers = l2tp::SequenceConfig {
            next_send: create.sequence.ns,
            next_receive: create.sequence.nr,
            received_ack: create.sequence.rack,
            sent_ack: create.sequence.xack,
        };
        self.post(&node, &l2tp::SetSequence(numbers)).await?;
        let (local, peer) = (create.flow.local, create.flow.peer);
        let udp = ksocket::udp_hook(peer.ip());
        self.post(&node, &Mkpeer::new(ksocket::TYPE, l2tp::HOOK_LOWER, udp))
            .await?;
        let socket = format!("{node}{}", l2tp::HOOK_LOWER);
        for option in [ksocket::SO_REUSEADDR, ksocket::SO_REUSEPORT] {
            let option = ksocket::SocketOption::integer(ksocket::SOL_SOCKET, option, 1);
            self.post(&socket, &ksocket::SetOption(option)).await?;
        }
        for policy in policies(create.flow.reqid, self.netgraph.is_soft()) {
            let blob = policy.to_blob(Numbering::FreeBsd);
            let option = ksocket::SocketOption::ipsec_policy(peer.ip(), blob);
            self.post(&socket, &ksocket::SetOption(option)).await?;
        }
        self.post(&socket, &ksocket::Bind(ksocket::Address(local)))
            .await?;
        // Enabled before the first packet can come in, and only once: an earlier configuration
        // with `enabled` off would fix the window at its largest.
        let config = tunnel_config(create.tunnel, create.peer_id, create.peer_window);
        self.post(&node, &l2tp::SetConfig(config)).await?;
        self.post(&socket, &ksocket::Connect(ksocket::Address(peer)))
            .await?;
        self.settle().await
    }

    async fn create_session(&mut self, setup: &SessionSetup) -> Result<(), KernelError> {
        let key = key_of(setup);
        let tunnel = at(&names::tunnel(key.tunnel));
        let name = names::ppp(key);
        let hook = l2tp::session_hook(key.session.value());
        self.post(&tunnel, &Mkpeer::new(ppp::TYPE, &hook, &ppp::link_hook(0)))
            .await?;
        self.post(&format!("{tunnel}{hook}"), &Name::new(&name))
            .await?;
        let bypass = names::bypass_hook(key);
        self.post(
            SELF_PATH,
            &Connect::new(&at(&name), &bypass, ppp::HOOK_BYPASS),
        )
        .await?;
        let framing = Framing {
            peer_mru: 1500,
            pfc: false,
            acfc: false,
            ipv4: false,
            ipv6: false,
        };
        self.set_ppp(key, &framing).await?;
        self.set_session(setup).await?;
        self.settle().await
    }

    async fn set_session(&mut self, setup: &SessionSetup) -> Result<(), KernelError> {
        let config = l2tp::SessionConfig {
            session_id: setup.session.value(),
            peer_id: setup.peer_id,
            control_sequencing: setup.control_sequencing,
            enable_sequencing: setup.data_sequencing,
            include_length: setup.include_length,
        };
        let tunnel = at(&names::tunnel(setup.tunnel));
        self.post(&tunnel, &l2tp::SetSessionConfig(config)).await
    }

    async fn set_ppp(&mut self, key: SessionKey, framing: &Framing) -> Result<(), KernelError> {
        let bundle = ppp::BundleConfig {
            ip: framing.ipv4,
            ipv6: framing.ipv6,
            ..Default::default()
        };
        let config =
            ppp::NodeConfig::single_link(bundle, framing.peer_mru, framing.pfc, framing.acfc);
        self.post(&at(&names::ppp(key)), &ppp::SetConfig(config))
            .await
    }

    /// Reads what sessions carried: the questions go together.
    ///
    /// # Errors
    /// As [`Self::execute`], for each of them.
    pub(super) async fn traffics(
        &mut self,
        sessions: &[SessionKey],
    ) -> Vec<Result<Traffic, KernelError>> {
        let mut asked = Vec::with_capacity(sessions.len());
        for session in sessions {
            let question = ppp::GetLinkStats(ppp::LinkNumber(0));
            asked.push(
                self.netgraph
                    .ask(&at(&names::ppp(*session)), &question)
                    .await,
            );
        }
        let mut answers = Vec::with_capacity(sessions.len());
        for asked in asked {
            let stats = match asked {
                Ok(asked) => self.netgraph.answer(asked).await,
                Err(error) => Err(error),
            };
            let traffic = stats.map(|stats| Traffic {
                received_frames: stats.receive_frames,
                received_octets: stats.receive_octets,
                sent_frames: stats.transmit_frames,
                sent_octets: stats.transmit_octets,
            });
            answers.push(traffic.map_err(refusal));
        }
        answers
    }

    async fn traffic(&mut self, key: SessionKey) -> Result<Traffic, KernelError> {
        let answer = self.traffics(&[key]).await.pop();
        answer.unwrap_or(Err(KernelError::NoAnswer))
    }

    /// Our socket is a new one: connect it where the old one was, and become the one who hears of
    /// the node's failures, which is whoever configures it.
    async fn adopt(&mut self, tunnel: TunnelId, sessions: &[SessionId]) -> Result<(), KernelError> {
        let node = at(&names::tunnel(tunnel));
        self.take_hook(&node, l2tp::HOOK_CTRL, &names::control_hook(tunnel))
            .await?;
        let config = self.call(&node, &l2tp::GetConfig).await?;
        self.call(&node, &l2tp::SetConfig(config)).await?;
        for &session in sessions {
            let key = SessionKey { tunnel, session };
            let node = at(&names::ppp(key));
            self.take_hook(&node, ppp::HOOK_BYPASS, &names::bypass_hook(key))
                .await?;
        }
        Ok(())
    }

    /// Connects a hook of a node to ours. The socket of the former process may not be closed yet:
    /// then the hook is taken from it.
    pub(super) async fn take_hook(
        &mut self,
        node: &str,
        hook: &str,
        ours: &str,
    ) -> Result<(), KernelError> {
        let connect = Connect::new(node, ours, hook);
        match self.call(SELF_PATH, &connect).await {
            Err(KernelError::Refused { errno, .. }) if errno == Errno::EEXIST.0 => {
                self.call(node, &Rmhook::new(hook)).await?;
                self.call(SELF_PATH, &connect).await
            }
            other => other,
        }
    }

    /// Shuts a node down; a node that is not there is as good.
    async fn remove(&mut self, name: &str) -> Result<(), KernelError> {
        match self.call(&at(name), &Shutdown).await {
            Err(KernelError::Refused { errno, .. }) if errno == Errno::ENOENT.0 => Ok(()),
            other => other,
        }
    }

    async fn send(&mut self, hook: &str, frame: &[u8]) -> Result<KernelAnswer, KernelError> {
        // Lost like any frame; the protocol sends it again.
        match self.netgraph.send_data(hook, frame).await {
            Ok(()) => Ok(KernelAnswer::Done),
            Err(error) => Err(KernelError::Refused {
                request: format!("a frame for {hook}"),
                reason: error.to_string(),
                errno: error.raw_os_error().unwrap_or_default(),
            }),
        }
    }

    pub(super) async fn call<C: Command>(
        &mut self,
        path: &str,
        command: &C,
    ) -> Result<C::Reply, KernelError> {
        self.netgraph.call(path, command).await.map_err(refusal)
    }

    /// Sends a request of the operation; [`Self::settle`] is its end.
    pub(super) async fn post<C: Command<Reply = ()>>(
        &mut self,
        path: &str,
        command: &C,
    ) -> Result<(), KernelError> {
        self.netgraph.post(path, command).await.map_err(refusal)
    }

    /// Waits for what becomes of the requests posted.
    pub(super) async fn settle(&mut self) -> Result<(), KernelError> {
        self.netgraph.settle().await.map_err(refusal)
    }
}

fn refusal(error: CallError) -> KernelError {
    match error {
        CallError::Refused {
            errno: Errno::ETIMEDOUT,
            ..
        } => KernelError::NoAnswer,
        CallError::Refused {
            command,
            path,
            errno,
        } => KernelError::Refused {
            request: format!("{command} of {path}"),
            reason: errno.to_string(),
            errno: errno.0,
        },
        CallError::Reply { command, source } => KernelError::Refused {
            request: command.to_owned(),
            reason: source.to_string(),
            errno: 0,
        },
        CallError::Io(_) => KernelError::Lost,
    }
}

fn key_of(setup: &SessionSetup) -> SessionKey {
    SessionKey {
        tunnel: setup.tunnel,
        session: setup.session,
    }
}

fn tunnel_config(tunnel: TunnelId, peer_id: u16, peer_window: u16) -> l2tp::Config {
    l2tp::Config {
        enabled: true,
        match_id: true,
        tunnel_id: tunnel.value(),
        peer_id,
        peer_window: peer_window.max(1),
        retransmit_max: RETRANSMIT_MAX,
        retransmit_max_timeout: RETRANSMIT_MAX_TIMEOUT,
    }
}

/// `in` and `out ipsec esp/transport//unique:REQID`: what comes through another client's SA is not
/// this tunnel's, and what we send takes this client's. Without a reqid any SA of the peer will do;
/// but nothing goes in clear text, whatever becomes of the SPD. In softkernel nothing can.
fn policies(reqid: u32, soft: bool) -> Vec<Policy> {
    let request = match reqid {
        1..=IPSEC_MANUAL_REQID_MAX => PolicyRequest::esp_transport_unique(reqid),
        _ if soft => return Vec::new(),
        _ => PolicyRequest::esp_transport_require(),
    };
    [Direction::INBOUND, Direction::OUTBOUND]
        .map(|direction| Policy::ipsec(direction, request))
        .to_vec()
}
