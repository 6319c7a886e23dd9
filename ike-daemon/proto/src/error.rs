//! Errors, split by whose fault they are: malformed bytes, a peer that broke the rules, a peer
//! and a policy that do not fit, and local trouble.

use std::fmt;

use crate::iana::NotifyType;

/// Bytes that are no ISAKMP message (RFC 2408 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer octets than the format needs.
    #[error("truncated")]
    Truncated,
    /// A length field contradicts what surrounds it.
    #[error("inconsistent length")]
    Length,
    /// A field that must be zero is not, or has a value the format forbids.
    #[error("invalid field")]
    Field,
    /// More payloads, proposals or transforms than anyone honest sends.
    #[error("too many payloads")]
    TooMany,
    /// The ISAKMP header's version is not 1.0.
    #[error("version {major}.{minor}")]
    Version {
        /// 2 is IKEv2.
        major: u8,
        /// Of the major version.
        minor: u8,
    },
}

/// Why a peer's request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The message is malformed.
    Malformed,
    /// No phase 1 transform fits the policy.
    NoPhase1Proposal,
    /// Phase 1 would fit if MODP 1024 were allowed.
    OnlyModp1024,
    /// No phase 2 transform fits the policy.
    NoPhase2Proposal,
    /// Phase 2 would fit if 3DES were allowed.
    OnlyEsp3des,
    /// Only softkernel could carry this client, and it does not run.
    NeedsSoftkernel,
    /// Only softkernel could carry this client, and only in UDP. Its next attempt is made to use
    /// UDP.
    NeedsEncapsulation,
    /// No pre-shared key is configured for this peer.
    NoSecret,
    /// No pre-shared key is configured for the identity named in Aggressive Mode.
    UnknownGroup,
    /// The peer's pre-shared key is not ours.
    WrongSecret,
    /// The peer authenticated but says it is somebody else than configured.
    WrongIdentity,
    /// HASH payload does not verify in an established SA.
    BadHash,
    /// Phase 2 identities are not what the policy carries.
    BadTraffic,
    /// Diffie-Hellman value out of range or of the wrong size.
    BadKeyExchange,
    /// Nonce shorter than 8 or longer than 256 octets.
    BadNonce,
    /// Too many half-open exchanges from this source.
    HalfOpenPerSource,
    /// Too many half-open exchanges in total.
    HalfOpenTotal,
    /// Too many ISAKMP SAs.
    TooManySas,
    /// Too many Quick Mode exchanges or IPsec SAs of one client.
    TooManyChildren,
    /// Aggressive Mode is not offered.
    AggressiveMode,
    /// IKEv2 is not spoken here.
    Ikev2,
    /// Message does not belong to any known SA.
    UnknownCookies,
    /// A message that has no place in the exchange's present state.
    OutOfPlace,
    /// None of the authentication methods offered is accepted.
    AuthMethod,
    /// Only certificates are offered, and none are accepted.
    OnlyCertificates,
    /// Only methods with XAUTH are offered, and none are accepted.
    OnlyXauth,
    /// The peer sent no certificate that can be read.
    NoCertificate,
    /// The peer's identity is not in its certificate.
    CertificateIdentity,
    /// The peer's certificate, or one above it, is not valid at this time.
    ExpiredCertificate,
    /// The peer's certificate, or one above it, is revoked.
    RevokedCertificate,
    /// A revocation list is too old, or not by its authority.
    StaleRevocationList,
    /// No way leads from the peer's certificate to an authority that is trusted.
    UntrustedCertificate,
    /// The peer's signature does not hold.
    BadSignature,
    /// Our signature could not be made.
    CannotSign,
    /// XAUTH: unknown user or wrong password.
    WrongPassword,
    /// Something else before XAUTH was through.
    XauthPending,
    /// Mode Config: no address is free, or the user has none left.
    NoAddress,
}

