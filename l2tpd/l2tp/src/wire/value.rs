//! The value of an AVP: what every type of value can do, and the plain ones.

/// A type an AVP's value can have.
pub trait Value: Sized {
    /// Reads it; `None` when the octets are not such a value.
    fn parse(octets: &[u8]) -> Option<Self>;

    /// Appends it to `out`.
    fn emit(&self, out: &mut Vec<u8>);
}

impl Value for u16 {
    fn parse(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self::from_be_bytes)
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl Value for u32 {
    fn parse(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self::from_be_bytes)
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl<const N: usize> Value for [u8; N] {
    fn parse(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok()
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// Octets of any number, none included.
impl Value for Vec<u8> {
    fn parse(octets: &[u8]) -> Option<Self> {
        Some(octets.to_vec())
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// At least one octet, as names, challenges and vectors must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonEmpty(Vec<u8>);

impl NonEmpty {
    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl Value for NonEmpty {
    fn parse(octets: &[u8]) -> Option<Self> {
        (!octets.is_empty()).then(|| Self(octets.to_vec()))
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// A value whose presence says everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present;

impl Value for Present {
    /// Octets that should not be there are let pass: they cannot change the meaning.
    fn parse(_: &[u8]) -> Option<Self> {
        Some(Self)
    }

    fn emit(&self, _: &mut Vec<u8>) {}
}
