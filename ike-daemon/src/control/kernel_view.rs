//! PF_KEY messages as plain values for `ikectl --json`; keys stay out.

use ike_proto::carrier::Carrier;
use pfkey::{Address, AuthenticationAlgorithm, Message};

use super::protocol::{KernelPolicy, KernelSa};

/// `None` for a message that is no SA.
pub fn sa(kernel: Carrier, message: &Message) -> Option<KernelSa> {
    let sa = message.sa()?;
    let sa2 = message.sa2().copied().unwrap_or_default();
    let current = message.lifetime_current().copied().unwrap_or_default();
    let seconds = |lifetime: Option<&pfkey::Lifetime>| lifetime.map_or(0, |l| l.add_time);
    Some(KernelSa {
        kernel,
        spi: sa.spi,
        source: place(message.source()?, message.nat_t_source_port()),
        destination: place(message.destination()?, message.nat_t_destination_port()),
        mode: named(sa2.mode.name(), sa2.mode.0),
        reqid: sa2.reqid,
        encryption: named(sa.encryption.name(), sa.encryption.0),
        authentication: authentication(sa.authentication),
        state: named(sa.state.name(), sa.state.0),
        octets: current.bytes,
        packets: current.allocations,
        created: current.add_time,
        used: current.use_time,
        soft: seconds(message.lifetime_soft()),
        hard: seconds(message.lifetime_hard()),
    })
}

/// `None` for a message that is no policy.
pub fn policy(kernel: Carrier, message: &Message) -> Option<KernelPolicy> {
    let policy = message.policy()?;
    let (source, destination) = (message.source()?, message.destination()?);
    let subnet = |side: &Address| format!("{}/{}", side.ip(), side.prefix_len);
    Some(KernelPolicy {
        kernel,
        id: policy.id,
        direction: match policy.direction {
            pfkey::Direction::INBOUND => "in".into(),
            pfkey::Direction::OUTBOUND => "out".into(),
            other => other.0.to_string(),
        },
        source: subnet(source),
        source_port: source.address.port(),
        destination: subnet(destination),
        destination_port: destination.address.port(),
        protocol: source.protocol,
        action: policy
            .kind
            .name()
            .map_or_else(|| policy.kind.0.to_string(), str::to_owned),
        reqids: policy
            .requests
            .iter()
            .map(|request| request.reqid)
            .collect(),
    })
}

/// The kernel gives AES-GCM SAs a GMAC number of its own; setkey(8) shows none for them.
fn authentication(algorithm: AuthenticationAlgorithm) -> String {
    match algorithm {
        AuthenticationAlgorithm::AES128_GMAC
        | AuthenticationAlgorithm::AES192_GMAC
        | AuthenticationAlgorithm::AES256_GMAC => "none".to_owned(),
        _ => named(algorithm.name(), algorithm.0),
    }
}

fn place(address: &Address, port: Option<&u16>) -> String {
    match port {
        Some(port) => std::net::SocketAddr::new(address.ip(), *port).to_string(),
        None => address.ip().to_string(),
    }
}

fn named(name: Option<&str>, number: u8) -> String {
    name.map_or_else(|| number.to_string(), str::to_owned)
}
