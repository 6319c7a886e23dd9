//! Distinguished names (RFC 5280 4.1.2.4): compared as RFC 5280 7.1 asks in substance, without
//! regard to case, runs of blanks and the kind of string; written and read as `C=CH, O=x, CN=y`, in
//! the order of their encoding, which is what IPsec daemons have always done.

use std::fmt;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Any, BmpString, Ia5StringRef, ObjectIdentifier, PrintableStringRef};
use x509_cert::der::asn1::{TeletexStringRef, Utf8StringRef};
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

/// A distinguished name (RFC 5280 4.1.2.4): the octets as they came, and its parts to compare.
#[derive(Clone, Debug)]
pub struct DistinguishedName {
    der: Vec<u8>,
    parts: Vec<Vec<Part>>,
}

/// One attribute of a relative distinguished name.
#[derive(Clone, Debug)]
struct Part {
    kind: ObjectIdentifier,
    value: String,
    /// As compared.
    plain: String,
}

/// More attributes than any honest name has.
const MAX_PARTS: usize = 64;

/// The attribute types with a short name, and how they are encoded when we write them.
const TYPES: &[(&str, ObjectIdentifier, Tag)] = &[
    (
        "CN",
        ObjectIdentifier::new_unwrap("2.5.4.3"),
        Tag::Utf8String,
    ),
    (
        "SN",
        ObjectIdentifier::new_unwrap("2.5.4.4"),
        Tag::Utf8String,
    ),
    (
        "serialNumber",
        ObjectIdentifier::new_unwrap("2.5.4.5"),
        Tag::PrintableString,
    ),
    (
        "C",
        ObjectIdentifier::new_unwrap("2.5.4.6"),
        Tag::PrintableString,
    ),
    (
        "L",
        ObjectIdentifier::new_unwrap("2.5.4.7"),
        Tag::Utf8String,
    ),
    (
        "ST",
        ObjectIdentifier::new_unwrap("2.5.4.8"),
        Tag::Utf8String,
    ),
    (
        "O",
        ObjectIdentifier::new_unwrap("2.5.4.10"),
        Tag::Utf8String,
    ),
    (
        "OU",
        ObjectIdentifier::new_unwrap("2.5.4.11"),
        Tag::Utf8String,
    ),
    (
        "T",
        ObjectIdentifier::new_unwrap("2.5.4.12"),
        Tag::Utf8String,
    ),
    (
        "GN",
        ObjectIdentifier::new_unwrap("2.5.4.42"),
        Tag::Utf8String,
    ),
    (
        "DC",
        ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25"),
        Tag::Ia5String,
    ),
    (
        "UID",
        ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1"),
        Tag::Utf8String,
    ),
    ("E", MAIL, Tag::Ia5String),
    ("emailAddress", MAIL, Tag::Ia5String),
];

const MAIL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

impl Part {
    fn read(attribute: &AttributeTypeAndValue) -> Option<Self> {
        let value = text(&attribute.value)?;
        Some(Self {
            kind: attribute.oid,
            plain: plain(&value),
            value,
        })
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.plain == other.plain
    }
}

/// The text of a string of any kind; octets in hex of what is no string.
fn text(value: &Any) -> Option<String> {
    Some(match value.tag() {
        Tag::Utf8String => value
            .decode_as::<Utf8StringRef<'_>>()
            .ok()?
            .as_str()
            .to_owned(),
        Tag::PrintableString => value
            .decode_as::<PrintableStringRef<'_>>()
            .ok()?
            .as_str()
            .to_owned(),
        Tag::Ia5String => value
            .decode_as::<Ia5StringRef<'_>>()
            .ok()?
            .as_str()
            .to_owned(),
        Tag::TeletexString => value
            .decode_as::<TeletexStringRef<'_>>()
            .ok()?
            .as_str()
            .to_owned(),
        Tag::BmpString => value.decode_as::<BmpString>().ok()?.to_string(),
        _ => value
            .value()
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect(),
    })
}

/// Without regard to case and runs of blanks.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

