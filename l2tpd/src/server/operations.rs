//! Kernel operations under way, and what their answers lead to.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use l2tp_proto::{KernelId, TunnelId};
use rand_core::CryptoRng;

use super::Server;
use super::ended::Ended;
use super::io::{KernelAnswer, KernelError, KernelOp, OpId, Output, SessionKey};
use super::session::{Interface, Session};
use crate::events::Event;
use crate::pool::Range;

/// An operation without an answer counts as failed after this long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why an operation was asked for. Serials tell a thing from a later one with the same number.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Nobody waits.
    None,
    /// Something that sessions can do without; a failure is told.
    Optional { what: &'static str },
    /// Nodes go away; if they do not, they are told to again at the next start.
    Removal,
    /// Something a tunnel cannot do without.
    Tunnel {
        tunnel: TunnelId,
        serial: u64,
        what: &'static str,
    },
    /// Something a session cannot do without.
    Session {
        session: SessionKey,
        serial: u64,
        what: &'static str,
    },
    /// The session's interface.
    Interface { session: SessionKey, serial: u64 },
    /// The interface's addresses.
    Addresses { session: SessionKey, serial: u64 },
    /// That packets flow.
    Flow { session: SessionKey, serial: u64 },
    /// The session's counters.
    Traffic { session: SessionKey, serial: u64 },
    /// The last of a session.
    Ended(Box<Ended>),
}

/// The operations that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Operations {
    last: u64,
    purposes: HashMap<OpId, (KernelId, Purpose)>,
    /// In the order of asking, answered ones included until they reach the front.
    deadlines: VecDeque<(Instant, OpId)>,
}

impl Operations {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let (deadline, _) = self
            .deadlines
            .iter()
            .find(|(_, op)| self.purposes.contains_key(op))?;
        Some(*deadline)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.purposes.is_empty()
    }

    /// Whether a session that is going gives an address of `range` back.
    pub(super) fn gives_back(&self, range: Range) -> bool {
        self.purposes.values().any(|(_, purpose)| match purpose {
            Purpose::Ended(ended) => ended.leased.is_some_and(|address| range.contains(address)),
            _ => false,
        })
    }

    fn take(&mut self, op: OpId) -> Option<Purpose> {
        let purpose = self.purposes.remove(&op).map(|(_, purpose)| purpose);
        while self
            .deadlines
            .front()
            .is_some_and(|(_, op)| !self.purposes.contains_key(op))
        {
            self.deadlines.pop_front();
        }
        purpose
    }
}

impl Server {
    /// Asks for an operation on the nodes of a tunnel; its number, when somebody waits for the
    /// answer.
    pub(super) fn kernel(
        &mut self,
        now: Instant,
        operation: KernelOp,
        purpose: Purpose,
    ) -> Option<OpId> {
        let kernel = operation
            .tunnel()
            .map_or(self.home, |tunnel| self.kernel_of(tunnel));
        self.kernel_in(now, kernel, operation, purpose)
    }

    /// Asks one kernel for an operation.
    pub(super) fn kernel_in(
        &mut self,
        now: Instant,
        kernel: KernelId,
        operation: KernelOp,
        purpose: Purpose,
    ) -> Option<OpId> {
        self.operations.last += 1;
        let op = OpId(self.operations.last);
        let waits = operation.has_answer();
        if waits {
            self.operations.purposes.insert(op, (kernel, purpose));
            self.operations.deadlines.push_back((now + DEADLINE, op));
        }
        self.outputs.push_back(Output::Kernel {
            op,
            kernel,
            operation,
        });
        waits.then_some(op)
    }

    pub(super) fn tunnel_operation(
        &mut self,
        now: Instant,
        tunnel: TunnelId,
        operation: KernelOp,
        what: &'static str,
    ) {
        let Some(serial) = self.live.get(&tunnel).map(|tunnel| tunnel.serial) else {
            return;
        };
        self.kernel(
            now,
            operation,
            Purpose::Tunnel {
                tunnel,
                serial,
                what,
            },
        );
    }

    pub(super) fn session_operation(
        &mut self,
        now: Instant,
        session: SessionKey,
        operation: KernelOp,
        what: &'static str,
    ) {
        let Some(serial) = self.sessions.get(&session).map(|session| session.serial) else {
            return;
        };
        self.kernel(
            now,
            operation,
            Purpose::Session {
                session,
                serial,
                what,
            },
        );
    }

    /// Asks for the counters of a session, unless that is under way.
    pub(super) fn read_traffic(&mut self, now: Instant, session: SessionKey) -> Option<OpId> {
        let state = self.sessions.get_mut(&session)?;
        let serial = state.serial;
        if std::mem::replace(&mut state.reading, true) {
            return None;
        }
        let operation = KernelOp::ReadTraffic { session };
        self.kernel(now, operation, Purpose::Traffic { session, serial })
    }

