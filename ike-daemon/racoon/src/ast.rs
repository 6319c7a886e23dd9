//! racoon.conf(5) as a tree. Every directive carries the place of its first word, and where a
//! later message may be about a value, the value carries its own.

use std::net::IpAddr;

use crate::span::Spanned;
use crate::words::{
    Accounting, AuthSource, Authentication, ByteUnit, CaKind, CertificateKind, Compression,
    ConfSource, DhGroup, Doi, Encryption, ExchangeMode, Force, GeneratePolicy, GroupSource,
    GssEncoding, HashAlgorithm, IdKind, IdQualifier, LogLevel, Method, PathKind, ProposalCheck,
    ScriptEvent, Situation, SplitKind, TimeUnit,
};

/// A text that stood in double quotes.
pub type Text = Spanned<String>;
/// A decimal number.
pub type Number = Spanned<u64>;
/// Directives of a section, in the order of the file.
pub type Block<T> = Vec<Spanned<T>>;

/// A whole configuration, includes in place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// What stands outside of sections, and the sections.
    pub statements: Block<Statement>,
}

/// What can stand outside of sections. `include` leaves no trace but its files' statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `path kind "value";`
    Path(Spanned<PathKind>, Text),
    /// `pfkey_buffer kilobytes;`
    PfkeyBuffer(Number),
    /// `complex_bundle on|off;`
    ComplexBundle(Spanned<bool>),
    /// `gss_id_enc encoding;`
    GssIdEnc(Spanned<GssEncoding>),
    /// `log level;`
    Log(Spanned<LogLevel>),
    /// `privsep { ... }`
    Privsep(Block<Privsep>),
    /// `padding { ... }`
    Padding(Block<Padding>),
    /// `listen { ... }`
    Listen(Block<Listen>),
    /// `timer { ... }`
    Timer(Block<Timer>),
    /// `radiuscfg { ... }`
    RadiusCfg(Block<RadiusCfg>),
    /// `ldapcfg { ... }`
    LdapCfg(Block<LdapCfg>),
    /// `mode_cfg { ... }`
    ModeCfg(Block<ModeCfg>),
    /// `remote ... { ... }`
    Remote(Remote),
    /// `sainfo ... { ... }`
    Sainfo(Sainfo),
}

/// A host: its address, or a name that is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, or an address with a scope.
    Name(String),
}

/// `[500]` or `[any]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// A number other than 0.
    Number(u16),
    /// `any` or 0.
    Any,
}

/// A host with an optional port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub host: Spanned<Host>,
    /// `[500]`
    pub port: Option<Spanned<Port>>,
}

/// A user or group: by name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By name.
    Name(String),
    /// By number.
    Number(u64),
}

/// A number with a unit of time, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The number as written.
    pub count: u64,
    /// Its unit.
    pub unit: TimeUnit,
}

impl Time {
    /// In seconds.
    pub fn seconds(self) -> u64 {
        self.count.saturating_mul(match self.unit {
            TimeUnit::Seconds => 1,
            TimeUnit::Minutes => 60,
            TimeUnit::Hours => 3600,
        })
    }
}

/// `lifetime time 8 hour` or `lifetime byte 50 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// By the clock.
    Time(Time),
    /// By traffic: the number and its unit.
    Bytes(u64, ByteUnit),
}

impl Lifetime {
    /// Traffic in kilobytes of 1024 octets, rounded up; `None` for a time.
    pub fn kilobytes(self) -> Option<u64> {
        let Self::Bytes(count, unit) = self else {
            return None;
        };
        Some(match unit {
            ByteUnit::Byte => count.div_ceil(1024),
            ByteUnit::Kilobyte => count,
            ByteUnit::Megabyte => count.saturating_mul(1024),
            ByteUnit::Terabyte => count.saturating_mul(1024 * 1024 * 1024),
        })
    }
}

/// An algorithm with its key length in bits, where one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cipher {
    /// The algorithm.
    pub name: Spanned<Encryption>,
    /// Its key length.
    pub bits: Option<Number>,
}

/// Inside `privsep`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privsep {
    /// `user name-or-number;`
    User(Spanned<Account>),
    /// `group name-or-number;`
    Group(Spanned<Account>),
    /// `chroot "folder";`
    Chroot(Text),
}

/// Inside `padding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Padding {
    /// `randomize on|off;`
    Randomize(Spanned<bool>),
    /// `randomize_length on|off;`
    RandomizeLength(Spanned<bool>),
    /// `maximum_length octets;`
    MaximumLength(Number),
    /// `exclusive_tail on|off;`
    ExclusiveTail(Spanned<bool>),
    /// `strict_check on|off;`
    StrictCheck(Spanned<bool>),
}

