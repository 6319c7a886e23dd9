//! Numbers of ISAKMP and the IPsec DOI: RFC 2408, RFC 2407, RFC 2409, RFC 3706, RFC 3947, and
//! IANA's "Internet Key Exchange (IKE) Attributes" and "Magic Numbers for ISAKMP Protocol".
//!
//! Every number is a newtype, so unknown values survive from the wire to the log.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$vdoc:meta])* $konst:ident = $value:expr, $text:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$vdoc])* pub const $konst: Self = Self($value);)*

            /// The registered name, if the number is one we know.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }
    };
}

numbers! {
    /// Payload types, RFC 2408 3.1.
    PayloadType(u8) {
        /// End of the chain.
        NONE = 0, "NONE";
        /// Security Association.
        SA = 1, "SA";
        /// Proposal, inside SA.
        PROPOSAL = 2, "P";
        /// Transform, inside Proposal.
        TRANSFORM = 3, "T";
        /// Key Exchange.
        KE = 4, "KE";
        /// Identification.
        ID = 5, "ID";
        /// Certificate.
        CERT = 6, "CERT";
        /// Certificate Request.
        CR = 7, "CR";
        /// Hash.
        HASH = 8, "HASH";
        /// Signature.
        SIG = 9, "SIG";
        /// Nonce.
        NONCE = 10, "NONCE";
        /// Notification.
        NOTIFICATION = 11, "N";
        /// Delete.
        DELETE = 12, "D";
        /// Vendor ID.
        VENDOR_ID = 13, "VID";
        /// Attributes, draft-dukes-ike-mode-cfg-02 3.2.
        ATTRIBUTES = 14, "ATTR";
        /// NAT-D of draft-ietf-ipsec-nat-t-ike-04 to -08.
        NAT_D_DRAFT_04 = 15, "NAT-D(draft-04)";
        /// NAT discovery, RFC 3947 3.2.
        NAT_D = 20, "NAT-D";
        /// NAT original address, RFC 3947 5.2.
        NAT_OA = 21, "NAT-OA";
        /// NAT-D of draft-ietf-ipsec-nat-t-ike-02 and -03.
        NAT_D_DRAFT = 130, "NAT-D(draft)";
        /// NAT-OA of draft-ietf-ipsec-nat-t-ike-02 and -03.
        NAT_OA_DRAFT = 131, "NAT-OA(draft)";
        /// A piece of a message, [MS-IKEE] 2.2.3.1.
        FRAGMENT = 132, "FRAGMENT";
    }
}

numbers! {
    /// Exchange types, RFC 2408 3.1, RFC 2409 A.
    ExchangeType(u8) {
        /// Base.
        BASE = 1, "Base";
        /// Main Mode.
        MAIN_MODE = 2, "Main Mode";
        /// Aggressive Mode.
        AGGRESSIVE = 4, "Aggressive Mode";
        /// Informational.
        INFORMATIONAL = 5, "Informational";
        /// Transaction (mode config, XAUTH).
        TRANSACTION = 6, "Transaction";
        /// Quick Mode.
        QUICK_MODE = 32, "Quick Mode";
        /// New Group Mode.
        NEW_GROUP = 33, "New Group Mode";
    }
}

numbers! {
    /// Protocols that SAs are for, RFC 2407 4.4.1.
    ProtocolId(u8) {
        /// ISAKMP itself.
        ISAKMP = 1, "ISAKMP";
        /// Authentication Header.
        AH = 2, "AH";
        /// Encapsulating Security Payload.
        ESP = 3, "ESP";
        /// IP compression.
        IPCOMP = 4, "IPCOMP";
    }
}

numbers! {
    /// Identification types, RFC 2407 4.6.2.1.
    IdType(u8) {
        /// Four octets.
        IPV4_ADDR = 1, "ID_IPV4_ADDR";
        /// A domain name.
        FQDN = 2, "ID_FQDN";
        /// user@domain.
        USER_FQDN = 3, "ID_USER_FQDN";
        /// Address and mask.
        IPV4_ADDR_SUBNET = 4, "ID_IPV4_ADDR_SUBNET";
        /// Sixteen octets.
        IPV6_ADDR = 5, "ID_IPV6_ADDR";
        /// Address and mask.
        IPV6_ADDR_SUBNET = 6, "ID_IPV6_ADDR_SUBNET";
        /// First and last address.
        IPV4_ADDR_RANGE = 7, "ID_IPV4_ADDR_RANGE";
        /// First and last address.
        IPV6_ADDR_RANGE = 8, "ID_IPV6_ADDR_RANGE";
        /// X.500 distinguished name.
        DER_ASN1_DN = 9, "ID_DER_ASN1_DN";
        /// X.500 general name.
        DER_ASN1_GN = 10, "ID_DER_ASN1_GN";
        /// Opaque octets.
        KEY_ID = 11, "ID_KEY_ID";
    }
}

