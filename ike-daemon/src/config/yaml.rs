//! The words of `ike-daemon.yaml`, as they stand in the file. Unknown words are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tanuki_daemon::log::LogConfig;
use zeroize::Zeroizing;

use super::account::{Group, Permissions, User};
use super::model::{KernelChoice, Start};
use super::values::{
    Addresses, CipherName, Endpoint, FileName, FragmentationName, GroupName, HashName, Host, Ipv4,
    MethodName, ModeName, Name, Network, Network4, OneOrMany, Peer, PeerName, Period, ScriptPath,
    ServiceName, Sha2, Suite,
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
    pub(super) authentication: AuthenticationSection,
    pub(super) phase1: Phase1Section,
    pub(super) phase2: Phase2Section,
    pub(super) nat_t: NatSection,
    pub(super) dpd: DpdSection,
    pub(super) retransmit: RetransmitSection,
    pub(super) limits: LimitsSection,
    pub(super) mode_config: Option<ModeConfigSection>,
    pub(super) remotes: BTreeMap<String, RemoteSection>,
    pub(super) kernel: KernelChoice,
    pub(super) connections: BTreeMap<String, ConnectionSection>,
    pub(super) admin_socket: Option<AdminSocketSection>,
    pub(super) scripts: ScriptsSection,
    pub(super) setkey: Option<OneOrMany<ScriptPath>>,
    pub(super) log: LogConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretSection {
    pub(super) peers: Option<OneOrMany<Peer>>,
    pub(super) psk: Option<Zeroizing<String>>,
    pub(super) psk_hex: Option<Zeroizing<String>>,
    pub(super) psk_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminSocketSection {
    pub(super) path: PathBuf,
    pub(super) owner: Option<User>,
    pub(super) group: Option<Group>,
    pub(super) mode: Option<Permissions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScriptsSection {
    pub(super) phase1_up: Option<ScriptPath>,
    pub(super) phase1_down: Option<ScriptPath>,
    pub(super) phase1_dead: Option<ScriptPath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuthenticationSection {
    pub(super) methods: Option<OneOrMany<MethodName>>,
    pub(super) certificates: Vec<CertificateSection>,
    pub(super) ca: Option<OneOrMany<FileName>>,
    pub(super) crl: Option<OneOrMany<FileName>>,
    pub(super) peers: Vec<PeerName>,
    pub(super) send_certificate: Option<bool>,
    pub(super) request_certificate: Option<bool>,
    pub(super) allow_weak: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateSection {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoteSection {
    pub(super) peers: OneOrMany<Network>,
    pub(super) identity: Option<Name>,
    pub(super) authentication: Option<AuthenticationSection>,
    #[serde(default)]
    pub(super) phase1: Phase1Section,
    #[serde(default)]
    pub(super) phase2: Phase2Section,
    pub(super) mode_config: Option<ModeConfigSection>,
    pub(super) aggressive: Option<bool>,
    pub(super) fragmentation: Option<FragmentationName>,
    #[serde(default)]
    pub(super) nat_t: NatSwitches,
    #[serde(default)]
    pub(super) dpd: DpdSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ModeConfigSection {
    pub(super) pool: Option<OneOrMany<Addresses>>,
    pub(super) netmask: Option<Ipv4>,
    pub(super) dns: Option<OneOrMany<Ipv4>>,
    pub(super) wins: Option<OneOrMany<Ipv4>>,
    pub(super) domain: Option<String>,
    pub(super) split_include: Vec<Network4>,
    pub(super) split_exclude: Vec<Network4>,
    pub(super) split_dns: Vec<String>,
    pub(super) banner: Option<String>,
    pub(super) save_password: Option<bool>,
    pub(super) users: Option<FileName>,
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
    pub(super) networks: Option<Vec<Network>>,
    pub(super) require_pfs: Option<bool>,
    pub(super) lifetime: Option<Period>,
    pub(super) lifetime_max: Option<Period>,
    pub(super) lifetime_kilobytes: Option<u64>,
    pub(super) sha2_96: Option<Sha2>,
    pub(super) replay_window: Option<u32>,
    pub(super) rekey_as_responder: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NatSection {
    pub(super) enabled: Option<bool>,
    pub(super) drafts: Option<bool>,
    pub(super) force: Option<bool>,
    pub(super) keepalive: Option<Period>,
    pub(super) port: Option<u16>,
}

/// What of it peers may differ in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NatSwitches {
    pub(super) enabled: Option<bool>,
    pub(super) drafts: Option<bool>,
    pub(super) force: Option<bool>,
    pub(super) keepalive: Option<Period>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DpdSection {
    pub(super) interval: Option<Period>,
    pub(super) retry: Option<Period>,
    pub(super) attempts: Option<u32>,
    pub(super) silence: Option<Period>,
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
    pub(super) user: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) mode_config: Option<bool>,
    pub(super) aggressive: Option<bool>,
    #[serde(default)]
    pub(super) start: Start,
}