    pub(super) fn on_kernel(
        &mut self,
        now: Instant,
        op: OpId,
        outcome: Result<KernelAnswer, KernelError>,
        rng: &mut dyn CryptoRng,
    ) {
        // A late answer was counted as none already.
        let Some(purpose) = self.operations.take(op) else {
            return;
        };
        if let Err(error) = &outcome {
            self.note_failure(&purpose, error);
        }
        match purpose {
            Purpose::None | Purpose::Removal | Purpose::Optional { .. } => {}
            Purpose::Tunnel { tunnel, serial, .. } => {
                let same = self
                    .live
                    .get(&tunnel)
                    .is_some_and(|tunnel| tunnel.serial == serial);
                if outcome.is_err() && same {
                    self.tunnels.tunnel_failed(now, tunnel);
                }
            }
            Purpose::Session {
                session, serial, ..
            } => {
                if let Err(error) = outcome {
                    self.session_failed(now, session, serial, &error);
                }
            }
            Purpose::Interface { session, serial } => match outcome {
                Ok(KernelAnswer::Interface(name)) => {
                    if let Some(state) = self.same_session(session, serial) {
                        state.interface = Interface::Ready(name);
                        self.set_interface(now, session);
                    }
                }
                Ok(_) => self.session_failed(now, session, serial, &KernelError::NoAnswer),
                Err(error) => self.session_failed(now, session, serial, &error),
            },
            Purpose::Addresses { session, serial } => match outcome {
                Ok(_) => {
                    if let Some(framing) = self.same_session(session, serial).map(|s| s.framing()) {
                        let operation = KernelOp::SetPpp { session, framing };
                        self.kernel(now, operation, Purpose::Flow { session, serial });
                    }
                }
                Err(error) => self.session_failed(now, session, serial, &error),
            },
            Purpose::Flow { session, serial } => match outcome {
                Ok(_) => {
                    if self.same_session(session, serial).is_some() {
                        self.packets_flow(now, session);
                    }
                }
                Err(error) => self.session_failed(now, session, serial, &error),
            },
            Purpose::Traffic { session, serial } => {
                if let Some(state) = self.same_session(session, serial) {
                    state.reading = false;
                }
                if let Ok(KernelAnswer::Traffic(traffic)) = outcome {
                    self.on_traffic(now, session, serial, traffic);
                }
                self.answer_shows(now, op);
            }
            Purpose::Ended(ended) => {
                let traffic = match outcome {
                    Ok(KernelAnswer::Traffic(traffic)) => traffic,
                    _ => ended.traffic,
                };
                self.on_ended(now, *ended, traffic, rng);
            }
        }
    }

    /// Operations that had no answer in time have failed.
    pub(super) fn expire_operations(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        while let Some(&(deadline, op)) = self.operations.deadlines.front()
            && deadline <= now
        {
            self.operations.deadlines.pop_front();
            self.on_kernel(now, op, Err(KernelError::NoAnswer), rng);
        }
    }

    pub(super) fn on_kernel_lost(
        &mut self,
        now: Instant,
        kernel: KernelId,
        rng: &mut dyn CryptoRng,
    ) {
        self.counters.kernel_lost += 1;
        self.event(Event::KernelLost(kernel));
        let there = self.live.iter();
        let mut tunnels: Vec<TunnelId> = there
            .filter(|(_, tunnel)| tunnel.flow.kernel == kernel)
            .map(|(id, _)| *id)
            .collect();
        tunnels.sort_unstable();
        for tunnel in tunnels {
            self.tunnels.tunnel_failed(now, tunnel);
        }
        let asked = self.operations.purposes.iter();
        let mut operations: Vec<OpId> = asked
            .filter(|(_, (asked_of, _))| *asked_of == kernel)
            .map(|(op, _)| *op)
            .collect();
        operations.sort_unstable();
        for op in operations {
            self.on_kernel(now, op, Err(KernelError::Lost), rng);
        }
    }

    pub(super) fn same_session(
        &mut self,
        session: SessionKey,
        serial: u64,
    ) -> Option<&mut Session> {
        self.sessions
            .get_mut(&session)
            .map(Box::as_mut)
            .filter(|state| state.serial == serial)
    }

    fn session_failed(
        &mut self,
        now: Instant,
        session: SessionKey,
        serial: u64,
        error: &KernelError,
    ) {
        if let Some(state) = self.same_session(session, serial) {
            state.because(error);
            self.tunnels
                .session_failed(now, session.tunnel, session.session);
        }
    }

    fn note_failure(&mut self, purpose: &Purpose, error: &KernelError) {
        let what = match purpose {
            // What cannot be removed is gone; counters are asked for again.
            Purpose::None | Purpose::Removal | Purpose::Ended(_) | Purpose::Traffic { .. } => {
                return;
            }
            Purpose::Optional { what } => (*what).to_owned(),
            Purpose::Tunnel { tunnel, what, .. } => format!("{what} of tunnel {}", tunnel.value()),
            Purpose::Session { session, what, .. } => format!("{what} of session {session}"),
            Purpose::Interface { session, .. } => format!("the interface of session {session}"),
            Purpose::Addresses { session, .. } => format!("the addresses of session {session}"),
            Purpose::Flow { session, .. } => format!("the packets of session {session}"),
        };
        self.counters.kernel_failures += 1;
        // The loss of the whole kernel has its own line.
        if *error != KernelError::Lost {
            self.event(Event::KernelFailed {
                what,
                reason: error.to_string(),
            });
        }
    }
}