numbers! {
    /// Notify message types, RFC 2408 3.14.1, RFC 2407 4.6.3, RFC 3706 5.3.
    NotifyType(u16) {
        /// Payload type not known.
        INVALID_PAYLOAD_TYPE = 1, "INVALID-PAYLOAD-TYPE";
        /// DOI not known.
        DOI_NOT_SUPPORTED = 2, "DOI-NOT-SUPPORTED";
        /// Situation not known.
        SITUATION_NOT_SUPPORTED = 3, "SITUATION-NOT-SUPPORTED";
        /// No SA with these cookies.
        INVALID_COOKIE = 4, "INVALID-COOKIE";
        /// ISAKMP major version not spoken.
        INVALID_MAJOR_VERSION = 5, "INVALID-MAJOR-VERSION";
        /// ISAKMP minor version not spoken.
        INVALID_MINOR_VERSION = 6, "INVALID-MINOR-VERSION";
        /// Exchange type not allowed.
        INVALID_EXCHANGE_TYPE = 7, "INVALID-EXCHANGE-TYPE";
        /// Message id wrong.
        INVALID_MESSAGE_ID = 9, "INVALID-MESSAGE-ID";
        /// SPI not known.
        INVALID_SPI = 11, "INVALID-SPI";
        /// Nothing offered fits.
        NO_PROPOSAL_CHOSEN = 14, "NO-PROPOSAL-CHOSEN";
        /// Proposal cannot be read.
        BAD_PROPOSAL_SYNTAX = 15, "BAD-PROPOSAL-SYNTAX";
        /// Payload cannot be read.
        PAYLOAD_MALFORMED = 16, "PAYLOAD-MALFORMED";
        /// Bad key exchange value.
        INVALID_KEY_INFORMATION = 17, "INVALID-KEY-INFORMATION";
        /// Bad identity.
        INVALID_ID_INFORMATION = 18, "INVALID-ID-INFORMATION";
        /// Bad hash.
        INVALID_HASH_INFORMATION = 23, "INVALID-HASH-INFORMATION";
        /// Authentication failed.
        AUTHENTICATION_FAILED = 24, "AUTHENTICATION-FAILED";
        /// Exchange type not spoken.
        UNSUPPORTED_EXCHANGE_TYPE = 29, "UNSUPPORTED-EXCHANGE-TYPE";
        /// Payload lengths disagree.
        UNEQUAL_PAYLOAD_LENGTHS = 30, "UNEQUAL-PAYLOAD-LENGTHS";
        /// Exchange finished (commit bit).
        CONNECTED = 16384, "CONNECTED";
        /// Lifetime the responder will use.
        RESPONDER_LIFETIME = 24576, "RESPONDER-LIFETIME";
        /// Whether replay is detected.
        REPLAY_STATUS = 24577, "REPLAY-STATUS";
        /// The sender has no other SA with us.
        INITIAL_CONTACT = 24578, "INITIAL-CONTACT";
        /// Dead peer detection: are you there?
        R_U_THERE = 36136, "R-U-THERE";
        /// Dead peer detection: yes.
        R_U_THERE_ACK = 36137, "R-U-THERE-ACK";
    }
}

impl NotifyType {
    /// Error types are below 16384 (RFC 2408 3.14.1).
    pub fn is_error(self) -> bool {
        self.0 < 16384
    }
}

numbers! {
    /// Phase 1 attribute classes, RFC 2409 A.
    Phase1Attribute(u16) {
        /// Encryption algorithm.
        ENCRYPTION = 1, "Encryption Algorithm";
        /// Hash algorithm.
        HASH = 2, "Hash Algorithm";
        /// Authentication method.
        AUTH_METHOD = 3, "Authentication Method";
        /// Group description.
        GROUP = 4, "Group Description";
        /// Life type.
        LIFE_TYPE = 11, "Life Type";
        /// Life duration.
        LIFE_DURATION = 12, "Life Duration";
        /// Pseudo-random function.
        PRF = 13, "PRF";
        /// Key length in bits.
        KEY_LENGTH = 14, "Key Length";
    }
}

