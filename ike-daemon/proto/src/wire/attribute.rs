//! Data attributes: RFC 2408 3.3.
//!
//! ```text
//!  |A|       Attribute Type        |    AF=0  Attribute Length     |
//!  |F|                             |    AF=1  Attribute Value      |
//!  |                   AF=0  Attribute Value                       |
//! ```

use crate::error::WireError;

use super::{Reader, length16};

/// A data attribute: RFC 2408 3.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Class, without the format bit.
    pub class: u16,
    /// Value.
    pub value: Value,
}

/// The two encodings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// TV: 16 bits in place of the length.
    Short(u16),
    /// TLV: octets.
    Long(Vec<u8>),
}

/// The format bit.
const FORMAT_TV: u16 = 0x8000;

impl Attribute {
    /// A TV attribute.
    pub fn short(class: u16, value: u16) -> Self {
        Self {
            class,
            value: Value::Short(value),
        }
    }

    /// The shortest encoding of a number: TV up to 65535, else TLV of four octets.
    pub fn number(class: u16, value: u32) -> Self {
        let value = match u16::try_from(value) {
            Ok(short) => Value::Short(short),
            Err(_) => Value::Long(value.to_be_bytes().to_vec()),
        };
        Self { class, value }
    }

    /// Parses a list of attributes.
    pub fn parse_all(bytes: &[u8]) -> Result<Vec<Self>, WireError> {
        let mut reader = Reader::new(bytes);
        let mut attributes = Vec::new();
        while !reader.is_empty() {
            if attributes.len() >= MAX_ATTRIBUTES {
                return Err(WireError::TooMany);
            }
            let class = reader.u16()?;
            let number = reader.u16()?;
            attributes.push(if class & FORMAT_TV != 0 {
                Self::short(class & !FORMAT_TV, number)
            } else {
                let octets = reader.bytes(usize::from(number))?;
                Self {
                    class,
                    value: Value::Long(octets.to_vec()),
                }
            });
        }
        Ok(attributes)
    }

    /// Appends the attribute.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match &self.value {
            Value::Short(value) => {
                out.extend_from_slice(&(self.class | FORMAT_TV).to_be_bytes());
                out.extend_from_slice(&value.to_be_bytes());
            }
            Value::Long(octets) => {
                out.extend_from_slice(&(self.class & !FORMAT_TV).to_be_bytes());
                out.extend_from_slice(&length16(octets.len()));
                out.extend_from_slice(octets);
            }
        }
    }

    /// The value as a number, whichever way it is encoded: octets are big-endian and may have
    /// leading zeros. `None` when empty or beyond 64 bits.
    pub fn as_number(&self) -> Option<u64> {
        match &self.value {
            Value::Short(value) => Some(u64::from(*value)),
            Value::Long(octets) if octets.is_empty() => None,
            Value::Long(octets) => octets.iter().try_fold(0u64, |number, octet| {
                if number >> 56 == 0 {
                    Some(number << 8 | u64::from(*octet))
                } else {
                    None
                }
            }),
        }
    }
}

/// More attributes than any transform has.
const MAX_ATTRIBUTES: usize = 64;
