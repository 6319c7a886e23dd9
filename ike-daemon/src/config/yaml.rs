//! The words of `ike-daemon.yaml`, as they stand in the file. Unknown words are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tanuki_daemon::log::LogConfig;
use zeroize::Zeroizing;

use super::model::{KernelChoice, Start};
use super::values::{
    CipherName, Endpoint, FragmentationName, GroupName, HashName, Host, ModeName, Name, Network,
    OneOrMany, Peer, Period, ServiceName, Suite,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Option<OneOrMany<Host>>,
    pub(super) port: Option<u16>,
    pub(super) identity: Option<Name>,
    pub(super) respond: Option<bool>,
    pub(super) aggressive: Option<bool>,
    pub(super) fragmentation: Option<FragmentationName>,
    pub(super) fragment_size: Option<usize>,
    pub(super) secrets: Vec<SecretSection>,
    pub(super) phase1: Phase1Section,
    pub(super) phase2: Phase2Section,
    pub(super) nat_t: NatSection,
    pub(super) dpd: DpdSection,
    pub(super) retransmit: RetransmitSection,
    pub(super) limits: LimitsSection,
    pub(super) kernel: KernelChoice,
    pub(super) connections: BTreeMap<String, ConnectionSection>,
    pub(super) log: LogConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretSection {
    pub(super) peers: Option<OneOrMany<Peer>>,
    pub(super) psk: Option<Zeroizing<String>>,
    pub(super) psk_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Phase1Section {
    pub(super) ciphers: Option<Vec<CipherName>>,
    pub(super) hashes: Option<Vec<HashName>>,
    pub(super) groups: Option<Vec<GroupName>>,
    pub(super) allow_modp1024: Option<bool>,
    pub(super) lifetime: Option<Period>,
    pub(super) lifetime_max: Option<Period>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Phase2Section {
    pub(super) suites: Option<Vec<Suite>>,
    pub(super) allow_3des: Option<bool>,
    pub(super) modes: Option<OneOrMany<ModeName>>,
    pub(super) traffic: Option<OneOrMany<ServiceName>>,
    pub(super) networks: Vec<Network>,
    pub(super) require_pfs: Option<bool>,
    pub(super) lifetime: Option<Period>,
    pub(super) lifetime_max: Option<Period>,
    pub(super) lifetime_kilobytes: Option<u64>,
    pub(super) replay_window: Option<u32>,
    pub(super) rekey_as_responder: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NatSection {
    pub(super) enabled: Option<bool>,
    pub(super) force: Option<bool>,
    pub(super) keepalive: Option<Period>,
    pub(super) port: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DpdSection {
    pub(super) interval: Option<Period>,
    pub(super) retry: Option<Period>,
    pub(super) attempts: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetransmitSection {
    pub(super) initial: Option<Period>,
    pub(super) factor: Option<f64>,
    pub(super) maximum: Option<Period>,
    pub(super) attempts: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    pub(super) half_open: Option<usize>,
    pub(super) half_open_per_source: Option<usize>,
    pub(super) half_open_timeout: Option<Period>,
    pub(super) ike_sas: Option<usize>,
    pub(super) ike_sas_per_client: Option<usize>,
    pub(super) quick_modes: Option<usize>,
    pub(super) children_per_client: Option<usize>,
    pub(super) dh_jobs: Option<usize>,
    pub(super) stateless_answers: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionSection {
    pub(super) peer: Endpoint,
    pub(super) local: Option<Host>,
    pub(super) identity: Option<Name>,
    pub(super) peer_identity: Option<Name>,
    pub(super) mode: Option<ModeName>,
    pub(super) protocol: Option<u8>,
    pub(super) local_port: Option<u16>,
    pub(super) peer_port: Option<u16>,
    pub(super) local_network: Option<Network>,
    pub(super) peer_network: Option<Network>,
    pub(super) pfs: Option<GroupName>,
    pub(super) initial_contact: Option<bool>,
    #[serde(default)]
    pub(super) start: Start,
}