impl Refusal {
    /// What the operator can do about it, where there is something.
    pub fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Refusal::NoPhase1Proposal => {
                "allow one of the client's phase 1 suites in `phase1`, or choose others in the client"
            }
            Refusal::OnlyModp1024 => {
                "the client offers only 1024-bit Diffie-Hellman (Android 11 and older): set \
                 `allow_modp1024: true` if you accept that it can be broken by a rich attacker"
            }
            Refusal::NoPhase2Proposal => {
                "allow one of the client's ESP suites in `phase2`, or choose others in the client"
            }
            Refusal::OnlyEsp3des => {
                "the client offers only 3DES: set `allow_3des: true` if you must serve it"
            }
            Refusal::NeedsSoftkernel => {
                "start softkernel beside the system's kernel (service softkernel start): it serves \
                 what that one cannot, such as 3DES and a second client behind one NAT that uses \
                 the same L2TP port"
            }
            Refusal::NeedsEncapsulation => {
                "connect again: from now on the client is made to use UDP encapsulation, so that \
                 softkernel can serve it"
            }
            Refusal::NoSecret => "add a pre-shared key for this address, its subnet or `any`",
            Refusal::UnknownGroup => {
                "add a pre-shared key with the client's group name in `peers`, such as \
                 `group:staff`; keys for subnets and `any` do not serve Aggressive Mode"
            }
            Refusal::WrongSecret => {
                "the pre-shared keys differ: compare the key in the client with the one configured \
                 for its address"
            }
            Refusal::WrongIdentity => "compare the identities configured on both sides",
            Refusal::BadTraffic => {
                "the client asks for other traffic than L2TP (UDP 1701): see `traffic`"
            }
            Refusal::HalfOpenPerSource | Refusal::HalfOpenTotal => {
                "a flood, or many clients behind one address: see `limits`"
            }
            Refusal::TooManySas | Refusal::TooManyChildren => "raise the limit in `limits`",
            Refusal::AggressiveMode => {
                "the client has a group name (IPsec identifier) set: leave it empty to get Main Mode, or \
                 give the group a secret and set `aggressive: true`"
            }
            Refusal::Ikev2 => "choose L2TP/IPsec (IKEv1) in the client instead of IKEv2",
            Refusal::AuthMethod => {
                "see `authentication.methods` for what is accepted from this client"
            }
            Refusal::OnlyCertificates => {
                "the client offers certificates only: choose a pre-shared key in the client, or give \
                 us one: `authentication` with `methods: [rsa]`, `certificates` and `ca`"
            }
            Refusal::OnlyXauth => {
                "the client offers XAUTH only (\"Cisco IPsec\"): choose L2TP in the client, or serve \
                 it: `authentication`, `methods: [xauth-psk]`, and `mode_config`"
            }
            Refusal::NoCertificate => "install a certificate with its key in the client",
            Refusal::CertificateIdentity => {
                "the name the client gives must be its certificate's subject or one of its \
                 subjectAltNames"
            }
            Refusal::ExpiredCertificate => "renew the certificate, or set the clocks right",
            Refusal::RevokedCertificate => "the authority took it back: give the client another",
            Refusal::StaleRevocationList => "put a current list into `authentication.crl`",
            Refusal::UntrustedCertificate => {
                "name the authority that issued it in `authentication.ca`, if you trust it"
            }
            Refusal::BadSignature => "the client's key does not belong to its certificate",
            Refusal::WrongPassword => "compare user name and password with the `users` file",
            Refusal::NoAddress => "enlarge `mode_config.pool`",
            _ => return None,
        })
    }

    /// Whether something else might have been offered, or allowed.
    pub(crate) fn is_about_offers(self) -> bool {
        matches!(
            self,
            Refusal::NoPhase1Proposal
                | Refusal::OnlyModp1024
                | Refusal::NoPhase2Proposal
                | Refusal::OnlyEsp3des
                | Refusal::AuthMethod
                | Refusal::OnlyCertificates
                | Refusal::OnlyXauth
        )
    }

    /// The notify type told to the peer, where one is sent (RFC 2408 3.14.1).
    pub fn notify(self) -> NotifyType {
        match self {
            Refusal::NoPhase1Proposal
            | Refusal::OnlyModp1024
            | Refusal::NoPhase2Proposal
            | Refusal::OnlyEsp3des
            | Refusal::NeedsSoftkernel
            | Refusal::NeedsEncapsulation
            | Refusal::AuthMethod
            | Refusal::OnlyCertificates
            | Refusal::OnlyXauth => NotifyType::NO_PROPOSAL_CHOSEN,
            // The same for both: nobody learns which groups exist.
            Refusal::NoSecret | Refusal::UnknownGroup | Refusal::WrongSecret => {
                NotifyType::AUTHENTICATION_FAILED
            }
            Refusal::NoCertificate
            | Refusal::CertificateIdentity
            | Refusal::ExpiredCertificate
            | Refusal::RevokedCertificate
            | Refusal::StaleRevocationList
            | Refusal::UntrustedCertificate
            | Refusal::BadSignature
            | Refusal::CannotSign
            | Refusal::WrongPassword => NotifyType::AUTHENTICATION_FAILED,
            Refusal::WrongIdentity | Refusal::BadTraffic => NotifyType::INVALID_ID_INFORMATION,
            Refusal::BadHash => NotifyType::INVALID_HASH_INFORMATION,
            Refusal::BadKeyExchange => NotifyType::INVALID_KEY_INFORMATION,
            Refusal::Ikev2 => NotifyType::INVALID_MAJOR_VERSION,
            Refusal::UnknownCookies => NotifyType::INVALID_COOKIE,
            Refusal::AggressiveMode => NotifyType::INVALID_EXCHANGE_TYPE,
            Refusal::Malformed | Refusal::BadNonce => NotifyType::PAYLOAD_MALFORMED,
            Refusal::HalfOpenPerSource
            | Refusal::HalfOpenTotal
            | Refusal::TooManySas
            | Refusal::TooManyChildren
            | Refusal::XauthPending
            | Refusal::NoAddress
            | Refusal::OutOfPlace => NotifyType::UNSUPPORTED_EXCHANGE_TYPE,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed => "malformed message",
            Refusal::NoPhase1Proposal => "no acceptable phase 1 proposal",
            Refusal::OnlyModp1024 => "no acceptable phase 1 proposal (only MODP 1024 offered)",
            Refusal::NoPhase2Proposal => "no acceptable phase 2 proposal",
            Refusal::OnlyEsp3des => "no acceptable phase 2 proposal (only 3DES offered)",
            Refusal::NeedsSoftkernel => "the system's kernel cannot serve this client",
            Refusal::NeedsEncapsulation => {
                "the system's kernel cannot serve this client, and softkernel only in UDP"
            }
            Refusal::NoSecret => "no pre-shared key for this peer",
            Refusal::UnknownGroup => "no pre-shared key for this group",
            Refusal::WrongSecret => "pre-shared key mismatch",
            Refusal::WrongIdentity => "unexpected peer identity",
            Refusal::BadHash => "authentication of a message failed",
            Refusal::BadTraffic => "unacceptable phase 2 identities",
            Refusal::BadKeyExchange => "invalid key exchange value",
            Refusal::BadNonce => "invalid nonce",
            Refusal::HalfOpenPerSource => "too many half-open exchanges from this address",
            Refusal::HalfOpenTotal => "too many half-open exchanges",
            Refusal::TooManySas => "too many ISAKMP SAs",
            Refusal::TooManyChildren => "too many quick modes or IPsec SAs of one client",
            Refusal::AggressiveMode => "aggressive mode is not offered",
            Refusal::Ikev2 => "IKEv2 is not offered",
            Refusal::UnknownCookies => "message for an unknown ISAKMP SA",
            Refusal::OutOfPlace => "message out of place",
            Refusal::AuthMethod => "no acceptable authentication method",
            Refusal::OnlyCertificates => {
                "no acceptable authentication method (only certificates offered)"
            }
            Refusal::OnlyXauth => "no acceptable authentication method (only XAUTH offered)",
            Refusal::NoCertificate => "no certificate",
            Refusal::CertificateIdentity => "certificate is not for the peer's identity",
            Refusal::ExpiredCertificate => "certificate is not valid now",
            Refusal::RevokedCertificate => "certificate is revoked",
            Refusal::StaleRevocationList => "revocation list cannot be relied on",
            Refusal::UntrustedCertificate => "certificate is not trusted",
            Refusal::BadSignature => "signature does not hold",
            Refusal::CannotSign => "our signature could not be made",
            Refusal::WrongPassword => "unknown user or wrong password",
            Refusal::XauthPending => "no name and password yet",
            Refusal::NoAddress => "no address left for this client",
        })
    }
}

