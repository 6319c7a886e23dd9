//! A control message: its type, and its AVPs parsed (RFC 2661 sections 3.2, 4.1 to 4.3).
//!
//! Reading never fails halfway without a trace: what cannot be used is skipped and counted, and
//! the first thing that ought to end the session or tunnel becomes the message's [`Fault`]. So a
//! disconnect with a mangled tail is still a disconnect, and a bad request can still be answered.

use rand_core::CryptoRng;
use thiserror::Error;

use super::avp::{Avp, HOST_NAME, MESSAGE_TYPE, RANDOM_VECTOR, RawAvp};
use super::control::MessageType;
use super::hidden;

/// Most AVPs a message may have; the RFC's largest message has some twenty.
pub const MOST_AVPS: usize = 128;

/// A message read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Message Type.
    pub message_type: MessageType,
    /// Whether the Message Type AVP has M set.
    pub mandatory: bool,
    /// The AVPs known and well, in order; of equal ones the first counts.
    pub avps: Vec<Avp>,
    /// The first thing that makes the message unacceptable.
    pub fault: Option<Fault>,
    /// AVPs that were skipped without harm.
    pub ignored: u32,
}

/// The payload does not begin with a Message Type AVP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the first AVP is not a Message Type")]
pub struct NoMessageType;

/// What makes a message unacceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// An AVP's length is below 6 or beyond the end of the message.
    #[error("an AVP of impossible length")]
    Length,
    /// More than [`MOST_AVPS`].
    #[error("too many AVPs")]
    TooMany,
    /// An AVP with M that is unknown, or has reserved bits set.
    #[error("unknown mandatory AVP, vendor {vendor} attribute {attribute}")]
    Unknown {
        /// Vendor ID.
        vendor: u16,
        /// Attribute Type.
        attribute: u16,
    },
    /// A known AVP with M whose value is wrong.
    #[error("AVP {0} has a wrong value")]
    Value(u16),
    /// A hidden AVP with M that cannot be revealed: no secret, no Random Vector, or a wrong secret.
    #[error("hidden AVP {0} cannot be revealed")]
    Hidden(u16),
}

/// The Host Name AVP among `avps`, which is never hidden: it decides which secret is the peer's.
#[must_use]
pub fn host_name(mut avps: &[u8]) -> Option<&[u8]> {
    while let Some((avp, rest)) = RawAvp::take(avps) {
        if (avp.vendor, avp.attribute, avp.hidden) == (0, HOST_NAME, false) {
            return Some(avp.value);
        }
        avps = rest;
    }
    None
}

impl Message {
    /// Reads the AVPs of one control message. `secret` reveals hidden ones.
    ///
    /// # Errors
    /// [`NoMessageType`], when nothing can be said about the rest.
    pub fn parse(avps: &[u8], secret: Option<&[u8]>) -> Result<Self, NoMessageType> {
        let (first, mut rest) = RawAvp::take(avps).ok_or(NoMessageType)?;
        if (first.vendor, first.attribute, first.hidden) != (0, MESSAGE_TYPE, false) {
            return Err(NoMessageType);
        }
        let number = first.value.try_into().map_err(|_| NoMessageType)?;
        let mut message = Self {
            message_type: MessageType(u16::from_be_bytes(number)),
            mandatory: first.mandatory,
            avps: Vec::new(),
            fault: None,
            ignored: 0,
        };
        let mut vector = None;
        for _ in 0..MOST_AVPS {
            if rest.is_empty() {
                return Ok(message);
            }
            let Some((avp, tail)) = RawAvp::take(rest) else {
                message.fault.get_or_insert(Fault::Length);
                return Ok(message);
            };
            rest = tail;
            let usable = !avp.hidden && !avp.reserved && !avp.value.is_empty();
            if (avp.vendor, avp.attribute) == (0, RANDOM_VECTOR) && usable {
                // It holds for the AVPs behind it, until the next one (section 4.4.1).
                vector = Some(avp.value);
                continue;
            }
            match read(message.message_type, &avp, secret, vector) {
                Ok(avp) => message.avps.push(avp),
                Err(fault) if avp.mandatory => {
                    message.fault.get_or_insert(fault);
                }
                Err(_) => message.ignored += 1,
            }
        }
        if !rest.is_empty() {
            message.fault.get_or_insert(Fault::TooMany);
        }
        Ok(message)
    }

