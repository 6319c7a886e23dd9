//! Proxy authentication AVPs (RFC 2661 section 4.4.5). A voluntary client, which is its own LAC,
//! has no use for them; they are read and shown to nobody.

use super::value::Value;

/// A Proxy Authen Type AVP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyAuthenType(pub u16);

impl ProxyAuthenType {
    /// Textual username/password exchange.
    pub const TEXTUAL: Self = Self(1);
    /// PPP CHAP.
    pub const CHAP: Self = Self(2);
    /// PPP PAP.
    pub const PAP: Self = Self(3);
    /// No Authentication.
    pub const NONE: Self = Self(4);
    /// Microsoft CHAP Version 1.
    pub const MS_CHAP_V1: Self = Self(5);
}

impl Value for ProxyAuthenType {
    fn parse(octets: &[u8]) -> Option<Self> {
        u16::parse(octets).map(Self)
    }

    fn emit(&self, out: &mut Vec<u8>) {
        self.0.emit(out);
    }
}

/// A Proxy Authen ID AVP: the identifier of the PPP authentication, behind a reserved octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyAuthenId(pub u8);

impl Value for ProxyAuthenId {
    fn parse(octets: &[u8]) -> Option<Self> {
        let &[_, id] = octets else { return None };
        Some(Self(id))
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, self.0]);
    }
}
