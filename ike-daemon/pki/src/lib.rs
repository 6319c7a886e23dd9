//! Certificates for IKEv1 (RFC 2409 5.1, RFC 4754, RFC 4945): no I/O, no clock; the time is an
//! argument.
//!
//! * [`key`]: RSA and ECDSA keys, and the signatures IKE makes of its hashes
//! * [`certificate`]: one X.509 certificate, read strictly
//! * [`name`]: distinguished names: comparing, writing, reading, patterns
//! * [`trust`]: which authorities are believed, and which certificates they took back
//! * [`path`]: from a peer's certificate to an authority that is believed (RFC 5280 6)
//! * [`encoding`]: what comes in files and CERT payloads: PEM, DER, PKCS #7

pub mod certificate;
pub mod encoding;
pub mod key;
pub mod name;
pub mod path;
pub mod trust;

mod blinding;
mod crl;
mod signed;

pub use certificate::{Certificate, Subject};
pub use encoding::EncodingError;
pub use key::{KeyError, PrivateKey, PublicKey, SignatureError, SignatureKind};
pub use name::{DistinguishedName, NamePattern};
pub use path::{PathError, validate};
pub use trust::{TrustStore, Weaknesses};
