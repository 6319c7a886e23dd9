//! NAT traversal within phase 1: NAT-D payloads and the float to port 4500, RFC 3947 3 and 4.

use crate::ikev1::Session;
use crate::nat::{Path, own_nat_d};
use crate::vendor::NatVariant;
use crate::wire::chain::{Builder, Chain};

use super::keys::Agreed;

impl Session {
    /// NAT detection by the payloads of a message that came over `path`.
    pub(in crate::ikev1) fn detect_nat(&mut self, agreed: &Agreed, path: Path, chain: &Chain<'_>) {
        if self.nat.variant != NatVariant::None {
            let hash = agreed.suite.hash;
            let payloads = chain.all(self.nat.variant.nat_d());
            self.nat
                .detect(hash, &self.cky_i, &self.cky_r, &path, payloads);
        }
    }

    /// The NAT-D payloads of a message of ours.
    pub(in crate::ikev1) fn push_nat_d(&mut self, agreed: &Agreed, chain: &mut Builder) {
        if self.nat.variant == NatVariant::None {
            return;
        }
        let force = self.force_encapsulation;
        let hash = agreed.suite.hash;
        for body in own_nat_d(hash, &self.cky_i, &self.cky_r, &self.path, force) {
            chain.push(self.nat.variant.nat_d(), body);
        }
    }

    /// Both find us behind NAT when that is what we pretend.
    pub(in crate::ikev1) fn pretend_nat(&mut self) {
        self.nat.local |= self.force_encapsulation && self.nat.variant != NatVariant::None;
    }

    /// From here on over the NAT traversal port: RFC 3947 4.
    pub(in crate::ikev1) fn float(&mut self, port: u16) {
        if !self.path.natt_port {
            self.path.natt_port = true;
            self.path.local.set_port(port);
            self.path.peer.set_port(port);
        }
    }
}
