//! What Quick Mode makes: KEYMAT (RFC 2409 5.5) and the two SAs for the kernel.

use std::time::Duration;

use ike_crypto::{KeymatInput, Secret, keymat};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::iana::{EspTransform, ProtocolId};
use crate::ikev1::Session;
use crate::ikev1::child::{Child, ChildStage, kernel_lifetime};
use crate::ikev1::lifetime::rekey_moment;
use crate::io::{Direction, SaInstall, UdpEncapsulation};
use crate::negotiate::Phase2Choice;

use super::QuickMode;

/// The key of a cipher or of a MAC.
type Key = Zeroizing<Vec<u8>>;

impl Session {
    /// Keys and everything else about the new pair.
    pub(super) fn make_child(
        &self,
        cx: &mut Context<'_>,
        quick: &QuickMode,
        choice: &Phase2Choice,
        spi: u32,
        shared: Option<&Secret>,
        lifetime: Duration,
    ) -> Option<(Child, SaInstall, SaInstall)> {
        let established = self.established()?;
        let natt_port = cx.shared.policy.nat.natt_port;
        let encapsulation = choice.mode.is_udp().then(|| match self.path.natt_port {
            true => UdpEncapsulation {
                local_port: self.path.local.port(),
                peer_port: self.path.peer.port(),
            },
            false => UdpEncapsulation {
                local_port: natt_port,
                peer_port: natt_port,
            },
        });
        let kilobytes = choice.kilobytes.unwrap_or(0);
        let peer = self.path.peer.ip();
        let responder_rekeys = cx.shared.policy.terms(peer).phase2.rekey_as_responder;
        let child = Child {
            id: quick.child,
            ike: self.id,
            carrier: quick.carrier,
            reqid: established.client,
            initiator: quick.initiator,
            spi_in: spi,
            spi_out: choice.spi,
            local: self.path.local,
            peer: self.path.peer,
            mode: quick.mode,
            encapsulation_mode: choice.mode,
            encapsulation,
            suite: choice.suite,
            pfs: choice.pfs,
            traffic: quick.traffic.selectors,
            peer_original: quick.traffic.peer_original,
            local_original: quick.traffic.local_original,
            ids: quick.traffic.ids.clone(),
            lifetime,
            kilobytes,
            created: cx.now,
            rekey: rekey_moment(cx, lifetime, quick.initiator)
                .filter(|_| quick.initiator || responder_rekeys),
            expires: cx.now + lifetime,
            retire: None,
            stage: ChildStage::Inbound { installed: false },
            outbound_gone: false,
            replaces: quick.replaces,
            inbound_octets: 0,
            outbound_octets: 0,
        };
        let policy = cx.shared.policy.terms(peer).phase2;
        let install = |direction, spi: u32| {
            let (encryption_key, auth_key) = self.esp_keys(quick, choice, shared, spi)?;
            Some(SaInstall {
                child: quick.child,
                direction,
                spi,
                local: child.local.ip(),
                peer: child.peer.ip(),
                mode: child.mode,
                reqid: child.reqid,
                encapsulation,
                peer_original: child.peer_original,
                local_original: child.local_original,
                cipher: choice.suite.cipher,
                encryption_key,
                auth: choice.suite.auth,
                auth_key,
                sha256_icv: policy.sha256_icv,
                replay_window: policy.replay_window,
                lifetime: kernel_lifetime(lifetime, kilobytes),
                traffic: child.traffic,
            })
        };
        let inbound = install(Direction::Inbound, spi)?;
        let outbound = install(Direction::Outbound, choice.spi)?;
        Some((child, inbound, outbound))
    }

    /// The keys of one SA: first encryption (with the salt of AES-GCM, RFC 4106 8.1), then
    /// authentication.
    fn esp_keys(
        &self,
        quick: &QuickMode,
        choice: &Phase2Choice,
        shared: Option<&Secret>,
        spi: u32,
    ) -> Option<(Key, Key)> {
        let keys = &self.established()?.keys;
        let encryption = match choice.suite.cipher {
            EspTransform::TRIPLE_DES => 24,
            EspTransform::AES_GCM_16 => usize::from(choice.suite.key_bits) / 8 + 4,
            _ => usize::from(choice.suite.key_bits) / 8,
        };
        let auth = choice.suite.auth.key_len()?;
        let input = KeymatInput {
            gqm: shared,
            protocol: ProtocolId::ESP.0,
            spi,
            ni: &quick.ni,
            nr: &quick.nr,
        };
        let keymat = keymat(keys.hash, &keys.skeyid_d, &input, encryption + auth);
        let (encryption, auth) = keymat.expose().split_at_checked(encryption)?;
        Some((
            Zeroizing::new(encryption.to_vec()),
            Zeroizing::new(auth.to_vec()),
        ))
    }
}