/// Why an SA ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownReason {
    /// The peer deleted it.
    DeletedByPeer,
    /// A local command.
    DeletedLocally,
    /// Its lifetime is over.
    Expired,
    /// A newer one took its place.
    Replaced,
    /// The peer came back with INITIAL-CONTACT.
    InitialContact,
    /// No answer to dead peer detection.
    DpdTimeout,
    /// Nothing has come for long, and there is no way to ask.
    Silent,
    /// No answer to our messages.
    Timeout,
    /// The peer stopped half way.
    HalfOpenTimeout,
    /// The peer answered with an error notification before it stopped answering.
    PeerRefused(NotifyType),
    /// We refused the peer.
    Refused(Refusal),
    /// The kernel refused.
    Kernel(String),
    /// Pushed out by a limit.
    Evicted,
}

impl DownReason {
    /// What the operator can do about an exchange that failed so, where there is something.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            DownReason::Timeout => Some(
                "see whether the peer runs, and whether UDP 500, UDP 4500 and ESP get through \
                 both ways",
            ),
            DownReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN) => Some(
                "the peer allows none of our suites: compare `phase1` and `phase2` with its own",
            ),
            DownReason::PeerRefused(
                NotifyType::AUTHENTICATION_FAILED
                | NotifyType::INVALID_HASH_INFORMATION
                | NotifyType::PAYLOAD_MALFORMED,
            ) => Some("compare the pre-shared keys, or the certificates, of both sides"),
            DownReason::PeerRefused(NotifyType::INVALID_ID_INFORMATION) => {
                Some("compare the identities and the traffic configured on both sides")
            }
            DownReason::PeerRefused(_) => Some("the peer's log says why"),
            DownReason::Refused(refusal) => refusal.remedy(),
            _ => None,
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownReason::DeletedByPeer => f.write_str("deleted by the peer"),
            DownReason::DeletedLocally => f.write_str("deleted locally"),
            DownReason::Expired => f.write_str("lifetime expired"),
            DownReason::Replaced => f.write_str("replaced by a newer one"),
            DownReason::InitialContact => f.write_str("peer started afresh (INITIAL-CONTACT)"),
            DownReason::DpdTimeout => f.write_str("peer is dead (no answer)"),
            DownReason::Silent => f.write_str("peer is silent, and cannot be asked"),
            DownReason::Timeout => f.write_str("no answer from the peer"),
            DownReason::HalfOpenTimeout => f.write_str("peer did not finish the exchange"),
            DownReason::PeerRefused(n) => write!(f, "refused by the peer: {n}"),
            DownReason::Refused(r) => write!(f, "refused: {r}"),
            DownReason::Kernel(why) => write!(f, "kernel: {why}"),
            DownReason::Evicted => f.write_str("pushed out by newer exchanges"),
        }
    }
}

/// Why a local command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No connection of that name in the policy.
    #[error("no connection named `{0}`")]
    UnknownConnection(String),
    /// No such SA.
    #[error("no such SA")]
    UnknownSa,
    /// No secret for the peer.
    #[error("no pre-shared key for {0}")]
    NoSecret(std::net::IpAddr),
    /// A limit is reached.
    #[error("too many SAs")]
    TooMany,
    /// A checkpoint written by another version, or damaged.
    #[error("unusable checkpoint: {0}")]
    Checkpoint(String),
}
