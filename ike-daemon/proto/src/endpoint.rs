//! The endpoint.

use std::collections::VecDeque;
use std::time::Instant;

use rand_core::CryptoRng;

use crate::checkpoint::Checkpoint;
use crate::error::CommandError;
use crate::io::{ChildId, Datagram, DhResult, IkeId, KernelReply, Output};
use crate::policy::Policy;
use crate::view::{ChildSaView, Counters, IkeSaView};

/// All IKE state of one host. See [`crate::io`] for how to drive it.
pub struct Endpoint {
    policy: Policy,
    outputs: VecDeque<Output>,
    generation: u64,
}

impl Endpoint {
    /// An endpoint without any state.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            outputs: VecDeque::new(),
            generation: 0,
        }
    }

    /// Replaces the policy. Established SAs stay; exchanges under way finish under the new one.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes in one datagram.
    pub fn handle_datagram(
        &mut self,
        _now: Instant,
        _datagram: Datagram<'_>,
        _rng: &mut dyn CryptoRng,
    ) {
    }

    /// Takes in an answer or a report of the kernel.
    pub fn handle_kernel(&mut self, _now: Instant, _reply: KernelReply, _rng: &mut dyn CryptoRng) {}

    /// Takes in a finished computation.
    pub fn handle_job(&mut self, _now: Instant, _result: DhResult, _rng: &mut dyn CryptoRng) {}

    /// Does what is due at `now`. Call it when `next_timeout` has passed; calling it early is
    /// harmless.
    pub fn handle_timeout(&mut self, _now: Instant, _rng: &mut dyn CryptoRng) {}

    /// When `handle_timeout` is due; `None` while there is nothing to wait for. May change with
    /// every input.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next thing to do. Drain until `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Starts (or, if an ISAKMP SA for it is up, adds IPsec SAs to) a connection of the policy.
    pub fn initiate(
        &mut self,
        _now: Instant,
        connection: &str,
        _rng: &mut dyn CryptoRng,
    ) -> Result<IkeId, CommandError> {
        Err(CommandError::UnknownConnection(connection.to_owned()))
    }

    /// Deletes an ISAKMP SA, telling the peer; with `children` also all IPsec SAs and other ISAKMP
    /// SAs of its client.
    pub fn delete_ike(
        &mut self,
        _now: Instant,
        _ike: IkeId,
        _children: bool,
        _rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSa)
    }

    /// Deletes a pair of IPsec SAs, telling the peer.
    pub fn delete_child(
        &mut self,
        _now: Instant,
        _child: ChildId,
        _rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSa)
    }

    /// Rekeys a pair of IPsec SAs now.
    pub fn rekey_child(
        &mut self,
        _now: Instant,
        _child: ChildId,
        _rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSa)
    }

    /// Rekeys an ISAKMP SA now.
    pub fn rekey_ike(
        &mut self,
        _now: Instant,
        _ike: IkeId,
        _rng: &mut dyn CryptoRng,
    ) -> Result<(), CommandError> {
        Err(CommandError::UnknownSa)
    }

    /// Deletes everything, telling every peer.
    pub fn flush(&mut self, _now: Instant, _rng: &mut dyn CryptoRng) {}

    /// All ISAKMP SAs, half-open ones included.
    pub fn ike_sas(&self, _now: Instant) -> Vec<IkeSaView> {
        Vec::new()
    }

    /// All pairs of IPsec SAs.
    pub fn child_sas(&self, _now: Instant) -> Vec<ChildSaView> {
        Vec::new()
    }

    /// Counters since start.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Grows with every change a checkpoint must record.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Established state, to be given to `restore` of the next process. `wall` is the wall clock
    /// in seconds.
    pub fn checkpoint(&self, _now: Instant, wall: u64) -> Checkpoint {
        Checkpoint {
            version: crate::checkpoint::CHECKPOINT_VERSION,
            written: wall,
            next_id: 1,
            clients: Vec::new(),
            ike_sas: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Takes over the state of an earlier process. Only for a fresh endpoint. What has expired
    /// meanwhile is removed at the next `handle_timeout`, kernel included.
    pub fn restore(
        &mut self,
        _now: Instant,
        _wall: u64,
        _checkpoint: &Checkpoint,
    ) -> Result<(), CommandError> {
        Ok(())
    }
}