numbers! {
    /// Phase 2 attribute classes, RFC 2407 4.5.
    Phase2Attribute(u16) {
        /// Life type.
        LIFE_TYPE = 1, "SA Life Type";
        /// Life duration.
        LIFE_DURATION = 2, "SA Life Duration";
        /// Group description.
        GROUP = 3, "Group Description";
        /// Encapsulation mode.
        ENCAPSULATION = 4, "Encapsulation Mode";
        /// Authentication algorithm.
        AUTH = 5, "Authentication Algorithm";
        /// Key length in bits.
        KEY_LENGTH = 6, "Key Length";
        /// Explicit congestion notification in tunnel mode, RFC 3168.
        ECN_TUNNEL = 10, "ECN Tunnel";
        /// From here on for private use.
        FIRST_PRIVATE = 32001, "private use";
    }
}

numbers! {
    /// Phase 1 authentication methods, RFC 2409 A.
    AuthMethod(u16) {
        /// Pre-shared key.
        PSK = 1, "pre-shared key";
        /// RSA signatures.
        RSA = 3, "RSA signatures";
        /// ECDSA with SHA-256 on P-256, RFC 4754.
        ECDSA_256 = 9, "ECDSA-256";
        /// ECDSA with SHA-384 on P-384.
        ECDSA_384 = 10, "ECDSA-384";
        /// ECDSA with SHA-512 on P-521.
        ECDSA_521 = 11, "ECDSA-521";
        /// The responder by RSA, the initiator by XAUTH: draft-ietf-ipsec-isakmp-hybrid-auth-05 3.2.
        HYBRID_INIT_RSA = 64221, "HybridInitRSA";
        /// The same with the roles exchanged.
        HYBRID_RESP_RSA = 64222, "HybridRespRSA";
        /// Pre-shared key, then the initiator by XAUTH: draft-ietf-ipsec-isakmp-xauth-06 7.
        XAUTH_INIT_PSK = 65001, "XAUTHInitPreShared";
        /// Pre-shared key, then the responder by XAUTH.
        XAUTH_RESP_PSK = 65002, "XAUTHRespPreShared";
        /// RSA signatures, then the initiator by XAUTH.
        XAUTH_INIT_RSA = 65005, "XAUTHInitRSA";
        /// RSA signatures, then the responder by XAUTH.
        XAUTH_RESP_RSA = 65006, "XAUTHRespRSA";
    }
}

numbers! {
    /// Certificate encodings, RFC 2408 3.9.
    CertEncoding(u8) {
        /// Certificates wrapped in PKCS #7.
        PKCS7 = 1, "PKCS #7 wrapped X.509";
        /// One X.509 certificate for signatures.
        X509_SIGNATURE = 4, "X.509 signature";
        /// A revocation list.
        CRL = 7, "CRL";
    }
}

numbers! {
    /// Types of Attributes payloads, draft-dukes-ike-mode-cfg-02 3.3.
    ConfigType(u8) {
        /// Asks.
        REQUEST = 1, "REQUEST";
        /// Answers what was asked.
        REPLY = 2, "REPLY";
        /// Tells.
        SET = 3, "SET";
        /// Acknowledges what was told.
        ACK = 4, "ACK";
    }
}

numbers! {
    /// Attributes of Transaction exchanges: draft-dukes-ike-mode-cfg-02 3.4,
    /// draft-ietf-ipsec-isakmp-xauth-06 6.2, and Cisco's Unity.
    ConfigAttribute(u16) {
        /// An address for the client.
        INTERNAL_IP4_ADDRESS = 1, "INTERNAL_IP4_ADDRESS";
        /// Its netmask.
        INTERNAL_IP4_NETMASK = 2, "INTERNAL_IP4_NETMASK";
        /// A name server.
        INTERNAL_IP4_DNS = 3, "INTERNAL_IP4_DNS";
        /// A WINS server.
        INTERNAL_IP4_NBNS = 4, "INTERNAL_IP4_NBNS";
        /// What software it is.
        APPLICATION_VERSION = 7, "APPLICATION_VERSION";
        /// Kind of XAUTH.
        XAUTH_TYPE = 16520, "XAUTH_TYPE";
        /// Name.
        XAUTH_USER_NAME = 16521, "XAUTH_USER_NAME";
        /// Password.
        XAUTH_USER_PASSWORD = 16522, "XAUTH_USER_PASSWORD";
        /// Whether they are right.
        XAUTH_STATUS = 16527, "XAUTH_STATUS";
        /// A text to show.
        UNITY_BANNER = 28672, "UNITY_BANNER";
        /// Whether the password may be kept.
        UNITY_SAVE_PASSWD = 28673, "UNITY_SAVE_PASSWD";
        /// The domain of short names.
        UNITY_DEF_DOMAIN = 28674, "UNITY_DEF_DOMAIN";
        /// Domains to ask our name servers for.
        UNITY_SPLITDNS_NAME = 28675, "UNITY_SPLITDNS_NAME";
        /// Networks through the tunnel.
        UNITY_SPLIT_INCLUDE = 28676, "UNITY_SPLIT_INCLUDE";
        /// Networks beside the tunnel.
        UNITY_LOCAL_LAN = 28678, "UNITY_LOCAL_LAN";
    }
}