/// Inside `listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// `isakmp address [port];`
    Isakmp(Endpoint),
    /// `isakmp_natt address [port];`
    IsakmpNatt(Endpoint),
    /// `admin address [port];`
    Admin(Endpoint),
    /// `adminsock "path" "owner" "group" mode;`
    AdminSock(AdminSock),
    /// `adminsock disabled;`
    AdminSockDisabled,
    /// `strict_address;`
    StrictAddress,
}

/// Where racoonctl connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSock {
    /// The socket.
    pub path: Text,
    /// Its owner.
    pub owner: Option<Text>,
    /// Its group.
    pub group: Option<Text>,
    /// Its permissions.
    pub mode: Option<Spanned<u32>>,
}

/// Inside `timer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// `counter n;`
    Counter(Number),
    /// `interval n sec;`
    Interval(Spanned<Time>),
    /// `persend n;`
    Persend(Number),
    /// `phase1 n sec;`
    Phase1(Spanned<Time>),
    /// `phase2 n sec;`
    Phase2(Spanned<Time>),
    /// `natt_keepalive n sec;`
    NattKeepalive(Spanned<Time>),
}

/// Inside `radiuscfg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RadiusCfg {
    /// `auth host [port] "secret";`
    Auth(RadiusServer),
    /// `acct host [port] "secret";`
    Acct(RadiusServer),
    /// `timeout seconds;`
    Timeout(Number),
    /// `retries n;`
    Retries(Number),
}

/// A RADIUS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadiusServer {
    /// Name or address.
    pub host: Text,
    /// Its port.
    pub port: Option<Number>,
    /// What we share with it.
    pub secret: Text,
}

/// Inside `ldapcfg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LdapCfg {
    /// `version n;`
    Version(Number),
    /// `port n;`
    Port(Number),
    /// `subtree on|off;`
    Subtree(Spanned<bool>),
    /// `host`, `base`, `bind_dn`, `bind_pw`, `attr_user`, `attr_addr`, `attr_mask`, `attr_group` or
    /// `attr_member` and its text.
    Text(&'static str, Text),
}

/// Inside `mode_cfg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeCfg {
    /// `network4` or `netmask4` and an address.
    Address(&'static str, Spanned<Host>),
    /// `dns4`, `nbns4` or `wins4` and addresses.
    Addresses(&'static str, Vec<Spanned<Host>>),
    /// `default_domain` or `banner` and a text.
    Text(&'static str, Text),
    /// `auth_groups` or `split_dns` and texts.
    Texts(&'static str, Vec<Text>),
    /// `pool_size`, `auth_throttle` or `pfs_group` and a number.
    Number(&'static str, Number),
    /// `auth_source where;`
    AuthSource(Spanned<AuthSource>),
    /// `group_source where;`
    GroupSource(Spanned<GroupSource>),
    /// `conf_source where;`
    ConfSource(Spanned<ConfSource>),
    /// `accounting how;`
    Accounting(Spanned<Accounting>),
    /// `split_network kind network, ...;`
    SplitNetwork(Spanned<SplitKind>, Vec<Spanned<String>>),
    /// `save_passwd on|off;`
    SavePasswd(Spanned<bool>),
}

/// `remote ... { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// For whom.
    pub peer: Spanned<RemotePeer>,
    /// Whose settings it starts with.
    pub inherit: Option<Spanned<RemotePeer>>,
    /// The settings of its own.
    pub body: Block<RemoteItem>,
}

/// How a `remote` is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemotePeer {
    /// `anonymous`
    Anonymous,
    /// An address, with a port where one is written.
    Address(Endpoint),
    /// A name in double quotes.
    Name(String),
}

/// An identity as `my_identifier` and `peers_identifier` take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// Its kind.
    pub kind: Spanned<IdKind>,
    /// `file` or `tag`, for `keyid`.
    pub qualifier: Option<Spanned<IdQualifier>>,
    /// Without it, `address` and `asn1dn` are found out.
    pub value: Option<Spanned<String>>,
}

/// Inside `remote`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteItem {
    /// `remote_address address [port];`
    RemoteAddress(Endpoint),
    /// `exchange_mode main, aggressive, base;`
    ExchangeMode(Vec<Spanned<ExchangeMode>>),
    /// `doi ipsec_doi;`
    Doi(Spanned<Doi>),
    /// `situation identity_only;`
    Situation(Spanned<Situation>),
    /// `my_identifier kind "value";`
    MyIdentifier(Identifier),
    /// `peers_identifier kind "value";`
    PeersIdentifier(Identifier),
    /// `xauth_login "user";`
    XauthLogin(Text),
    /// `certificate_type kind "file" ["key"];`
    CertificateType(Spanned<CertificateKind>, Text, Option<Text>),
    /// `ca_type x509 "file";`
    CaType(Spanned<CaKind>, Text),
    /// `peers_certfile ["x509"|"plain_rsa"] "file";` or `peers_certfile dnssec;`
    PeersCertfile(PeersCert),
    /// `verify_identifier`, `verify_cert`, `send_cert`, `send_cr`, `match_empty_cr`,
    /// `support_proxy`, `initial_contact`, `passive`, `dpd`, `mode_cfg` or `weak_phase1_check`.
    Switch(&'static str, Spanned<bool>),
    /// `nonce_size`, `dpd_delay`, `dpd_retry`, `dpd_maxfail`, `ph1id` or `esp_frag`.
    Number(&'static str, Number),
    /// `dh_group group;`
    DhGroup(Spanned<DhGroup>),
    /// `generate_policy off|on|require|unique;`
    GeneratePolicy(Spanned<GeneratePolicy>),
    /// `nat_traversal off|on|force;`
    NatTraversal(Spanned<Force>),
    /// `ike_frag off|on|force;`
    IkeFrag(Spanned<Force>),
    /// `rekey off|on|force;`
    Rekey(Spanned<Force>),
    /// `proposal_check level;`
    ProposalCheck(Spanned<ProposalCheck>),
    /// `lifetime time n unit;`
    Lifetime(Spanned<Lifetime>),
    /// `script "file" event;`
    Script(Text, Spanned<ScriptEvent>),
    /// `keepalive;`
    Keepalive,
    /// `proposal { ... }`
    Proposal(Block<ProposalItem>),
}

/// Where a peer's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeersCert {
    /// A file with a certificate.
    X509(Text),
    /// A file with a bare key.
    PlainRsa(Text),
    /// The DNS.
    Dnssec,
}

/// Inside `proposal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalItem {
    /// `encryption_algorithm name [bits];`
    Encryption(Cipher),
    /// `hash_algorithm name;`
    Hash(Spanned<HashAlgorithm>),
    /// `authentication_method name;`
    Method(Spanned<Method>),
    /// `dh_group group;`
    DhGroup(Spanned<DhGroup>),
    /// `lifetime ...;`
    Lifetime(Spanned<Lifetime>),
    /// `gss_id "name";`
    GssId(Text),
}

