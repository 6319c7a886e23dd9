//! Why something ended: Result Code (RFC 2661 section 4.4.2), Q.931 Cause Code (4.4.3), PPP
//! Disconnect Cause Code (RFC 3145 section 2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          Result Code          |        Error Code (opt)       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Error Message (opt) ...
//! ```

use std::fmt;

use super::control::MessageType;
use super::text::printable;
use super::value::Value;

/// Which message a Result Code stands in: the numbers mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultScope {
    /// Stop-Control-Connection-Notification.
    StopCcn,
    /// Call-Disconnect-Notify.
    Cdn,
}

/// A Result Code AVP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultCode {
    /// Which table `code` is of.
    pub scope: ResultScope,
    /// Result Code; 0 when the AVP was missing or too short to hold one.
    pub code: u16,
    /// Error Code, meaningful with result 2.
    pub error: Option<u16>,
    /// Error Message, printable.
    pub message: String,
}

impl ResultCode {
    /// A Result Code without an error.
    #[must_use]
    pub fn new(scope: ResultScope, code: u16) -> Self {
        Self {
            scope,
            code,
            error: None,
            message: String::new(),
        }
    }

    /// Result 2, "General error", with an Error Code and a text.
    #[must_use]
    pub fn general_error(scope: ResultScope, error: u16, message: &str) -> Self {
        Self {
            scope,
            code: GENERAL_ERROR,
            error: Some(error),
            message: message.to_owned(),
        }
    }

    /// What to record when the peer left the AVP out.
    #[must_use]
    pub fn absent(scope: ResultScope) -> Self {
        Self::new(scope, 0)
    }

    /// Reads the value of the AVP. No value is refused: a peer that says goodbye wrongly still
    /// says goodbye.
    ///
    /// Apple's client writes the code in host byte order, and follows it with stale octets. No
    /// code above 255 is assigned, so a code with its low octet zero can only be that.
    #[must_use]
    pub fn parse(message: MessageType, value: &[u8]) -> Self {
        let scope = match message {
            MessageType::STOP_CCN => ResultScope::StopCcn,
            _ => ResultScope::Cdn,
        };
        let Some((code, rest)) = value.split_first_chunk::<2>() else {
            return Self::absent(scope);
        };
        let code = u16::from_be_bytes(*code);
        if code > 0xff && code & 0xff == 0 {
            return Self::new(scope, code.swap_bytes());
        }
        let Some((error, message)) = rest.split_first_chunk::<2>() else {
            return Self::new(scope, code);
        };
        let error = Some(u16::from_be_bytes(*error));
        Self {
            scope,
            code,
            error,
            message: printable(message),
        }
    }

    /// Writes the value of the AVP.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.to_be_bytes());
        if self.error.is_some() || !self.message.is_empty() {
            out.extend_from_slice(&self.error.unwrap_or(0).to_be_bytes());
            out.extend_from_slice(self.message.as_bytes());
        }
    }

    fn name(&self) -> &'static str {
        match (self.scope, self.code) {
            (_, 0) => "no result code",
            (ResultScope::StopCcn, 1) => "general request to clear the control connection",
            (_, GENERAL_ERROR) => "general error",
            (ResultScope::StopCcn, 3) => "control channel already exists",
            (ResultScope::StopCcn, 4) => "not authorized to establish a control channel",
            (ResultScope::StopCcn, 5) => "protocol version not supported",
            (ResultScope::StopCcn, 6) => "requester is being shut down",
            (ResultScope::StopCcn, 7) => "finite state machine error",
            (ResultScope::Cdn, 1) => "loss of carrier",
            (ResultScope::Cdn, 3) => "administrative reasons",
            (ResultScope::Cdn, 4) => "lack of facilities, temporarily",
            (ResultScope::Cdn, 5) => "lack of facilities, permanently",
            (ResultScope::Cdn, 6) => "invalid destination",
            (ResultScope::Cdn, 7) => "no carrier detected",
            (ResultScope::Cdn, 8) => "busy signal detected",
            (ResultScope::Cdn, 9) => "no dial tone",
            (ResultScope::Cdn, 10) => "not established within the time allotted by the LAC",
            (ResultScope::Cdn, 11) => "no appropriate framing detected",
            _ => "unassigned result code",
        }
    }
}

