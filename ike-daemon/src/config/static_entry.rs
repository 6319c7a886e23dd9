//! Policies and SAs out of setkey(8) scripts, ready for PF_KEY. Words of setkey(8) in, kernel
//! structures out; what they mean to the IKE daemon itself is `racoon::setkey`'s affair.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use pfkey::client::{NatT, SaRequest, SpRequest};
use pfkey::{
    Address, AuthenticationAlgorithm, Direction, EncryptionAlgorithm, Key, Level, Lifetime, Mode,
    Policy, PolicyRequest, PolicyType, SaType,
};
use racoon_conf::ast::Host;
use racoon_conf::setkey::{self, Action, Add, SaProtocol, Selector, Side};
use racoon_conf::{Span, Spanned};

/// What is put into the kernel at the start and taken out at the end.
#[derive(Clone, PartialEq, Eq)]
pub enum StaticEntry {
    /// A policy: `spdadd`.
    Policy(SpRequest),
    /// An SA with its keys: `add`.
    Sa(Box<SaRequest>),
}

/// What names it, as setkey(8) writes it; without keys. Two entries with the same text are one to
/// the kernel.
impl fmt::Display for StaticEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(policy) => {
                let side = |f: &mut fmt::Formatter<'_>, side: &Address| match side.address.port() {
                    0 => write!(f, "{}/{}[any]", side.ip(), side.prefix_len),
                    port => write!(f, "{}/{}[{port}]", side.ip(), side.prefix_len),
                };
                side(f, &policy.source)?;
                f.write_str(" ")?;
                side(f, &policy.destination)?;
                let direction = match policy.policy.direction {
                    Direction::INBOUND => "in",
                    _ => "out",
                };
                match policy.source.protocol {
                    Address::ANY_PROTOCOL => write!(f, " any -P {direction}"),
                    number => write!(f, " {number} -P {direction}"),
                }
            }
            Self::Sa(sa) => {
                let kind = sa.sa_type.name().unwrap_or("?");
                write!(f, "{} {} {kind} {:#x}", sa.source, sa.destination, sa.spi)
            }
        }
    }
}

impl fmt::Debug for StaticEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a command cannot be put into the kernel: where, and what would be right.
pub(super) type Refusal = (Span, String);

/// `spdadd`; `None` for a policy with names instead of addresses, which is refused elsewhere.
pub(super) fn policy(selector: &Selector, policy: &setkey::Policy) -> Option<StaticEntry> {
    let protocol = match selector.protocol.value {
        0 => Address::ANY_PROTOCOL,
        number => number,
    };
    let (kind, requests) = match &policy.action {
        Action::Discard => (PolicyType::DISCARD, Vec::new()),
        Action::None => (PolicyType::NONE, Vec::new()),
        Action::Ipsec(requests) => (PolicyType::IPSEC, requests.iter().map(request).collect()),
    };
    Some(StaticEntry::Policy(SpRequest {
        source: side(&selector.source, protocol)?,
        destination: side(&selector.destination, protocol)?,
        policy: Policy {
            kind,
            direction: match policy.inbound {
                true => Direction::INBOUND,
                false => Direction::OUTBOUND,
            },
            requests,
            ..Policy::default()
        },
        lifetime: None,
    }))
}

