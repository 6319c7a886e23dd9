//! What happened to packets between the parts.

use super::carried::Useless;

/// What happened to packets that neither IPsec nor netgraph dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Packets from the TUN device.
    pub tun_in: u64,
    /// Packets to the TUN device.
    pub tun_out: u64,
    /// ESP packets received.
    pub esp_in: u64,
    /// ESP packets sent.
    pub esp_out: u64,
    /// Transport mode packets that carry something else than UDP.
    pub not_udp: u64,
    /// Malformed UDP or IP inside ESP.
    pub malformed: u64,
    /// Packets out of an SA that no inbound policy wants from there.
    pub policy: u64,
    /// UDP datagrams for a port that nobody has bound.
    pub no_listener: u64,
    /// Datagrams handed to a bound port.
    pub to_port: u64,
    /// Packets from the TUN device that no interface and no policy wants.
    pub no_route: u64,
    /// Packets that did not fit.
    pub too_long: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, reason: Useless) {
        match reason {
            Useless::Malformed => self.malformed += 1,
            Useless::NotUdp => self.not_udp += 1,
        }
    }
}

impl std::ops::AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        let Self {
            tun_in,
            tun_out,
            esp_in,
            esp_out,
            not_udp,
            malformed,
            policy,
            no_listener,
            to_port,
            no_route,
            too_long,
        } = other;
        self.tun_in += tun_in;
        self.tun_out += tun_out;
        self.esp_in += esp_in;
        self.esp_out += esp_out;
        self.not_udp += not_udp;
        self.malformed += malformed;
        self.policy += policy;
        self.no_listener += no_listener;
        self.to_port += to_port;
        self.no_route += no_route;
        self.too_long += too_long;
    }
}
