//! The endpoint: every tunnel of the server, and when what is due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand_core::CryptoRng;

use crate::admission::{Admission, Class};
use crate::checkpoint::TunnelRecord;
use crate::config::{Authentication, Config};
use crate::handshake::{self, Peer};
use crate::id::{FlowId, SessionId, TunnelId};
use crate::io::{
    CallRequest, CloseSession, CloseTunnel, Connecting, Counters, CreateTunnel, HandOver,
    LocalError, Output, Role, SessionView, Target, TunnelDownReason, TunnelView,
};
use crate::step::{Reports, Step};
use crate::tunnel::{State, Tunnel};
use crate::wire::{Avp, MessageType, ResultCode, ResultScope};

/// All tunnels. See [`crate::io`] for the rules.
#[derive(Debug)]
pub struct Tunnels {
    pub(crate) config: Config,
    // Boxed: a node of a B-tree has room for eleven, and not all of it is used.
    pub(crate) entries: BTreeMap<TunnelId, Box<Entry>>,
    /// Which tunnels run over a flow.
    flows: BTreeSet<(FlowId, TunnelId)>,
    timers: BTreeSet<(Instant, TunnelId)>,
    pub(crate) admission: Admission,
    sessions: usize,
    pub(crate) shutting_down: bool,
    reports: Reports,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) counters: Counters,
}

/// A tunnel and how it is booked.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) tunnel: Tunnel,
    class: Class,
    timer: Option<Instant>,
}

impl Tunnels {
    /// An endpoint without tunnels.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            entries: BTreeMap::new(),
            flows: BTreeSet::new(),
            timers: BTreeSet::new(),
            admission: Admission::default(),
            sessions: 0,
            shutting_down: false,
            reports: Reports::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes a new configuration. Established tunnels stay as they are; timers set from now on,
    /// and new tunnels and sessions, follow it.
    pub fn reconfigure(&mut self, config: Config) {
        self.config = config;
        let all: Vec<TunnelId> = self.entries.keys().copied().collect();
        for id in all {
            self.arm(id);
        }
    }

    /// A control message from a tunnel node's `ctrl` hook: Session ID of its header, and AVPs.
    pub fn handle_control(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        session_id: u16,
        avps: &[u8],
        rng: &mut dyn CryptoRng,
    ) {
        self.counters.control_in += 1;
        self.with(now, tunnel, |tunnel, step| {
            tunnel.handle(step, session_id, avps, rng)
        });
    }

    /// The node gave up retransmitting (`NGM_L2TP_ACK_FAILURE`). The tunnel ends, unless the only
    /// thing unanswered is a HELLO and data arrived since (older Android clients do not answer
    /// HELLO): then it lives on as long as [`Tunnels::note_traffic`] says so.
    pub fn handle_ack_failure(&mut self, now: Instant, tunnel: TunnelId) {
        self.with(now, tunnel, Tunnel::handle_ack_failure);
    }

    /// The tunnel's nodes could not be made, or broke. `RemoveTunnel` follows at once.
    pub fn tunnel_failed(&mut self, now: Instant, tunnel: TunnelId) {
        self.with(now, tunnel, |tunnel, step| {
            tunnel.end(step, TunnelDownReason::Kernel, Duration::ZERO);
            tunnel.state = State::Closing { until: step.now };
        });
    }

    /// The session's nodes could not be made, or broke. The peer gets a CDN.
    pub fn session_failed(&mut self, now: Instant, tunnel: TunnelId, session: SessionId) {
        self.with(now, tunnel, |tunnel, step| tunnel.fail_call(step, session));
    }

    /// Data of the tunnel arrived from the peer (a PPP frame, a counter that grew): as good as an
    /// answered HELLO. Cheap.
    pub fn note_traffic(&mut self, now: Instant, tunnel: TunnelId) {
        // The timer stays where it is; when it fires early, it is set anew.
        if let Some(entry) = self.entries.get_mut(&tunnel) {
            entry.tunnel.last_heard = entry.tunnel.last_heard.max(now);
        }
    }

