//! The AVP format (RFC 2661 section 4.1), the table of all attributes, and messages made of them.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |M|H| rsvd  |      Length       |           Vendor ID           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Attribute Type        |        Attribute Value...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::control::{MessageType, ProtocolVersion};
use super::link::{Accm, CallErrors};
use super::proxy::{ProxyAuthenId, ProxyAuthenType};
use super::result::{DisconnectCause, Q931Cause, ResultCode};
use super::value::{NonEmpty, Present, Value};

const MANDATORY: u16 = 0x8000;
const HIDDEN: u16 = 0x4000;
const RESERVED: u16 = 0x3c00;
const LENGTH: u16 = 0x03ff;

/// Octets before an AVP's value.
pub(super) const AVP_HEADER_LENGTH: usize = 6;
/// Longest value an AVP can hold.
pub const LONGEST_VALUE: usize = LENGTH as usize - AVP_HEADER_LENGTH;

/// An AVP as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAvp<'a> {
    /// M: who does not know the AVP ends the session or tunnel.
    pub mandatory: bool,
    /// H: the value is hidden.
    pub hidden: bool,
    /// One of the four reserved bits is set, which makes the AVP an unknown one (section 4.1).
    pub reserved: bool,
    /// Vendor ID; 0 is the IETF.
    pub vendor: u16,
    /// Attribute Type, to be looked at together with the vendor only.
    pub attribute: u16,
    /// The value, perhaps hidden.
    pub value: &'a [u8],
}

impl<'a> RawAvp<'a> {
    /// Takes the first AVP off `octets`; `None` when its length is below 6 or beyond the end.
    #[must_use]
    pub fn take(octets: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, _) = octets.split_first_chunk::<AVP_HEADER_LENGTH>()?;
        let [b0, b1, v0, v1, a0, a1] = *head;
        let bits = u16::from_be_bytes([b0, b1]);
        let (avp, rest) = octets.split_at_checked(usize::from(bits & LENGTH))?;
        let value = avp.get(AVP_HEADER_LENGTH..)?;
        let avp = Self {
            mandatory: bits & MANDATORY != 0,
            hidden: bits & HIDDEN != 0,
            reserved: bits & RESERVED != 0,
            vendor: u16::from_be_bytes([v0, v1]),
            attribute: u16::from_be_bytes([a0, a1]),
            value,
        };
        Some((avp, rest))
    }

    /// Appends the AVP; a value that is too long is cut.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let value = self.value.get(..LONGEST_VALUE).unwrap_or(self.value);
        let length = u16::try_from(AVP_HEADER_LENGTH + value.len()).unwrap_or(LENGTH);
        let mut bits = length;
        for (set, bit) in [(self.mandatory, MANDATORY), (self.hidden, HIDDEN)] {
            bits |= if set { bit } else { 0 };
        }
        out.extend_from_slice(&bits.to_be_bytes());
        out.extend_from_slice(&self.vendor.to_be_bytes());
        out.extend_from_slice(&self.attribute.to_be_bytes());
        out.extend_from_slice(value);
    }
}

/// How an attribute is sent (the M and H remarks of sections 4.4.1 to 4.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Sent with M.
    pub mandatory: bool,
    /// May be hidden.
    pub hideable: bool,
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident($value:ty) = $number:literal, $m:literal, $h:literal;)*) => {
        /// An AVP of the IETF, parsed. Message Type and Random Vector are not among them: they
        /// belong to the message.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Avp {
            $($(#[$doc])* $name($value),)*
            /// Result Code (CDN, StopCCN).
            ResultCode(ResultCode),
        }

        impl Avp {
            /// Reads the value of the IETF attribute numbered `attribute` in a `message`:
            /// `None` for a number not known, `Some(None)` for a value that is wrong.
            #[must_use]
            pub fn parse(message: MessageType, attribute: u16, value: &[u8]) -> Option<Option<Self>> {
                Some(match attribute {
                    RESULT_CODE => Some(Self::ResultCode(ResultCode::parse(message, value))),
                    $($number => <$value as Value>::parse(value).map(Self::$name),)*
                    _ => return None,
                })
            }

            /// Attribute Type.
            #[must_use]
            pub fn attribute(&self) -> u16 {
                match self {
                    Self::ResultCode(_) => RESULT_CODE,
                    $(Self::$name(_) => $number,)*
                }
            }

            /// How it is sent.
            #[must_use]
            pub fn manner(&self) -> Manner {
                match self {
                    Self::ResultCode(_) => Manner { mandatory: true, hideable: false },
                    $(Self::$name(_) => Manner { mandatory: $m, hideable: $h },)*
                }
            }

            /// Appends the bare value.
            pub fn emit_value(&self, out: &mut Vec<u8>) {
                match self {
                    Self::ResultCode(value) => value.emit(out),
                    $(Self::$name(value) => Value::emit(value, out),)*
                }
            }
        }
    };
}

