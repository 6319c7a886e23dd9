//! Key exchange and keys of phase 1: RFC 2409 5 (SKEYID, HASH_I, HASH_R) and appendix B.

use std::time::Duration;

use ike_crypto::{Exchange, Iv, Secret, Skeyids, hash_i, hash_r};
use ike_crypto::{cipher_key, phase1_iv, skeyid_psk, skeyid_signatures};

use crate::context::Context;
use crate::error::Refusal;
use crate::iana::PayloadType;
use crate::ikev1::Session;
use crate::ikev1::protect::MessageKey;
use crate::job::DhResult;
use crate::negotiate::Phase1Suite;
use crate::policy::Method;
use crate::wire::chain::Chain;
use crate::wire::id::IdPayload;
use crate::wire::opaque::nonce_fits;

/// Length of our nonces. TunnelForge takes up to 64.
pub(in crate::ikev1) const NONCE_LEN: usize = 32;

/// What the SA payloads agree on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(in crate::ikev1) suite: Phase1Suite,
    pub(in crate::ikev1) method: Method,
    pub(in crate::ikev1) lifetime: Option<Duration>,
    /// Body of the initiator's SA payload as it was offered.
    pub(in crate::ikev1) sai_b: Vec<u8>,
}

/// One side of the exchange is known, the other is being computed.
#[derive(Debug)]
pub(crate) struct HalfExchanged {
    pub(in crate::ikev1) agreed: Agreed,
    pub(in crate::ikev1) ni: Vec<u8>,
    pub(in crate::ikev1) nr: Vec<u8>,
    /// The peer's public value.
    pub(in crate::ikev1) peer: Vec<u8>,
}

/// Everything HASH_I and HASH_R cover, and the shared secret.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(in crate::ikev1) agreed: Agreed,
    pub(in crate::ikev1) ni: Vec<u8>,
    pub(in crate::ikev1) nr: Vec<u8>,
    pub(in crate::ikev1) gxi: Vec<u8>,
    pub(in crate::ikev1) gxr: Vec<u8>,
    pub(in crate::ikev1) shared: Secret,
}

/// What one pre-shared key, or the exchange alone, makes of the exchange.
#[derive(Clone, Debug)]
pub(crate) struct Phase1Keys {
    pub(in crate::ikev1) skeyids: Skeyids,
    pub(in crate::ikev1) message: MessageKey,
    /// IV of the first encrypted message.
    pub(in crate::ikev1) iv: Iv,
}

impl HalfExchanged {
    /// The whole exchange once the computation is done; when the peer's public value is none, what
    /// was agreed before.
    pub(in crate::ikev1) fn join(
        self,
        result: DhResult,
        initiator: bool,
    ) -> Result<Exchanged, Agreed> {
        let Some(Ok(shared)) = result.shared else {
            return Err(self.agreed);
        };
        let own = result.pair.public().to_vec();
        let (gxi, gxr) = if initiator {
            (own, self.peer)
        } else {
            (self.peer, own)
        };
        Ok(Exchanged {
            agreed: self.agreed,
            ni: self.ni,
            nr: self.nr,
            gxi,
            gxr,
            shared,
        })
    }
}

impl Exchanged {
    pub(in crate::ikev1) fn exchange<'a>(&'a self, session: &'a Session) -> Exchange<'a> {
        Exchange {
            gxi: &self.gxi,
            gxr: &self.gxr,
            cky_i: &session.cky_i,
            cky_r: &session.cky_r,
            sai_b: &self.agreed.sai_b,
        }
    }

    /// SKEYID and what follows from it, for one pre-shared key.
    pub(in crate::ikev1) fn keys(&self, session: &Session, psk: &Secret) -> Option<Phase1Keys> {
        let hash = self.agreed.suite.hash;
        let skeyid = skeyid_psk(hash, psk.expose(), &self.ni, &self.nr);
        self.keys_of(session, skeyid)
    }

    /// The same where no secret is shared.
    pub(in crate::ikev1) fn signature_keys(&self, session: &Session) -> Option<Phase1Keys> {
        let hash = self.agreed.suite.hash;
        let skeyid = skeyid_signatures(hash, &self.ni, &self.nr, &self.shared);
        self.keys_of(session, skeyid)
    }

    fn keys_of(&self, session: &Session, skeyid: Secret) -> Option<Phase1Keys> {
        let Phase1Suite { hash, cipher, .. } = self.agreed.suite;
        let skeyids = Skeyids::derive(hash, skeyid, &self.shared, &session.cky_i, &session.cky_r);
        let key = cipher_key(hash, cipher, &skeyids.e);
        let iv = phase1_iv(hash, cipher, &self.gxi, &self.gxr).ok()?;
        Some(Phase1Keys {
            skeyids,
            message: MessageKey { cipher, key },
            iv,
        })
    }
}

impl Session {
    /// The body of our ID payload.
    pub(in crate::ikev1) fn own_id(&self) -> Vec<u8> {
        IdPayload {
            identity: self.local_identity.clone(),
            protocol: 0,
            port: 0,
        }
        .body()
    }

    /// HASH_I or HASH_R, whoever's ID it is.
    pub(in crate::ikev1) fn phase1_hash(
        &self,
        exchanged: &Exchanged,
        keys: &Phase1Keys,
        of_initiator: bool,
        id_body: &[u8],
    ) -> Secret {
        let agreed = &exchanged.agreed;
        let hash = agreed.method.hash(agreed.suite.hash);
        let make = if of_initiator { hash_i } else { hash_r };
        make(
            hash,
            &keys.skeyids.skeyid,
            &exchanged.exchange(self),
            id_body,
        )
    }

    /// As initiator: the keys by the secret for this peer or, where none is shared, by the exchange
    /// alone.
    pub(in crate::ikev1) fn initiator_keys(
        &self,
        cx: &Context<'_>,
        exchanged: &Exchanged,
    ) -> Option<Phase1Keys> {
        if !exchanged.agreed.method.uses_secret() {
            return exchanged.signature_keys(self);
        }
        let expected = self.expected_identity.as_ref();
        let policy = &cx.shared.policy;
        let secrets = policy.secrets_for(self.path.peer.ip(), expected);
        exchanged.keys(self, &secrets.first()?.secret)
    }
}

/// The public value and the nonce of a message, of the right sizes. A value that lacks leading zeros
/// stays as it came: so it stands in the hashes and the IV (RFC 2409 section 5 takes the payload's
/// octets), and with so many octets both ends have computed them.
pub(in crate::ikev1) fn ke_and_nonce(
    agreed: &Agreed,
    chain: &Chain<'_>,
) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let ke = chain
        .one(PayloadType::KE)
        .map_err(|_| Refusal::BadKeyExchange)?;
    let nonce = chain
        .one(PayloadType::NONCE)
        .map_err(|_| Refusal::BadNonce)?;
    if !agreed.suite.group.fits_public(ke.len()) {
        return Err(Refusal::BadKeyExchange);
    }
    if !nonce_fits(nonce) {
        return Err(Refusal::BadNonce);
    }
    Ok((ke.to_vec(), nonce.to_vec()))
}
