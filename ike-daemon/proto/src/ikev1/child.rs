//! A pair of IPsec SAs as the result of Quick Mode.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ike_crypto::Group;

use crate::carrier::Carrier;
use crate::iana::EncapsulationMode;
use crate::io::{
    ChildId, Direction, IkeId, Mode, Reqid, SaDelete, SaLifetime, SaLook, SecurityPolicy,
    TrafficSelectors, UdpEncapsulation,
};
use crate::policy::EspSuite;
use crate::wire::id::IdPayload;

/// A pair of IPsec SAs. The keys are in the kernel and nowhere else.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) id: ChildId,
    pub(crate) ike: IkeId,
    pub(crate) carrier: Carrier,
    pub(crate) reqid: Reqid,
    pub(crate) initiator: bool,
    pub(crate) spi_in: u32,
    pub(crate) spi_out: u32,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) mode: Mode,
    pub(crate) encapsulation_mode: EncapsulationMode,
    pub(crate) encapsulation: Option<UdpEncapsulation>,
    pub(crate) suite: EspSuite,
    pub(crate) pfs: Option<Group>,
    pub(crate) traffic: TrafficSelectors,
    pub(crate) peer_original: Option<IpAddr>,
    pub(crate) local_original: Option<IpAddr>,
    /// The ID payloads that described our and the peer's side, for rekeying with the same ones.
    pub(crate) ids: Option<(IdPayload, IdPayload)>,
    pub(crate) lifetime: Duration,
    pub(crate) kilobytes: u64,
    pub(crate) created: Instant,
    pub(crate) rekey: Option<Instant>,
    pub(crate) expires: Instant,
    /// When to delete it after our own rekeying has replaced it.
    pub(crate) retire: Option<Instant>,
    pub(crate) stage: ChildStage,
    /// The outbound half is out of the kernel already: a newer one must be used.
    pub(crate) outbound_gone: bool,
    pub(crate) replaces: Option<ChildId>,
    pub(crate) inbound_octets: u64,
    pub(crate) outbound_octets: u64,
}

/// How far a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildStage {
    /// The inbound half is in the kernel, or on its way; whether the kernel has said so.
    Inbound { installed: bool },
    /// The same of both halves, before QM3: a client without another pair may use the new one with QM3,
    /// and is answered at once. Which of them the kernel has not confirmed.
    First { inbound: bool, outbound: bool },
    /// Both halves are in the kernel, or on their way; which of them the kernel has not confirmed.
    Installing { inbound: bool, outbound: bool },
    /// Both halves work.
    Installed,
    /// Both halves work and a Quick Mode to replace them is under way.
    Rekeying,
    /// A newer pair does the work; this one waits for its end.
    Superseded,
}

impl Child {
    /// Name of the stage for views.
    pub(crate) fn state(&self) -> &'static str {
        match self.stage {
            ChildStage::Inbound { .. }
            | ChildStage::First { .. }
            | ChildStage::Installing { .. } => "installing",
            ChildStage::Installed => "installed",
            ChildStage::Rekeying => "rekeying",
            ChildStage::Superseded => "rekeyed",
        }
    }

    /// Whether both halves are known to work.
    pub(crate) fn is_up(&self) -> bool {
        matches!(
            self.stage,
            ChildStage::Installed | ChildStage::Rekeying | ChildStage::Superseded
        )
    }

    /// Whether the outbound half is in the kernel, or on its way.
    pub(crate) fn has_outbound(&self) -> bool {
        !matches!(self.stage, ChildStage::Inbound { .. }) && !self.outbound_gone
    }

    /// The kernel requests that remove it.
    pub(crate) fn deletes(&self) -> Vec<SaDelete> {
        let mut deletes = vec![self.delete(Direction::Inbound)];
        if self.has_outbound() {
            deletes.push(self.delete(Direction::Outbound));
        }
        deletes
    }

    /// The kernel request that removes one half.
    pub(crate) fn delete(&self, direction: Direction) -> SaDelete {
        let (spi, source, destination) = match direction {
            Direction::Inbound => (self.spi_in, self.peer, self.local),
            Direction::Outbound => (self.spi_out, self.local, self.peer),
        };
        SaDelete {
            child: self.id,
            direction,
            spi,
            source: source.ip(),
            destination: destination.ip(),
        }
    }

    /// The kernel request that tells what has come through it.
    pub(crate) fn look(&self) -> SaLook {
        SaLook {
            child: self.id,
            spi: self.spi_in,
            source: self.peer.ip(),
            destination: self.local.ip(),
        }
    }

    /// The policies its traffic needs.
    pub(crate) fn policies(&self) -> [SecurityPolicy; 2] {
        [Direction::Outbound, Direction::Inbound].map(|direction| SecurityPolicy {
            direction,
            traffic: self.traffic,
            mode: self.mode,
            local: self.local.ip(),
            peer: self.peer.ip(),
            reqid: self.reqid,
        })
    }

    /// When something is due.
    pub(crate) fn due(&self) -> Instant {
        [self.rekey, self.retire]
            .into_iter()
            .flatten()
            .fold(self.expires, Instant::min)
    }
}

/// Lifetimes for the kernel: it is the safety net, a little behind our own timers, and the one who
/// counts octets.
pub(crate) fn kernel_lifetime(lifetime: Duration, kilobytes: u64) -> SaLifetime {
    let hard_octets = kilobytes.saturating_mul(1024);
    SaLifetime {
        soft: lifetime.saturating_mul(98) / 100,
        hard: lifetime + Duration::from_secs(30),
        soft_octets: hard_octets / 100 * 85,
        hard_octets,
    }
}