/// `sainfo ... { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sainfo {
    /// Our side.
    pub local: Spanned<SainfoId>,
    /// The peer's side.
    pub remote: Option<Spanned<SainfoId>>,
    /// `from kind "value"`: only for peers of that phase 1 identity.
    pub from: Option<Identifier>,
    /// `group "name"`: only for XAuth users of that group.
    pub group: Option<Text>,
    /// The settings.
    pub body: Block<SainfoItem>,
}

/// A side of a `sainfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SainfoId {
    /// `anonymous`: whatever it is.
    Anonymous,
    /// `clientaddr`: the peer's own address.
    ClientAddr,
    /// `address a[/p] [port] protocol` or `subnet ...`.
    Network(SainfoNetwork),
    /// `fqdn "x"` and the like.
    Name(Spanned<IdKind>, Text),
}

/// Addresses, ports and protocol of a `sainfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SainfoNetwork {
    /// `address` or `subnet`.
    pub kind: Spanned<IdKind>,
    /// The address.
    pub host: Spanned<Host>,
    /// Length of the prefix, where one is written.
    pub prefix: Option<u8>,
    /// The port, where one is written.
    pub port: Option<Spanned<Port>>,
    /// Protocol number; 0 for `any`.
    pub protocol: Spanned<u8>,
}

/// Inside `sainfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SainfoItem {
    /// `pfs_group group;`
    PfsGroup(Spanned<DhGroup>),
    /// `lifetime ...;`
    Lifetime(Spanned<Lifetime>),
    /// `remoteid n;`
    RemoteId(Number),
    /// `reqid n;` (FreeBSD's port)
    ReqId(Number),
    /// `encryption_algorithm name [bits], ...;`
    Encryption(Vec<Cipher>),
    /// `authentication_algorithm name, ...;`
    Authentication(Vec<Spanned<Authentication>>),
    /// `compression_algorithm name, ...;`
    Compression(Vec<Spanned<Compression>>),
    /// `my_identifier ...;`, obsolete.
    MyIdentifier(Identifier),
}

