//! Who proves what in phase 1, and what is believed.

use std::fmt;
use std::sync::Arc;

use ike_crypto::Hash;
use ike_pki::{Certificate, NamePattern, PrivateKey, SignatureKind, TrustStore};

use crate::iana::AuthMethod;
use crate::wire::id::Identification;

/// An authentication method, seen from the initiator: RFC 2409 A, RFC 4754, the drafts on hybrid
/// authentication and XAUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Both by a pre-shared key.
    Psk,
    /// Both by RSA signatures.
    Rsa,
    /// Both by ECDSA on P-256.
    EcdsaP256,
    /// Both by ECDSA on P-384.
    EcdsaP384,
    /// Both by ECDSA on P-521.
    EcdsaP521,
    /// Both by a pre-shared key, then the initiator by name and password.
    XauthPsk,
    /// Both by RSA signatures, then the initiator by name and password.
    XauthRsa,
    /// The responder by an RSA signature, the initiator by name and password only.
    HybridRsa,
}

/// What one side sends to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// HASH, under a key made of the pre-shared key; with hybrid authentication it proves nothing.
    Hash,
    /// SIG, and CERT.
    Signature(SignatureKind),
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Psk,
        Self::Rsa,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::XauthPsk,
        Self::XauthRsa,
        Self::HybridRsa,
    ];

    /// From the value of the Authentication-Method attribute.
    pub fn from_iana(number: AuthMethod) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.iana() == number)
    }

    /// The value of the Authentication-Method attribute.
    pub fn iana(self) -> AuthMethod {
        match self {
            Self::Psk => AuthMethod::PSK,
            Self::Rsa => AuthMethod::RSA,
            Self::EcdsaP256 => AuthMethod::ECDSA_256,
            Self::EcdsaP384 => AuthMethod::ECDSA_384,
            Self::EcdsaP521 => AuthMethod::ECDSA_521,
            Self::XauthPsk => AuthMethod::XAUTH_INIT_PSK,
            Self::XauthRsa => AuthMethod::XAUTH_INIT_RSA,
            Self::HybridRsa => AuthMethod::HYBRID_INIT_RSA,
        }
    }

    /// The name used in configuration and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psk => "psk",
            Self::Rsa => "rsa",
            Self::EcdsaP256 => "ecdsa256",
            Self::EcdsaP384 => "ecdsa384",
            Self::EcdsaP521 => "ecdsa521",
            Self::XauthPsk => "xauth-psk",
            Self::XauthRsa => "xauth-rsa",
            Self::HybridRsa => "hybrid-rsa",
        }
    }

    /// What the initiator, or the responder, sends.
    pub(crate) fn proof(self, of_initiator: bool) -> Proof {
        match self {
            Self::Psk | Self::XauthPsk => Proof::Hash,
            Self::HybridRsa if of_initiator => Proof::Hash,
            Self::Rsa | Self::XauthRsa | Self::HybridRsa => Proof::Signature(SignatureKind::Rsa),
            Self::EcdsaP256 => Proof::Signature(SignatureKind::EcdsaP256),
            Self::EcdsaP384 => Proof::Signature(SignatureKind::EcdsaP384),
            Self::EcdsaP521 => Proof::Signature(SignatureKind::EcdsaP521),
        }
    }

    /// The signature the responder gives, if it gives one.
    pub fn signature(self) -> Option<SignatureKind> {
        match self.proof(false) {
            Proof::Hash => None,
            Proof::Signature(kind) => Some(kind),
        }
    }

    /// Whether SKEYID is made of a pre-shared key.
    pub fn uses_secret(self) -> bool {
        matches!(self, Self::Psk | Self::XauthPsk)
    }

    /// Whether the initiator gives a name and a password afterwards.
    pub fn uses_xauth(self) -> bool {
        matches!(self, Self::XauthPsk | Self::XauthRsa | Self::HybridRsa)
    }

    /// The hash of the PRF that makes HASH_I and HASH_R: the one negotiated, but for ECDSA the
    /// curve's (RFC 4754 3).
    pub(crate) fn hash(self, negotiated: Hash) -> Hash {
        match self {
            Self::EcdsaP256 => Hash::Sha256,
            Self::EcdsaP384 => Hash::Sha384,
            Self::EcdsaP521 => Hash::Sha512,
            _ => negotiated,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who we are and whom we believe. `Default` takes pre-shared keys and nothing else.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Methods that are accepted, and offered in this order.
    pub methods: Vec<Method>,
    /// Our certificates with their keys; the first that fits the method is used.
    pub own: Vec<Arc<OwnCertificate>>,
    /// Authorities and revocation lists.
    pub trust: Arc<TrustStore>,
    /// Who may come with a certificate; empty is everybody an authority has vouched for.
    pub peers: Arc<Vec<PeerPattern>>,
    /// Send our certificate along (RFC 4945 3.3.3). Without it the peer must have it already.
    pub send_certificate: bool,
    /// Ask for certificates of our authorities.
    pub request_certificate: bool,
}

/// A certificate of ours.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    /// Our certificate, then the authorities to send along.
    pub chain: Vec<Certificate>,
    /// Its key.
    pub key: PrivateKey,
}

/// Whom a peer's certificate may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerPattern {
    /// It says it is this, and the certificate agrees.
    Identity(Identification),
    /// The certificate is for a name like this.
    Name(NamePattern),
}

impl Default for Authentication {
    fn default() -> Self {
        Self {
            methods: vec![Method::Psk],
            own: Vec::new(),
            trust: Arc::default(),
            peers: Arc::default(),
            send_certificate: true,
            request_certificate: true,
        }
    }
}

impl Authentication {
    /// Our certificate for a kind of signature.
    pub(crate) fn own(&self, kind: SignatureKind) -> Option<&Arc<OwnCertificate>> {
        self.own.iter().find(|own| own.key.public().kind() == kind)
    }

    /// Whether a method can be gone through with in a role, with what there is. `secret` tells
    /// whether there is a pre-shared key for the peer.
    pub(crate) fn can(&self, method: Method, initiator: bool, secret: bool) -> bool {
        let own = match method.proof(initiator) {
            Proof::Hash => true,
            Proof::Signature(kind) => self.own(kind).is_some(),
        };
        let peer = match method.proof(!initiator) {
            Proof::Hash => true,
            Proof::Signature(_) => !self.trust.is_empty(),
        };
        self.methods.contains(&method) && own && peer && (secret || !method.uses_secret())
    }
}
