//! The Attributes payload: draft-dukes-ike-mode-cfg-02 3.2.
//!
//! ```text
//!  |     Type      |   RESERVED    |           Identifier          |
//!  |                          Attributes                           |
//! ```

use crate::error::WireError;
use crate::iana::{ConfigAttribute, ConfigType};

use super::Reader;
use super::attribute::{Attribute, Value};

/// What one side asks of the other, or tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Request, reply, set or acknowledgement.
    pub kind: ConfigType,
    /// The same in a message and its answer.
    pub identifier: u16,
    /// The attributes, in order; without a value in a request.
    pub list: Vec<Attribute>,
}

impl Attributes {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let kind = ConfigType(reader.u8()?);
        let _reserved = reader.u8()?;
        let identifier = reader.u16()?;
        Ok(Self {
            kind,
            identifier,
            list: Attribute::parse_all(reader.rest())?,
        })
    }

    /// The body of the Attributes payload.
    pub fn body(&self) -> Vec<u8> {
        let mut out = vec![self.kind.0, 0];
        out.extend_from_slice(&self.identifier.to_be_bytes());
        for attribute in &self.list {
            attribute.emit(&mut out);
        }
        out
    }

    /// The octets of the first attribute of a class, whichever way it is encoded.
    pub fn octets(&self, class: ConfigAttribute) -> Option<Vec<u8>> {
        let found = self.list.iter().find(|own| own.class == class.0)?;
        Some(match &found.value {
            Value::Short(value) => value.to_be_bytes().to_vec(),
            Value::Long(octets) => octets.clone(),
        })
    }

    /// Whether there is an attribute of a class.
    pub fn has(&self, class: ConfigAttribute) -> bool {
        self.list.iter().any(|own| own.class == class.0)
    }

    /// Adds an attribute whose value is octets (TLV).
    pub fn push(&mut self, class: ConfigAttribute, octets: impl Into<Vec<u8>>) {
        self.list.push(Attribute {
            class: class.0,
            value: Value::Long(octets.into()),
        });
    }
}