impl ConfigAttribute {
    /// Those of XAUTH, from XAUTH_TYPE to XAUTH_ANSWER.
    pub const XAUTH: std::ops::RangeInclusive<u16> = 16520..=16529;
}

numbers! {
    /// Kinds of XAUTH, draft-ietf-ipsec-isakmp-xauth-06 6.3.
    XauthType(u16) {
        /// Name and password.
        GENERIC = 0, "Generic";
    }
}

numbers! {
    /// What a lifetime counts, RFC 2407 4.5, RFC 2409 A.
    LifeType(u16) {
        /// Seconds.
        SECONDS = 1, "seconds";
        /// Kilobytes.
        KILOBYTES = 2, "kilobytes";
    }
}

numbers! {
    /// Encapsulation modes, RFC 2407 4.5, RFC 3947 5.1, draft-ietf-ipsec-nat-t-ike-02 5.
    EncapsulationMode(u16) {
        /// Tunnel.
        TUNNEL = 1, "tunnel";
        /// Transport.
        TRANSPORT = 2, "transport";
        /// Tunnel in UDP.
        UDP_TUNNEL = 3, "udp-tunnel";
        /// Transport in UDP.
        UDP_TRANSPORT = 4, "udp-transport";
        /// Tunnel in UDP, draft number.
        UDP_TUNNEL_DRAFT = 61443, "udp-tunnel-draft";
        /// Transport in UDP, draft number.
        UDP_TRANSPORT_DRAFT = 61444, "udp-transport-draft";
    }
}

impl EncapsulationMode {
    /// Whether ESP travels in UDP.
    pub fn is_udp(self) -> bool {
        matches!(
            self,
            Self::UDP_TUNNEL
                | Self::UDP_TRANSPORT
                | Self::UDP_TUNNEL_DRAFT
                | Self::UDP_TRANSPORT_DRAFT
        )
    }

    /// Whether the inner packet is a transport payload; `None` for unknown numbers.
    pub fn is_transport(self) -> Option<bool> {
        match self {
            Self::TRANSPORT | Self::UDP_TRANSPORT | Self::UDP_TRANSPORT_DRAFT => Some(true),
            Self::TUNNEL | Self::UDP_TUNNEL | Self::UDP_TUNNEL_DRAFT => Some(false),
            _ => None,
        }
    }
}

numbers! {
    /// ESP transform identifiers, RFC 2407 4.4.4, RFC 3602, RFC 4106.
    EspTransform(u8) {
        /// DES, never accepted.
        DES = 2, "des";
        /// 3DES-CBC.
        TRIPLE_DES = 3, "3des";
        /// NULL, never accepted.
        NULL = 11, "null";
        /// AES-CBC.
        AES_CBC = 12, "aes-cbc";
        /// AES-GCM with a 16-octet ICV.
        AES_GCM_16 = 20, "aes-gcm16";
    }
}

numbers! {
    /// ESP authentication algorithms, RFC 2407 4.5, RFC 4868.
    EspAuth(u16) {
        /// None, with combined-mode ciphers.
        NONE = 0, "none";
        /// HMAC-MD5-96, never accepted.
        HMAC_MD5 = 1, "hmac-md5";
        /// HMAC-SHA-1-96.
        HMAC_SHA1 = 2, "hmac-sha1";
        /// HMAC-SHA-256-128.
        HMAC_SHA2_256 = 5, "hmac-sha2-256";
        /// HMAC-SHA-384-192.
        HMAC_SHA2_384 = 6, "hmac-sha2-384";
        /// HMAC-SHA-512-256.
        HMAC_SHA2_512 = 7, "hmac-sha2-512";
    }
}

impl EspAuth {
    /// Octets of key (RFC 2404, RFC 4868 2.1.1); `None` when not offered here.
    pub fn key_len(self) -> Option<usize> {
        match self {
            Self::NONE => Some(0),
            Self::HMAC_SHA1 => Some(20),
            Self::HMAC_SHA2_256 => Some(32),
            Self::HMAC_SHA2_384 => Some(48),
            Self::HMAC_SHA2_512 => Some(64),
            _ => None,
        }
    }
}

/// The IPsec domain of interpretation, RFC 2407 4.1.
pub const DOI_IPSEC: u32 = 1;

/// SIT_IDENTITY_ONLY, RFC 2407 4.2.1.
pub const SIT_IDENTITY_ONLY: u32 = 1;

/// KEY_IKE, the only phase 1 transform, RFC 2407 4.4.2.
pub const KEY_IKE: u8 = 1;