/// Attribute Type of Message Type.
pub(super) const MESSAGE_TYPE: u16 = 0;
/// Attribute Type of Result Code.
pub(super) const RESULT_CODE: u16 = 1;
/// Attribute Type of Host Name.
pub(super) const HOST_NAME: u16 = 7;
/// Attribute Type of Random Vector.
pub(super) const RANDOM_VECTOR: u16 = 36;

attributes! {
    // Attribute, number, sent with M, may be hidden.
    /// Protocol Version (SCCRQ, SCCRP).
    ProtocolVersion(ProtocolVersion) = 2, true, false;
    /// Framing Capabilities (SCCRQ, SCCRP).
    FramingCapabilities(u32) = 3, true, true;
    /// Bearer Capabilities (SCCRQ, SCCRP).
    BearerCapabilities(u32) = 4, true, true;
    /// Tie Breaker (SCCRQ).
    TieBreaker([u8; 8]) = 5, false, false;
    /// Firmware Revision (SCCRQ, SCCRP).
    FirmwareRevision(u16) = 6, false, true;
    /// Host Name (SCCRQ, SCCRP).
    HostName(NonEmpty) = 7, true, false;
    /// Vendor Name (SCCRQ, SCCRP).
    VendorName(Vec<u8>) = 8, false, true;
    /// Assigned Tunnel ID (SCCRQ, SCCRP, StopCCN).
    AssignedTunnelId(u16) = 9, true, true;
    /// Receive Window Size (SCCRQ, SCCRP).
    ReceiveWindowSize(u16) = 10, true, false;
    /// Challenge (SCCRQ, SCCRP).
    Challenge(NonEmpty) = 11, true, true;
    /// Q.931 Cause Code (CDN).
    Q931Cause(Q931Cause) = 12, true, false;
    /// Challenge Response (SCCRP, SCCCN).
    ChallengeResponse([u8; 16]) = 13, true, true;
    /// Assigned Session ID (CDN, ICRQ, ICRP, OCRQ, OCRP).
    AssignedSessionId(u16) = 14, true, true;
    /// Call Serial Number (ICRQ, OCRQ).
    CallSerialNumber(u32) = 15, true, true;
    /// Minimum BPS (OCRQ).
    MinimumBps(u32) = 16, true, true;
    /// Maximum BPS (OCRQ).
    MaximumBps(u32) = 17, true, true;
    /// Bearer Type (ICRQ, OCRQ).
    BearerType(u32) = 18, true, true;
    /// Framing Type (ICCN, OCCN, OCRQ).
    FramingType(u32) = 19, true, true;
    /// Called Number (ICRQ, OCRQ).
    CalledNumber(Vec<u8>) = 21, true, true;
    /// Calling Number (ICRQ).
    CallingNumber(Vec<u8>) = 22, true, true;
    /// Sub-Address (ICRQ, OCRQ).
    SubAddress(Vec<u8>) = 23, true, true;
    /// (Tx) Connect Speed in bit/s (ICCN, OCCN).
    TxConnectSpeed(u32) = 24, true, true;
    /// Physical Channel ID (ICRQ, OCRP).
    PhysicalChannelId(u32) = 25, false, true;
    /// Initial Received LCP CONFREQ (ICCN).
    InitialReceivedLcpConfreq(Vec<u8>) = 26, false, true;
    /// Last Sent LCP CONFREQ (ICCN).
    LastSentLcpConfreq(Vec<u8>) = 27, false, true;
    /// Last Received LCP CONFREQ (ICCN).
    LastReceivedLcpConfreq(Vec<u8>) = 28, false, true;
    /// Proxy Authen Type (ICCN).
    ProxyAuthenType(ProxyAuthenType) = 29, false, true;
    /// Proxy Authen Name (ICCN).
    ProxyAuthenName(Vec<u8>) = 30, false, true;
    /// Proxy Authen Challenge (ICCN).
    ProxyAuthenChallenge(Vec<u8>) = 31, false, true;
    /// Proxy Authen ID (ICCN).
    ProxyAuthenId(ProxyAuthenId) = 32, false, true;
    /// Proxy Authen Response (ICCN).
    ProxyAuthenResponse(Vec<u8>) = 33, false, true;
    /// Call Errors (WEN).
    CallErrors(CallErrors) = 34, true, true;
    /// ACCM (SLI).
    Accm(Accm) = 35, true, true;
    /// Private Group ID (ICCN).
    PrivateGroupId(Vec<u8>) = 37, false, true;
    /// Rx Connect Speed in bit/s (ICCN, OCCN).
    RxConnectSpeed(u32) = 38, false, true;
    /// Sequencing Required (ICCN, OCCN).
    SequencingRequired(Present) = 39, true, false;
    /// PPP Disconnect Cause Code (CDN), RFC 3145.
    DisconnectCause(DisconnectCause) = 46, false, true;
}
