//! Bytes that are wiped when dropped, never printed, and compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret octet string: a pre-shared key, SKEYID and its relatives, a Diffie-Hellman result, KEYMAT.
///
/// `Debug` shows the length only, `==` takes the same time wherever the difference lies, and the
/// bytes are overwritten on drop.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes over `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. The longer name is meant to be seen in review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in octets.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are no octets at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the first `len` octets; the rest is wiped.
    pub(crate) fn truncate(&mut self, len: usize) {
        if let Some(rest) = self.0.get_mut(len..) {
            rest.zeroize();
        }
        self.0.truncate(len);
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(std::mem::take(&mut *bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} octets)", self.0.len())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_no_octet() {
        assert_eq!(
            format!("{:?}", Secret::from(&b"abc"[..])),
            "Secret(3 octets)"
        );
    }

    #[test]
    fn compares_by_value() {
        assert_eq!(Secret::from(&b"abc"[..]), Secret::new(b"abc".to_vec()));
        assert_ne!(Secret::from(&b"abc"[..]), Secret::from(&b"abd"[..]));
        assert_ne!(Secret::from(&b"abc"[..]), Secret::from(&b"ab"[..]));
    }

    #[test]
    fn truncation_keeps_the_front() {
        let mut secret = Secret::from(&b"abcdef"[..]);
        secret.truncate(2);
        assert_eq!(secret.expose(), b"ab");
        secret.truncate(9);
        assert_eq!(secret.len(), 2);
    }
}