    /// When [`Tunnels::handle_timeout`] wants to be called; `None`: nothing is due ever.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut due = Vec::new();
        while let Some((at, id)) = self.timers.first().copied().filter(|&(at, _)| at <= now) {
            self.timers.remove(&(at, id));
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.timer = None;
            }
            due.push(id);
        }
        for id in due {
            self.with(now, id, Tunnel::handle_timeout);
        }
    }

    /// The next thing for the driver to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Calls a peer (as LAC).
    ///
    /// # Errors
    /// [`LocalError::Limit`], [`LocalError::NoNumber`], [`LocalError::ShuttingDown`].
    pub fn connect(
        &mut self,
        now: Instant,
        target: Target,
        rng: &mut dyn CryptoRng,
    ) -> Result<Connecting, LocalError> {
        if self.shutting_down {
            return Err(LocalError::ShuttingDown);
        }
        let limits = self.config.limits;
        let call_fits = target.call.is_none()
            || (self.sessions < limits.sessions && limits.sessions_per_tunnel > 0);
        if self.entries.len() >= limits.tunnels || !call_fits {
            return Err(LocalError::Limit);
        }
        let id = self.draw_tunnel_id(rng, 0).ok_or(LocalError::NoNumber)?;
        let named = target.secret.is_some();
        let secret = target
            .secret
            .or_else(|| self.config.secret_for(&target.flow, b"").cloned());
        let wanted = match self.config.authentication_on(&target.flow) {
            Authentication::Off => false,
            Authentication::Mutual => named,
            Authentication::Required => true,
        };
        let challenge = (wanted && secret.is_some()).then(|| handshake::draw_challenge(rng));
        let tie_breaker = target.tie_breaker.then(|| {
            let mut value = [0; 8];
            rng.fill_bytes(&mut value);
            value
        });
        let state = State::WaitCtlReply {
            deadline: now + self.config.setup_timeout,
            challenge,
            tie_breaker,
        };
        let avps = handshake::introduction(
            MessageType::SCCRQ,
            (&self.config, &target.flow),
            id,
            challenge.as_ref(),
            tie_breaker.map(Avp::TieBreaker),
        );
        let tunnel = Tunnel::new(
            id,
            target.flow,
            Role::Lac,
            state,
            Peer::unknown(),
            secret,
            now,
        );
        self.create(tunnel, HandOver::CALLING);
        let session = self.with(now, id, |tunnel, step| {
            tunnel.send(step, 0, avps);
            target
                .call
                .and_then(|call| tunnel.open_call(step, call, rng).ok())
        });
        Ok(Connecting {
            tunnel: id,
            session: session.flatten(),
        })
    }

    /// Places a call in a tunnel we called with; it waits while the tunnel is not up.
    ///
    /// # Errors
    /// [`LocalError::NoSuchTunnel`], [`LocalError::CannotCall`], [`LocalError::Limit`],
    /// [`LocalError::NoNumber`].
    pub fn open_session(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        call: CallRequest,
        rng: &mut dyn CryptoRng,
    ) -> Result<SessionId, LocalError> {
        self.with(now, tunnel, |tunnel, step| {
            tunnel.open_call(step, call, rng)
        })
        .unwrap_or(Err(LocalError::NoSuchTunnel))
    }

    /// Ends a call with CDN.
    ///
    /// # Errors
    /// [`LocalError::NoSuchTunnel`], [`LocalError::NoSuchSession`].
    pub fn close_session(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        session: SessionId,
        reason: CloseSession,
    ) -> Result<(), LocalError> {
        self.with(now, tunnel, |tunnel, step| {
            tunnel.close_call(step, session, reason)
        })
        .unwrap_or(Err(LocalError::NoSuchTunnel))
    }

    /// Ends a tunnel with StopCCN.
    ///
    /// # Errors
    /// [`LocalError::NoSuchTunnel`], also when it is closing already.
    pub fn close_tunnel(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        reason: CloseTunnel,
    ) -> Result<(), LocalError> {
        self.with(now, tunnel, |tunnel, step| {
            if tunnel.is_closing() {
                return Err(LocalError::NoSuchTunnel);
            }
            let stop = |code| ResultCode::new(ResultScope::StopCcn, code);
            match reason {
                CloseTunnel::Administrative => {
                    tunnel.stop(step, stop(1), TunnelDownReason::Administrative);
                }
                CloseTunnel::ShuttingDown => {
                    tunnel.stop(step, stop(6), TunnelDownReason::ShuttingDown);
                }
                CloseTunnel::CallsLost => {
                    tunnel.stop(step, stop(1), TunnelDownReason::CallsLost);
                }
                CloseTunnel::PeerGone => {
                    tunnel.end(step, TunnelDownReason::AckFailure, Duration::ZERO);
                }
            }
            Ok(())
        })
        .unwrap_or(Err(LocalError::NoSuchTunnel))
    }

    /// Ends every tunnel with StopCCN and opens no more. All is said when `is_empty`.
    pub fn shutdown(&mut self, now: Instant) {
        self.shutting_down = true;
        let all: Vec<TunnelId> = self.entries.keys().copied().collect();
        for id in all {
            // One that is closing already needs nothing.
            let _ = self.close_tunnel(now, id, CloseTunnel::ShuttingDown);
        }
    }

    /// Whether no tunnel is left, closing ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every tunnel, closing ones included, by number.
    #[must_use]
    pub fn tunnels(&self, now: Instant) -> Vec<TunnelView> {
        self.entries
            .values()
            .map(|entry| entry.tunnel.view(now))
            .collect()
    }

    /// The tunnel of that number, if there is one.
    #[must_use]
    pub fn tunnel(&self, now: Instant, tunnel: TunnelId) -> Option<TunnelView> {
        self.entries
            .get(&tunnel)
            .map(|entry| entry.tunnel.view(now))
    }

    /// Every session of every tunnel, by tunnel and number.
    #[must_use]
    pub fn sessions(&self, now: Instant) -> Vec<SessionView> {
        let tunnels = self.entries.values().map(|entry| &entry.tunnel);
        tunnels
            .flat_map(|tunnel| tunnel.sessions.values().map(|s| s.view(tunnel.id, now)))
            .collect()
    }

    /// The session of that number in that tunnel, if there is one.
    #[must_use]
    pub fn session(
        &self,
        now: Instant,
        tunnel: TunnelId,
        session: SessionId,
    ) -> Option<SessionView> {
        let entry = self.entries.get(&tunnel)?;
        entry
            .tunnel
            .sessions
            .get(&session)
            .map(|session| session.view(tunnel, now))
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What to save: the established tunnels with their established sessions.
    #[must_use]
    pub fn checkpoint(&self, now: Instant) -> Vec<TunnelRecord> {
        self.entries
            .values()
            .filter_map(|entry| entry.tunnel.record(now))
            .collect()
    }

    /// Takes a saved tunnel whose nodes still exist back. No output says so; leave out of
    /// `record.sessions` those whose nodes are gone.
    ///
    /// # Errors
    /// [`LocalError::Conflict`], [`LocalError::Limit`].
    pub fn restore(&mut self, now: Instant, record: TunnelRecord) -> Result<(), LocalError> {
        let mut numbers = BTreeSet::new();
        let sound = record.peer_id != 0
            && record
                .sessions
                .iter()
                .all(|s| s.peer_id != 0 && numbers.insert(s.session));
        if !sound || self.entries.contains_key(&record.tunnel) {
            return Err(LocalError::Conflict);
        }
        if self.entries.len() >= self.config.limits.tunnels {
            return Err(LocalError::Limit);
        }
        let name = record.host_name.as_bytes();
        let secret = self.config.secret_for(&record.flow, name).cloned();
        let tunnel = Tunnel::from_record(record, secret, now);
        self.sessions += tunnel.sessions.len();
        self.book(tunnel);
        Ok(())
    }

    /// The tunnels over a flow.
    pub(crate) fn over(&self, flow: FlowId) -> Vec<TunnelId> {
        let Some((first, last)) = TunnelId::new(1).zip(TunnelId::new(u16::MAX)) else {
            return Vec::new();
        };
        self.flows
            .range((flow, first)..=(flow, last))
            .map(|&(_, id)| id)
            .collect()
    }

    pub(crate) fn draw_tunnel_id(&self, rng: &mut dyn CryptoRng, avoid: u16) -> Option<TunnelId> {
        let taken = |number| TunnelId::new(number).is_none_or(|id| self.entries.contains_key(&id));
        self.config
            .ids
            .draw(rng, avoid, taken)
            .and_then(TunnelId::new)
    }

    /// Takes a new tunnel in and announces it.
    pub(crate) fn create(&mut self, tunnel: Tunnel, sequence: HandOver) {
        let create = CreateTunnel {
            tunnel: tunnel.id,
            peer_id: tunnel.peer.id,
            flow: tunnel.flow,
            peer_window: tunnel.peer.window,
            role: tunnel.role,
            sequence,
            shares_flow_with: self.over(tunnel.flow).last().copied(),
        };
        self.counters.tunnels_created += 1;
        self.outputs.push_back(Output::CreateTunnel(create));
        self.book(tunnel);
    }

    fn book(&mut self, tunnel: Tunnel) {
        let (id, flow) = (tunnel.id, tunnel.flow);
        let class = Class::of(&tunnel);
        self.admission.add(flow.peer.ip(), class);
        self.flows.insert((flow, id));
        self.entries.insert(
            id,
            Box::new(Entry {
                tunnel,
                class,
                timer: None,
            }),
        );
        self.arm(id);
    }

    /// A step for what concerns no tunnel, or not yet one.
    pub(crate) fn step(&mut self, now: Instant) -> Step<'_> {
        Step {
            now,
            config: &self.config,
            counters: &mut self.counters,
            outputs: &mut self.outputs,
            reports: &mut self.reports,
            sessions: &mut self.sessions,
            shutting_down: self.shutting_down,
        }
    }

    /// Lets one tunnel do something, and settles what follows from it: booking, timer, removal.
    pub(crate) fn with<T>(
        &mut self,
        now: Instant,
        id: TunnelId,
        act: impl FnOnce(&mut Tunnel, &mut Step<'_>) -> T,
    ) -> Option<T> {
        let entry = self.entries.get_mut(&id)?;
        let mut step = Step {
            now,
            config: &self.config,
            counters: &mut self.counters,
            outputs: &mut self.outputs,
            reports: &mut self.reports,
            sessions: &mut self.sessions,
            shutting_down: self.shutting_down,
        };
        let result = act(&mut entry.tunnel, &mut step);
        let source = entry.tunnel.flow.peer.ip();
        let class = Class::of(&entry.tunnel);
        self.admission.remove(source, entry.class);
        self.admission.add(source, class);
        entry.class = class;
        if matches!(entry.tunnel.state, State::Closing { until } if until <= now) {
            self.remove(id);
        } else {
            self.arm(id);
        }
        Some(result)
    }

    /// Forgets a tunnel and has its nodes removed.
    fn remove(&mut self, id: TunnelId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        if let Some(at) = entry.timer {
            self.timers.remove(&(at, id));
        }
        self.flows.remove(&(entry.tunnel.flow, id));
        self.admission
            .remove(entry.tunnel.flow.peer.ip(), entry.class);
        self.outputs.push_back(Output::RemoveTunnel { tunnel: id });
    }

    fn arm(&mut self, id: TunnelId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let at = entry
            .tunnel
            .deadline(self.config.hello_interval, self.config.idle_timeout);
        if at == entry.timer {
            return;
        }
        if let Some(old) = entry.timer.take() {
            self.timers.remove(&(old, id));
        }
        if let Some(at) = at {
            entry.timer = Some(at);
            self.timers.insert((at, id));
        }
    }
}
