//! What `ikectl` and the daemon say to each other, inside the lines of
//! [`tanuki_daemon::control`].

use std::net::IpAddr;

use ike_proto::carrier::Carrier;
use ike_proto::view::{ChildSaView, Counters, IkeSaView};
use serde::{Deserialize, Serialize};

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// ISAKMP SAs; answer: a list of [`IkeSaView`].
    ShowIke,
    /// IPsec SAs; answer: [`IpsecAnswer`].
    ShowIpsec,
    /// Policies of the kernel; answer: [`PoliciesAnswer`].
    ShowPolicies,
    /// Counters; answer: [`Stats`].
    ShowStats,
    /// Everything at once; answer: [`DumpAnswer`].
    Dump,
    /// Starts a connection of the configuration.
    Connect {
        /// Its name.
        name: String,
        /// Answer when it is up or has failed, instead of at once.
        wait: bool,
    },
    /// Deletes an ISAKMP SA.
    DeleteIke {
        /// Its number.
        id: u64,
        /// And everything else of that client.
        client: bool,
    },
    /// Deletes a pair of IPsec SAs.
    DeleteIpsec {
        /// Its number.
        id: u64,
    },
    /// Deletes everything of the clients at an address.
    DeletePeer {
        /// The address.
        peer: IpAddr,
    },
    /// Renews an ISAKMP SA now.
    RekeyIke {
        /// Its number.
        id: u64,
    },
    /// Renews a pair of IPsec SAs now.
    RekeyIpsec {
        /// Its number.
        id: u64,
    },
    /// Deletes everything, telling every peer.
    Flush,
    /// Reads the configuration again.
    Reload,
}

/// IPsec SAs as the kernel and as the core see them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IpsecAnswer {
    /// What `setkey -D` prints.
    pub text: String,
    /// The SAs of the kernel, without keys.
    pub kernel: Vec<KernelSa>,
    /// The pairs of the core.
    pub pairs: Vec<ChildSaView>,
}

/// One SA of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSa {
    /// The kernel that has it.
    pub kernel: Carrier,
    /// SPI.
    pub spi: u32,
    /// Source address, with the UDP port when ESP is in UDP.
    pub source: String,
    /// Destination address, likewise.
    pub destination: String,
    /// `transport`, `tunnel` or `any`.
    pub mode: String,
    /// Request id.
    pub reqid: u32,
    /// Encryption algorithm in setkey(8)'s words.
    pub encryption: String,
    /// Authentication algorithm in setkey(8)'s words.
    pub authentication: String,
    /// `larval`, `mature`, `dying` or `dead`.
    pub state: String,
    /// Octets so far.
    pub octets: u64,
    /// Packets so far.
    pub packets: u32,
    /// Creation, seconds since 1970.
    pub created: u64,
    /// Last use, seconds since 1970; 0 for never.
    pub used: u64,
    /// Soft lifetime in seconds, 0 for none.
    pub soft: u64,
    /// Hard lifetime in seconds, 0 for none.
    pub hard: u64,
}

/// Policies of the kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PoliciesAnswer {
    /// What `setkey -DP` prints.
    pub text: String,
    /// One entry a policy.
    pub policies: Vec<KernelPolicy>,
}

/// One policy of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelPolicy {
    /// The kernel that has it.
    pub kernel: Carrier,
    /// The kernel's number.
    pub id: u32,
    /// `in` or `out`.
    pub direction: String,
    /// Source subnet.
    pub source: String,
    /// Source port, 0 for any.
    pub source_port: u16,
    /// Destination subnet.
    pub destination: String,
    /// Destination port, 0 for any.
    pub destination_port: u16,
    /// IP protocol, 255 for any.
    pub protocol: u8,
    /// `ipsec`, `none`, `discard`.
    pub action: String,
    /// Request ids of its requests.
    pub reqids: Vec<u32>,
}

/// Counters and states of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The daemon's version.
    pub version: String,
    /// Seconds since its start.
    pub uptime: u64,
    /// `system` or the path of softkernel's socket.
    pub kernel: String,
    /// Whether PF_KEY is open.
    pub kernel_connected: bool,
    /// Whether softkernel is there beside the system's kernel; `None` when it need not be.
    #[serde(default)]
    pub softkernel_beside: Option<bool>,
    /// Where IKE is received.
    pub listen: Vec<String>,
    /// Whether the NAT traversal port is bound.
    pub natt_bound: bool,
    /// Datagrams the system did not take.
    pub send_failures: u64,
    /// Requests the kernel refused.
    pub kernel_refusals: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// The protocol core's.
    pub core: Counters,
}

/// Everything at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DumpAnswer {
    /// ISAKMP SAs.
    pub ike: Vec<IkeSaView>,
    /// Pairs of IPsec SAs.
    pub ipsec: Vec<ChildSaView>,
    /// Counters.
    pub stats: Stats,
}

/// The answer to orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, in words.
    pub message: String,
}