const GENERAL_ERROR: u16 = 2;

/// Error codes of result 2 (section 4.4.2).
pub mod error_code {
    /// No control connection exists yet for this LAC-LNS pair.
    pub const NO_CONTROL_CONNECTION: u16 = 1;
    /// Length is wrong.
    pub const LENGTH: u16 = 2;
    /// One of the field values was out of range or a reserved field was non-zero.
    pub const VALUE: u16 = 3;
    /// Insufficient resources to handle this operation now.
    pub const RESOURCES: u16 = 4;
    /// The Session ID is invalid in this context.
    pub const SESSION: u16 = 5;
    /// A generic vendor-specific error occurred in the LAC.
    pub const VENDOR: u16 = 6;
    /// Try another LNS.
    pub const TRY_ANOTHER: u16 = 7;
    /// Session or tunnel was shut down due to receipt of an unknown AVP with the M-bit set.
    pub const UNKNOWN_MANDATORY: u16 = 8;
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code)?;
        if let Some(error) = self.error.filter(|&error| error != 0) {
            let name = match error {
                error_code::NO_CONTROL_CONNECTION => "no control connection",
                error_code::LENGTH => "wrong length",
                error_code::VALUE => "value out of range",
                error_code::RESOURCES => "insufficient resources",
                error_code::SESSION => "invalid session id",
                error_code::VENDOR => "vendor specific",
                error_code::TRY_ANOTHER => "try another",
                error_code::UNKNOWN_MANDATORY => "unknown mandatory AVP",
                _ => "unassigned",
            };
            write!(f, ", error: {name} ({error})")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {:?}", self.message)?;
        }
        Ok(())
    }
}

/// A Q.931 Cause Code AVP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Q931Cause {
    /// Cause Code.
    pub cause: u16,
    /// Cause Msg, the message type it stood in.
    pub message_type: u8,
    /// Advisory Msg, printable.
    pub advisory: String,
}

impl Value for Q931Cause {
    /// Reads the value of the AVP; `None` when it is shorter than three octets.
    fn parse(value: &[u8]) -> Option<Self> {
        let (head, advisory) = value.split_first_chunk::<3>()?;
        let [high, low, message_type] = *head;
        Some(Self {
            cause: u16::from_be_bytes([high, low]),
            message_type,
            advisory: printable(advisory),
        })
    }

    /// Writes the value of the AVP.
    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.cause.to_be_bytes());
        out.push(self.message_type);
        out.extend_from_slice(self.advisory.as_bytes());
    }
}

/// A PPP Disconnect Cause Code AVP (RFC 3145 section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisconnectCause {
    /// Disconnect Code (RFC 3145 section 2.1): 0 none, 1-7 global, 8-12 LCP, 13-16 authentication,
    /// 17-20 network protocols.
    pub code: u16,
    /// Control Protocol Number: the PPP protocol concerned, 0 when none.
    pub protocol: u16,
    /// Direction: 0 global, 1 at the peer, 2 at us.
    pub direction: u8,
    /// Message, printable.
    pub message: String,
}

impl Value for DisconnectCause {
    /// Reads the value of the AVP; `None` when it is shorter than five octets.
    fn parse(value: &[u8]) -> Option<Self> {
        let (head, message) = value.split_first_chunk::<5>()?;
        let [code_high, code_low, protocol_high, protocol_low, direction] = *head;
        Some(Self {
            code: u16::from_be_bytes([code_high, code_low]),
            protocol: u16::from_be_bytes([protocol_high, protocol_low]),
            direction,
            message: printable(message),
        })
    }

    /// Writes the value of the AVP.
    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.to_be_bytes());
        out.extend_from_slice(&self.protocol.to_be_bytes());
        out.push(self.direction);
        out.extend_from_slice(self.message.as_bytes());
    }
}

impl fmt::Display for DisconnectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PPP disconnect code {} protocol {:#06x}",
            self.code, self.protocol
        )?;
        if !self.message.is_empty() {
            write!(f, ": {:?}", self.message)?;
        }
        Ok(())
    }
}