impl Statement {
    /// The directive as the table of the manual calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Path(kind, _) => match kind.value {
                PathKind::Include => "path include",
                PathKind::PreSharedKey => "path pre_shared_key",
                PathKind::Certificate => "path certificate",
                PathKind::Script => "path script",
                PathKind::BackupSa => "path backupsa",
                PathKind::PidFile => "path pidfile",
            },
            Self::PfkeyBuffer(_) => "pfkey_buffer",
            Self::ComplexBundle(_) => "complex_bundle",
            Self::GssIdEnc(_) => "gss_id_enc",
            Self::Log(_) => "log",
            Self::Privsep(_) => "privsep",
            Self::Padding(_) => "padding",
            Self::Listen(_) => "listen",
            Self::Timer(_) => "timer",
            Self::RadiusCfg(_) => "radiuscfg",
            Self::LdapCfg(_) => "ldapcfg",
            Self::ModeCfg(_) => "mode_cfg",
            Self::Remote(_) => "remote",
            Self::Sainfo(_) => "sainfo",
        }
    }
}

impl Privsep {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Chroot(_) => "chroot",
        }
    }
}

impl Padding {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Randomize(_) => "randomize",
            Self::RandomizeLength(_) => "randomize_length",
            Self::MaximumLength(_) => "maximum_length",
            Self::ExclusiveTail(_) => "exclusive_tail",
            Self::StrictCheck(_) => "strict_check",
        }
    }
}

impl Listen {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Isakmp(_) => "isakmp",
            Self::IsakmpNatt(_) => "isakmp_natt",
            Self::Admin(_) => "admin",
            Self::AdminSock(_) | Self::AdminSockDisabled => "adminsock",
            Self::StrictAddress => "strict_address",
        }
    }
}

impl Timer {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Interval(_) => "interval",
            Self::Persend(_) => "persend",
            Self::Phase1(_) => "phase1",
            Self::Phase2(_) => "phase2",
            Self::NattKeepalive(_) => "natt_keepalive",
        }
    }
}

impl RadiusCfg {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auth(_) => "auth",
            Self::Acct(_) => "acct",
            Self::Timeout(_) => "timeout",
            Self::Retries(_) => "retries",
        }
    }
}

impl LdapCfg {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::Port(_) => "port",
            Self::Subtree(_) => "subtree",
            Self::Text(name, _) => name,
        }
    }
}

impl ModeCfg {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Address(name, _)
            | Self::Addresses(name, _)
            | Self::Text(name, _)
            | Self::Texts(name, _)
            | Self::Number(name, _) => name,
            Self::AuthSource(_) => "auth_source",
            Self::GroupSource(_) => "group_source",
            Self::ConfSource(_) => "conf_source",
            Self::Accounting(_) => "accounting",
            Self::SplitNetwork(..) => "split_network",
            Self::SavePasswd(_) => "save_passwd",
        }
    }
}

impl RemoteItem {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RemoteAddress(_) => "remote_address",
            Self::ExchangeMode(_) => "exchange_mode",
            Self::Doi(_) => "doi",
            Self::Situation(_) => "situation",
            Self::MyIdentifier(_) => "my_identifier",
            Self::PeersIdentifier(_) => "peers_identifier",
            Self::XauthLogin(_) => "xauth_login",
            Self::CertificateType(..) => "certificate_type",
            Self::CaType(..) => "ca_type",
            Self::PeersCertfile(_) => "peers_certfile",
            Self::Switch(name, _) | Self::Number(name, _) => name,
            Self::DhGroup(_) => "dh_group",
            Self::GeneratePolicy(_) => "generate_policy",
            Self::NatTraversal(_) => "nat_traversal",
            Self::IkeFrag(_) => "ike_frag",
            Self::Rekey(_) => "rekey",
            Self::ProposalCheck(_) => "proposal_check",
            Self::Lifetime(lifetime) => match lifetime.value {
                Lifetime::Time(_) => "lifetime time",
                Lifetime::Bytes(..) => "lifetime byte",
            },
            Self::Script(..) => "script",
            Self::Keepalive => "keepalive",
            Self::Proposal(_) => "proposal",
        }
    }
}

impl ProposalItem {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Encryption(_) => "encryption_algorithm",
            Self::Hash(_) => "hash_algorithm",
            Self::Method(_) => "authentication_method",
            Self::DhGroup(_) => "dh_group",
            Self::Lifetime(lifetime) => match lifetime.value {
                Lifetime::Time(_) => "lifetime time",
                Lifetime::Bytes(..) => "lifetime byte",
            },
            Self::GssId(_) => "gss_id",
        }
    }
}

impl SainfoItem {
    /// The directive's word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PfsGroup(_) => "pfs_group",
            Self::Lifetime(lifetime) => match lifetime.value {
                Lifetime::Time(_) => "lifetime time",
                Lifetime::Bytes(..) => "lifetime byte",
            },
            Self::RemoteId(_) => "remoteid",
            Self::ReqId(_) => "reqid",
            Self::Encryption(_) => "encryption_algorithm",
            Self::Authentication(_) => "authentication_algorithm",
            Self::Compression(_) => "compression_algorithm",
            Self::MyIdentifier(_) => "my_identifier",
        }
    }
}
