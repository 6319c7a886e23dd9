//! What WAN-Error-Notify and Set-Link-Info carry (RFC 2661 section 4.4.6).

use super::value::Value;

/// A Call Errors AVP: line errors since the call began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallErrors {
    /// CRC Errors.
    pub crc: u32,
    /// Framing Errors.
    pub framing: u32,
    /// Hardware Overruns.
    pub hardware_overruns: u32,
    /// Buffer Overruns.
    pub buffer_overruns: u32,
    /// Time-out Errors.
    pub timeouts: u32,
    /// Alignment Errors.
    pub alignment: u32,
}

impl Value for CallErrors {
    /// Reads the value of the AVP; `None` unless it has 26 octets.
    fn parse(value: &[u8]) -> Option<Self> {
        let [
            crc,
            framing,
            hardware_overruns,
            buffer_overruns,
            timeouts,
            alignment,
        ] = counts(value)?;
        Some(Self {
            crc,
            framing,
            hardware_overruns,
            buffer_overruns,
            timeouts,
            alignment,
        })
    }

    /// Writes the value of the AVP.
    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
        for count in [
            self.crc,
            self.framing,
            self.hardware_overruns,
            self.buffer_overruns,
            self.timeouts,
            self.alignment,
        ] {
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

/// An ACCM AVP: the asynchronous control character maps of a Set-Link-Info.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accm {
    /// Send ACCM.
    pub send: u32,
    /// Receive ACCM.
    pub receive: u32,
}

impl Value for Accm {
    /// Reads the value of the AVP; `None` unless it has 10 octets.
    fn parse(value: &[u8]) -> Option<Self> {
        let [send, receive] = counts(value)?;
        Some(Self { send, receive })
    }

    /// Writes the value of the AVP.
    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.send.to_be_bytes());
        out.extend_from_slice(&self.receive.to_be_bytes());
    }
}

/// Two reserved octets and `N` numbers of 32 bits, no more and no less.
fn counts<const N: usize>(value: &[u8]) -> Option<[u32; N]> {
    let (words, rest) = value.get(2..)?.as_chunks::<4>();
    let words: [[u8; 4]; N] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u32::from_be_bytes))
}