fn side(side: &Side, protocol: u8) -> Option<Address> {
    let Host::Address(address) = side.host.value else {
        return None;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = side.prefix.unwrap_or(most);
    Some(Address::selector(
        address,
        prefix,
        side.port_number(),
        protocol,
    ))
}

fn request(request: &Spanned<setkey::Request>) -> PolicyRequest {
    let request = &request.value;
    let (level, reqid) = match request.level {
        setkey::Level::Default => (Level::DEFAULT, 0),
        setkey::Level::Use => (Level::USE, 0),
        setkey::Level::Require => (Level::REQUIRE, 0),
        setkey::Level::Unique(reqid) => (Level::UNIQUE, u32::from(reqid.unwrap_or(0))),
    };
    PolicyRequest {
        // Others are refused before it comes here.
        protocol: PolicyRequest::ESP,
        mode: mode(request.mode),
        level,
        reqid,
        tunnel: request
            .endpoints
            .map(|(from, to)| (SocketAddr::new(from, 0), SocketAddr::new(to, 0))),
    }
}

fn mode(mode: setkey::Mode) -> Mode {
    match mode {
        setkey::Mode::Any => Mode::ANY,
        setkey::Mode::Transport => Mode::TRANSPORT,
        setkey::Mode::Tunnel => Mode::TUNNEL,
    }
}

/// `add`.
pub(super) fn sa(add: &Add) -> Result<StaticEntry, Refusal> {
    let key = &add.sa;
    if key.protocol != SaProtocol::Esp {
        let words = "only ESP is served: write `esp`";
        return Err((key.spi.span, words.to_owned()));
    }
    let (source, destination) = (address(&key.source)?, address(&key.destination)?);
    let mut sa = SaRequest {
        sa_type: SaType::ESP,
        spi: key.spi.value,
        source,
        destination,
        mode: Mode::ANY,
        reqid: 0,
        encryption: EncryptionAlgorithm::NULL,
        encryption_key: Key::new(&[]),
        authentication: AuthenticationAlgorithm::NONE,
        authentication_key: None,
        replay_window: 0,
        flags: 0,
        lifetimes: None,
        nat_t: None,
    };
    algorithms(add, &mut sa)?;
    let (mut hard, mut soft) = (0, 0);
    for (option, values) in &add.extensions {
        let Some(value) = values.first() else {
            continue;
        };
        match option.value.as_str() {
            "-m" => sa.mode = sa_mode(value)?,
            // setkey(8) counts octets of the bitmap.
            "-r" => sa.replay_window = number(value)?.saturating_mul(8),
            "-u" => sa.reqid = number(value)?,
            "-lh" => hard = number(value)?,
            "-ls" => soft = number(value)?,
            "-natt" => sa.nat_t = Some(nat_t(values, option.span)?),
            _ => {
                let words = format!("`{}` is not served; leave it out", option.value);
                return Err((option.span, words));
            }
        }
    }
    if hard != 0 || soft != 0 {
        let lifetime = |seconds: u32| Lifetime {
            add_time: seconds.into(),
            ..Lifetime::default()
        };
        sa.lifetimes = Some((lifetime(hard), lifetime(soft)));
    }
    Ok(StaticEntry::Sa(Box::new(sa)))
}

fn algorithms(add: &Add, sa: &mut SaRequest) -> Result<(), Refusal> {
    for (option, name, key) in &add.algorithms {
        let bytes = key.as_ref().map_or(&[][..], |key| &key.0);
        match option.value.as_str() {
            "-E" => {
                sa.encryption = ENCRYPTION
                    .into_iter()
                    .find(|known| known.name() == Some(&name.value))
                    .ok_or_else(|| unknown(name, ENCRYPTION.map(EncryptionAlgorithm::name)))?;
                sa.encryption_key = Key::new(bytes);
            }
            "-A" => {
                sa.authentication = AUTHENTICATION
                    .into_iter()
                    .find(|known| known.name() == Some(&name.value))
                    .ok_or_else(|| {
                        unknown(name, AUTHENTICATION.map(AuthenticationAlgorithm::name))
                    })?;
                sa.authentication_key = Some(Key::new(bytes));
            }
            _ => {
                let words = "compression is not served; leave `-C` out";
                return Err((option.span, words.to_owned()));
            }
        }
    }
    Ok(())
}

const ENCRYPTION: [EncryptionAlgorithm; 5] = [
    EncryptionAlgorithm::AES_CBC,
    EncryptionAlgorithm::AES_GCM_16,
    EncryptionAlgorithm::AES_CTR,
    EncryptionAlgorithm::TRIPLE_DES_CBC,
    EncryptionAlgorithm::NULL,
];
const AUTHENTICATION: [AuthenticationAlgorithm; 5] = [
    AuthenticationAlgorithm::SHA1_HMAC,
    AuthenticationAlgorithm::SHA2_256,
    AuthenticationAlgorithm::SHA2_384,
    AuthenticationAlgorithm::SHA2_512,
    AuthenticationAlgorithm::NULL,
];

fn unknown<const N: usize>(name: &Spanned<String>, known: [Option<&str>; N]) -> Refusal {
    let known: Vec<&str> = known.into_iter().flatten().collect();
    let words = format!(
        "unknown algorithm `{}`; expected {}",
        name.value,
        known.join(", ")
    );
    (name.span, words)
}

fn address(host: &Spanned<Host>) -> Result<IpAddr, Refusal> {
    match &host.value {
        Host::Address(address) => Ok(*address),
        Host::Name(name) => Err((
            host.span,
            format!("`{name}`: a name instead of an address; write the address"),
        )),
    }
}

fn sa_mode(value: &Spanned<String>) -> Result<Mode, Refusal> {
    match value.value.as_str() {
        "any" => Ok(Mode::ANY),
        "transport" => Ok(Mode::TRANSPORT),
        "tunnel" => Ok(Mode::TUNNEL),
        other => Err((
            value.span,
            format!("unknown mode `{other}`; expected transport, tunnel or any"),
        )),
    }
}

fn number(value: &Spanned<String>) -> Result<u32, Refusal> {
    value.value.parse().map_err(|_| {
        let words = format!("`{}` is no number; expected 0 to 4294967295", value.value);
        (value.span, words)
    })
}

/// `-natt original-initiator [source port] original-responder [destination port]`
fn nat_t(values: &[Spanned<String>], span: Span) -> Result<NatT, Refusal> {
    let [initiator, from, responder, to] = values else {
        let words = "expected an address, a port, an address and a port";
        return Err((span, words.to_owned()));
    };
    let ip = |value: &Spanned<String>| {
        value.value.parse().map_err(|_| {
            let words = format!("`{}` is no address; expected 192.0.2.7", value.value);
            (value.span, words)
        })
    };
    let port = |value: &Spanned<String>| {
        value.value.parse().map_err(|_| {
            let words = format!("`{}` is no port; expected 1 to 65535", value.value);
            (value.span, words)
        })
    };
    Ok(NatT {
        source_port: port(from)?,
        destination_port: port(to)?,
        original_initiator: Some(ip(initiator)?),
        original_responder: Some(ip(responder)?),
    })
}