    /// The first AVP that `pick` accepts.
    pub fn find<'a, T>(&'a self, pick: impl Fn(&'a Avp) -> Option<T>) -> Option<T> {
        self.avps.iter().find_map(pick)
    }
}

fn read(
    message: MessageType,
    avp: &RawAvp<'_>,
    secret: Option<&[u8]>,
    vector: Option<&[u8]>,
) -> Result<Avp, Fault> {
    let RawAvp {
        vendor, attribute, ..
    } = *avp;
    // The number means nothing before the vendor: 311's type 1 is no Result Code.
    if vendor != 0 || avp.reserved {
        return Err(Fault::Unknown { vendor, attribute });
    }
    let parsed = if avp.hidden {
        let revealed = match (secret, vector) {
            (Some(secret), Some(vector)) => hidden::reveal(secret, vector, attribute, avp.value),
            _ => None,
        };
        Avp::parse(
            message,
            attribute,
            &revealed.ok_or(Fault::Hidden(attribute))?,
        )
    } else {
        Avp::parse(message, attribute, avp.value)
    };
    parsed
        .ok_or(Fault::Unknown { vendor, attribute })?
        .ok_or(Fault::Value(attribute))
}

/// Looks for the first AVP of one kind in a message: `first!(message, HostName)`.
macro_rules! first {
    ($message:expr, $name:ident) => {
        $message.find(|avp| match avp {
            $crate::wire::Avp::$name(value) => Some(value),
            _ => None,
        })
    };
}
pub(crate) use first;

/// Builds the AVPs of a message.
#[derive(Debug)]
pub struct MessageBuilder {
    out: Vec<u8>,
}

/// What hiding needs: secret, Random Vector, and the padding that veils lengths.
#[derive(Clone)]
pub struct Hiding<'a> {
    secret: &'a [u8],
    vector: [u8; 16],
    pad: [u8; 16],
}

impl<'a> Hiding<'a> {
    /// A fresh vector for one message.
    pub fn new(secret: &'a [u8], rng: &mut dyn CryptoRng) -> Self {
        let (mut vector, mut pad) = ([0; 16], [0; 16]);
        rng.fill_bytes(&mut vector);
        rng.fill_bytes(&mut pad);
        Self {
            secret,
            vector,
            pad,
        }
    }
}

impl MessageBuilder {
    /// Begins a message with its Message Type AVP.
    #[must_use]
    pub fn new(message_type: MessageType) -> Self {
        let mut out = Vec::with_capacity(128);
        RawAvp {
            mandatory: true,
            hidden: false,
            reserved: false,
            vendor: 0,
            attribute: MESSAGE_TYPE,
            value: &message_type.0.to_be_bytes(),
        }
        .emit(&mut out);
        Self { out }
    }

    /// Appends `avps`, those that may be hidden hidden when `hiding` says so.
    #[must_use]
    pub fn avps(mut self, avps: &[Avp], hiding: Option<&Hiding<'_>>) -> Self {
        let hiding = hiding.filter(|_| avps.iter().any(|avp| avp.manner().hideable));
        if let Some(hiding) = hiding {
            RawAvp {
                mandatory: true,
                hidden: false,
                reserved: false,
                vendor: 0,
                attribute: RANDOM_VECTOR,
                value: &hiding.vector,
            }
            .emit(&mut self.out);
        }
        let mut value = Vec::new();
        for avp in avps {
            value.clear();
            avp.emit_value(&mut value);
            let (attribute, manner) = (avp.attribute(), avp.manner());
            let hiding = hiding.filter(|_| manner.hideable);
            if let Some(hiding) = hiding {
                // Up to the next multiple of eight: enough to make short numbers look alike.
                let padding = (8 - (value.len() + 2) % 8) % 8;
                let pad = hiding.pad.get(..padding).unwrap_or_default();
                value = hidden::hide(hiding.secret, &hiding.vector, attribute, &value, pad);
            }
            RawAvp {
                mandatory: manner.mandatory,
                hidden: hiding.is_some(),
                reserved: false,
                vendor: 0,
                attribute,
                value: &value,
            }
            .emit(&mut self.out);
        }
        self
    }

    /// The AVPs as octets, to follow a control header.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}
