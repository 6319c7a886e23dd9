//! SAs the core believes in against SAs the kernel has: after the kernel's process was restarted,
//! or after ours.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ike_proto::io::{ChildId, KernelReply};
use ike_proto::view::ChildSaView;
use pfkey::Message;
use pfkey::ext::IPSEC_MANUAL_REQID_MAX;

/// A pair of SAs of the core at the time of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The pair.
    pub child: ChildId,
    /// SPI of packets to us.
    pub spi_in: u32,
    /// SPI of packets to the peer.
    pub spi_out: u32,
    /// Our address.
    pub local: IpAddr,
    /// The peer's.
    pub peer: IpAddr,
}

impl Known {
    /// From the core's view; pairs that are still being installed are not audited.
    pub fn from_view(view: &ChildSaView) -> Option<Self> {
        (view.established.is_some() && view.spi_in != 0 && view.spi_out != 0).then(|| Self {
            child: view.id,
            spi_in: view.spi_in,
            spi_out: view.spi_out,
            local: view.local.ip(),
            peer: view.peer.ip(),
        })
    }
}

/// What an audit found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Pairs that miss a half in the kernel, as the expiry the core has to be told.
    pub lost: Vec<KernelReply>,
    /// SAs of the kernel in our range of reqids that the core does not know:
    /// (SPI, source, destination).
    pub orphans: Vec<(u32, IpAddr, IpAddr)>,
}

impl Audit {
    /// Compares `known` with a dump of the kernel.
    pub fn new(known: &[Known], sas: &[Message]) -> Self {
        let present: HashMap<(u32, IpAddr), &Message> =
            sas.iter().filter_map(|sa| Some((place(sa)?, sa))).collect();
        let ours: HashSet<(u32, IpAddr)> = known
            .iter()
            .flat_map(|pair| [(pair.spi_in, pair.local), (pair.spi_out, pair.peer)])
            .collect();
        let lost = known
            .iter()
            .filter(|pair| {
                !present.contains_key(&(pair.spi_in, pair.local))
                    || !present.contains_key(&(pair.spi_out, pair.peer))
            })
            .map(|pair| KernelReply::Expire {
                spi: pair.spi_in,
                destination: pair.local,
                hard: true,
            })
            .collect();
        let mut orphans: Vec<(u32, IpAddr, IpAddr)> = present
            .iter()
            .filter(|(place, sa)| !ours.contains(place) && is_ours(sa))
            .filter_map(|((spi, destination), sa)| Some((*spi, sa.source()?.ip(), *destination)))
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

fn is_ours(sa: &Message) -> bool {
    sa.sa2()
        .is_some_and(|sa2| (1..=IPSEC_MANUAL_REQID_MAX).contains(&sa2.reqid))
}
