//! The SPI of a Quick Mode: which kernel is asked for it, and what it would know the client by.

use std::net::{IpAddr, SocketAddr};

use crate::carrier::{Carrier, Choice, Demand, PeerPort};
use crate::context::{Context, PendingChild};
use crate::ikev1::Session;
use crate::io::{ChildId, Direction, Event, GetSpi, KernelRequest, Mode, Reqid, SaDelete};
use crate::nat::Path;
use crate::places::{Inner, Place};

use super::{QuickMode, Stage};

impl Session {
    /// What the system's kernel would know this client's traffic by.
    pub(super) fn inner(&self, port: u16, original: Option<IpAddr>) -> Option<Inner> {
        let established = self.established().filter(|_| self.nat.peer)?;
        Some(Inner {
            port,
            original,
            identity: established.peer_identity.clone(),
        })
    }

    /// What a Quick Mode over `path` asks of the kernel that will carry it.
    pub(super) fn demand(&self, cx: &Context<'_>, path: Path, inner: Option<&Inner>) -> Demand {
        let address = path.peer.ip();
        let reqid = self.reqid();
        let places = &cx.shared.places;
        Demand {
            ipv6: address.is_ipv6(),
            present: places.of_client(address, reqid),
            shared: inner.and_then(|inner| places.shared(address, reqid, inner)),
        }
    }

    pub(super) fn reqid(&self) -> Reqid {
        self.established().map_or(Reqid(0), |e| e.client)
    }

    /// Asks the chosen kernel for the inbound SPI.
    pub(super) fn ask_spi(
        &mut self,
        cx: &mut Context<'_>,
        quick: &QuickMode,
        path: Path,
        (carrier, reason): Choice,
    ) {
        let reqid = self.reqid();
        let pending = PendingChild {
            ike: self.id,
            message_id: quick.message_id,
            carrier,
        };
        cx.shared.pending.insert(quick.child, pending);
        let beside = cx.shared.carriers.system.is_some();
        let port = PeerPort {
            local: SocketAddr::new(self.path.local.ip(), cx.shared.policy.nat.natt_port),
            peer: path.peer,
        };
        let place = Place {
            reqid,
            carrier,
            port: Some(port).filter(|_| beside && carrier == Carrier::Soft),
            inner: match quick.mode {
                Mode::Transport => {
                    let traffic = &quick.traffic;
                    self.inner(traffic.selectors.peer.port, traffic.peer_original)
                }
                Mode::Tunnel => None,
            },
        };
        cx.shared.place(path.peer.ip(), quick.child, place);
        if cx.shared.carriers.both() {
            cx.shared.event(Event::Carried {
                reqid,
                peer: path.peer,
                carrier,
                reason,
            });
        }
        let get = GetSpi {
            child: quick.child,
            source: path.peer.ip(),
            destination: self.path.local.ip(),
            mode: quick.mode,
            reqid,
        };
        cx.shared.kernel(carrier, KernelRequest::GetSpi(get));
    }

    /// Gives back an SPI that nothing uses.
    pub(super) fn release_spi(&self, cx: &mut Context<'_>, quick: &QuickMode, spi: u32) {
        cx.shared.pending.remove(&quick.child);
        self.release_late_spi(cx, quick.carrier, quick.child, spi);
    }

    /// Releases an SPI that came when its Quick Mode was over already.
    pub(crate) fn release_late_spi(
        &self,
        cx: &mut Context<'_>,
        carrier: Carrier,
        child: ChildId,
        spi: u32,
    ) {
        let larval = SaDelete {
            child,
            direction: Direction::Inbound,
            spi,
            source: self.path.peer.ip(),
            destination: self.path.local.ip(),
        };
        cx.shared.kernel(carrier, KernelRequest::Delete(larval));
    }

    /// Whether a Quick Mode still waits for its SPI.
    pub(crate) fn wants_spi(&self, message_id: u32) -> bool {
        self.established()
            .and_then(|established| established.quick.get(&message_id))
            .is_some_and(|quick| {
                matches!(
                    quick.stage,
                    Stage::Qm1Received { .. } | Stage::Starting { .. }
                )
            })
    }
}
