//! SAs the core believes in against SAs the kernel has: after the kernel's process was restarted,
//! or after ours.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ike_proto::carrier::Carrier;
use ike_proto::io::{ChildId, KernelReply};
use ike_proto::view::ChildSaView;
use pfkey::Message;
use pfkey::ext::IPSEC_MANUAL_REQID_MAX;

/// A pair of SAs of the core at the time of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The kernel it is in.
    pub carrier: Carrier,
    /// The pair.
    pub child: ChildId,
    /// SPI of packets to us.
    pub spi_in: u32,
    /// SPI of packets to the peer, while there is such an SA.
    pub spi_out: Option<u32>,
    /// Our address.
    pub local: IpAddr,
    /// The peer's.
    pub peer: IpAddr,
}

impl Known {
    /// From the core's view; pairs that are still being installed are not audited.
    pub fn from_view(view: &ChildSaView) -> Option<Self> {
        (view.established.is_some() && view.spi_in != 0 && view.spi_out != 0).then(|| Self {
            carrier: view.kernel,
            child: view.id,
            spi_in: view.spi_in,
            spi_out: (!view.outbound_gone).then_some(view.spi_out),
            local: view.local.ip(),
            peer: view.peer.ip(),
        })
    }

    /// (SPI, destination) of its halves.
    fn places(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        let outbound = self.spi_out.map(|spi| (spi, self.peer));
        [(self.spi_in, self.local)].into_iter().chain(outbound)
    }
}

/// What an audit found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Pairs that miss a half in the kernel, as the expiry the core has to be told.
    pub lost: Vec<KernelReply>,
    /// SAs of the kernel in our range of reqids that the core does not know.
    pub orphans: Vec<Orphan>,
}

/// An SA of ours that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// The client it was for.
    pub reqid: u32,
    /// Its SPI.
    pub spi: u32,
    /// Source of its traffic.
    pub source: IpAddr,
    /// Destination of its traffic.
    pub destination: IpAddr,
}

impl Audit {
    /// Compares `known` with a dump of the kernel, where `is_ours` tells our reqids from others'.
    pub fn new(known: &[Known], sas: &[Message], is_ours: impl Fn(u32) -> bool) -> Self {
        let present: HashMap<(u32, IpAddr), &Message> =
            sas.iter().filter_map(|sa| Some((place(sa)?, sa))).collect();
        let ours: HashSet<(u32, IpAddr)> = known.iter().flat_map(Known::places).collect();
        let lost = known
            .iter()
            .filter(|pair| !pair.places().all(|place| present.contains_key(&place)))
            .map(|pair| KernelReply::Expire {
                carrier: pair.carrier,
                spi: pair.spi_in,
                destination: pair.local,
                hard: true,
            })
            .collect();
        let mut orphans: Vec<Orphan> = present
            .iter()
            .filter(|(place, _)| !ours.contains(place))
            .filter_map(|((spi, destination), sa)| {
                Some(Orphan {
                    reqid: reqid(sa).filter(|reqid| is_ours(*reqid))?,
                    spi: *spi,
                    source: sa.source()?.ip(),
                    destination: *destination,
                })
            })
            .collect();
        orphans.sort_unstable();
        Self { lost, orphans }
    }
}

/// Octets of every SA of a dump, by SPI and destination.
pub fn octets(sas: &[Message]) -> HashMap<(u32, IpAddr), u64> {
    sas.iter()
        .filter_map(|sa| Some((place(sa)?, sa.lifetime_current()?.bytes)))
        .collect()
}

fn place(sa: &Message) -> Option<(u32, IpAddr)> {
    Some((sa.sa()?.spi, sa.destination()?.ip()))
}

/// The reqid of an SA, and of a policy that ike-daemon may have made.
pub fn reqid(message: &Message) -> Option<u32> {
    let reqid = match (message.sa2(), message.policy()) {
        (Some(sa2), None) => sa2.reqid,
        (_, Some(policy)) => match policy.requests.as_slice() {
            [request] => request.reqid,
            _ => return None,
        },
        _ => return None,
    };
    (1..=IPSEC_MANUAL_REQID_MAX)
        .contains(&reqid)
        .then_some(reqid)
}