impl DistinguishedName {
    /// Reads a name in DER; nothing may follow it.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let sequence = RdnSequence::from_der(der).ok()?;
        let mut parts = Vec::new();
        let mut count = 0usize;
        for relative in sequence.iter() {
            count = count.saturating_add(relative.len());
            if count > MAX_PARTS {
                return None;
            }
            parts.push(
                relative
                    .iter()
                    .map(Part::read)
                    .collect::<Option<Vec<_>>>()?,
            );
        }
        Some(Self {
            der: der.to_vec(),
            parts,
        })
    }

    /// Reads `C=CH, O=x, CN=y`, or the same with slashes in front of each part.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut sequence = RdnSequence::default();
        for (kind, value) in split(text)? {
            if value.is_empty() {
                return None;
            }
            let (_, oid, tag) = TYPES
                .iter()
                .find(|(name, ..)| name.eq_ignore_ascii_case(&kind))?;
            let attribute = AttributeTypeAndValue {
                oid: *oid,
                value: Any::new(*tag, value.as_bytes()).ok()?,
            };
            // A value that its kind of string cannot hold is refused here, not at the peer.
            Part::read(&attribute)?;
            sequence.push(RelativeDistinguishedName::try_from(vec![attribute]).ok()?);
        }
        Self::from_der(&sequence.to_der().ok()?)
    }

    /// The name in DER: the body of an identity of that type.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Mail addresses in it, as old certificates have them.
    pub(crate) fn mail(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .flatten()
            .filter(|part| part.kind == MAIL)
            .map(|part| part.value.as_str())
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for DistinguishedName {}

/// `C=CH, O=x, CN=y`. Control characters of the peer never reach a log.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.parts.iter().flatten().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            match TYPES.iter().find(|(_, oid, _)| *oid == part.kind) {
                Some((name, ..)) => write!(f, "{name}=")?,
                None => write!(f, "{}=", part.kind)?,
            }
            for character in part.value.chars() {
                match character {
                    ',' | '/' | '\\' => write!(f, "\\{character}")?,
                    c if c.is_control() => f.write_str("?")?,
                    c => write!(f, "{c}")?,
                }
            }
        }
        Ok(())
    }
}

/// A name in which `*` stands for any value: `C=CH, O=x, CN=*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Vec<(ObjectIdentifier, Option<String>)>);

impl NamePattern {
    /// Reads a pattern.
    pub fn from_text(text: &str) -> Option<Self> {
        let parts = split(text)?
            .into_iter()
            .map(|(kind, value)| {
                let (_, oid, _) = TYPES
                    .iter()
                    .find(|(name, ..)| name.eq_ignore_ascii_case(&kind))?;
                Some((*oid, (value != "*").then(|| plain(&value))))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self(parts))
    }

    /// Whether a name is like it, part by part.
    pub fn matches(&self, name: &DistinguishedName) -> bool {
        let mut own = self.0.iter();
        let fits = name.parts.iter().flatten().all(|part| {
            own.next().is_some_and(|(kind, value)| {
                *kind == part.kind && value.as_ref().is_none_or(|value| *value == part.plain)
            })
        });
        fits && own.next().is_none()
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, value)) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            let name = TYPES.iter().find(|(_, oid, _)| oid == kind);
            let name = name.map_or("?", |(name, ..)| name);
            write!(f, "{name}={}", value.as_deref().unwrap_or("*"))?;
        }
        Ok(())
    }
}

/// Types and values of a written name. A backslash takes the meaning from what follows it.
fn split(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim();
    let separator = if text.starts_with('/') { '/' } else { ',' };
    let mut parts = vec![String::new()];
    let mut characters = text.strip_prefix('/').unwrap_or(text).chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => parts.last_mut()?.push(characters.next()?),
            c if c == separator => parts.push(String::new()),
            c => parts.last_mut()?.push(c),
        }
    }
    parts
        .into_iter()
        .map(|part| {
            let (kind, value) = part.split_once('=')?;
            Some((kind.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let name =
            DistinguishedName::from_text("C=CH, O=tanuki\\, Inc., CN=vpn.example.org").unwrap();
        assert_eq!(
            name.to_string(),
            "C=CH, O=tanuki\\, Inc., CN=vpn.example.org"
        );
        assert_eq!(DistinguishedName::from_der(name.der()).unwrap(), name);
        let slashes = DistinguishedName::from_text("/C=CH/O=tanuki, Inc./CN=vpn.example.org");
        assert_eq!(slashes.unwrap(), name);
        for wrong in ["", "CN", "CN=", "XX=a", "C=\u{fc}", "CN=a,,O=b", "CN=a\\"] {
            assert!(DistinguishedName::from_text(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn names_compare_by_what_they_say() {
        let name = |text| DistinguishedName::from_text(text).unwrap();
        assert_eq!(name("O=Some  Thing, CN=A"), name("O=some thing, CN=a"));
        assert_ne!(name("O=x, CN=a"), name("CN=a, O=x"));
        assert_ne!(name("CN=a"), name("OU=a"));
        assert_ne!(name("CN=a"), name("CN=a, CN=a"));
    }

    #[test]
    fn patterns() {
        let name = DistinguishedName::from_text("C=CH, O=tanuki, CN=ann").unwrap();
        let fits = |text| NamePattern::from_text(text).unwrap().matches(&name);
        assert!(fits("C=CH, O=tanuki, CN=*"));
        assert!(fits("C=ch, O=Tanuki, CN=Ann"));
        assert!(!fits("C=CH, O=tanuki"));
        assert!(!fits("C=CH, O=tanuki, CN=*, OU=*"));
        assert!(!fits("C=CH, O=other, CN=*"));
        assert!(NamePattern::from_text("CN").is_none());
    }
}
