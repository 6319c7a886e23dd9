//! NAT traversal: detection (RFC 3947 3.2), the float to port 4500 (section 4), and who sends
//! keepalives (RFC 3948 4).

use std::net::SocketAddr;

use ike_crypto::{Cookie, Hash};

use crate::vendor::NatVariant;
use crate::wire::nat_d::nat_d;

/// The two ends of an IKE conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Ours.
    pub(crate) local: SocketAddr,
    /// The peer's, as we see it.
    pub(crate) peer: SocketAddr,
    /// Through the NAT traversal port, behind the non-ESP marker.
    pub(crate) natt_port: bool,
}

/// What is known about NAT between us and a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NatState {
    /// The variant both speak.
    pub(crate) variant: NatVariant,
    /// We are behind NAT: our address is not the one the peer sent to.
    pub(crate) local: bool,
    /// The peer is behind NAT: it does not have the address we see.
    pub(crate) peer: bool,
}

impl NatState {
    /// Whether there is any NAT.
    pub(crate) fn detected(&self) -> bool {
        self.local || self.peer
    }

    /// Evaluates the peer's NAT-D payloads: the first is for the destination, which is us, the
    /// others for every address the source may have (RFC 3947 3.2). Without payloads there is no
    /// detection, and no NAT traversal.
    pub(crate) fn detect<'a>(
        &mut self,
        hash: Hash,
        cky_i: &Cookie,
        cky_r: &Cookie,
        path: &Path,
        mut payloads: impl Iterator<Item = &'a [u8]>,
    ) {
        let Some(destination) = payloads.next() else {
            self.variant = NatVariant::None;
            return;
        };
        self.local = destination != nat_d(hash, cky_i, cky_r, path.local);
        let source = nat_d(hash, cky_i, cky_r, path.peer);
        let mut sources = payloads.take(MAX_SOURCES).peekable();
        // One payload alone says nothing about the source.
        self.peer = sources.peek().is_some() && !sources.any(|hash| hash == source);
    }
}

/// The bodies of the NAT-D payloads we send: the peer first, then us. With `force` ours says an
/// address nobody has, so that the peer finds us behind NAT.
pub(crate) fn own_nat_d(
    hash: Hash,
    cky_i: &Cookie,
    cky_r: &Cookie,
    path: &Path,
    force: bool,
) -> [Vec<u8>; 2] {
    let own = if force {
        SocketAddr::from(([0, 0, 0, 0], 0))
    } else {
        path.local
    };
    [
        nat_d(hash, cky_i, cky_r, path.peer),
        nat_d(hash, cky_i, cky_r, own),
    ]
}

/// More source addresses than any host sends.
const MAX_SOURCES: usize = 16;
