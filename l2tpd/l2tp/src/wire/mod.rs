//! Wire formats of RFC 2661 section 3.1 (header) and section 4 (AVPs): parse and emit side by side.
//!
//! * `header.rs`: the control header; `avp.rs`: AVP format and the table of attributes
//! * `message.rs`: whole messages; `hidden.rs`: hiding; `auth.rs`: challenges
//! * values by family: `control.rs`, `result.rs`, `link.rs`, `proxy.rs`; `value.rs`: plain ones
//! * `text.rs`: peer text made printable

mod auth;
mod avp;
mod control;
mod header;
mod hidden;
mod link;
mod message;
mod proxy;
mod result;
mod text;
mod value;

pub use auth::{RESPONSE_LENGTH, challenge_response, verify_response};
pub use avp::{Avp, LONGEST_VALUE, Manner, RawAvp};
pub use control::{MessageType, ProtocolVersion, framing};
pub use header::{ControlHeader, HeaderError};
pub use hidden::{hide, reveal};
pub use link::{Accm, CallErrors};
pub(crate) use message::first;
pub use message::{Fault, Hiding, MOST_AVPS, Message, MessageBuilder, NoMessageType, host_name};
pub use proxy::{ProxyAuthenId, ProxyAuthenType};
pub use result::{DisconnectCause, Q931Cause, ResultCode, ResultScope, error_code};
pub use text::printable;
pub use value::{NonEmpty, Present, Value};
