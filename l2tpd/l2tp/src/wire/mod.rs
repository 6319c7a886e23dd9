//! Wire formats of RFC 2661 section 3.1 (header) and section 4 (AVPs): parse and emit side by side.

mod link;
mod result;
mod text;

pub use link::{Accm, CallErrors};
pub use result::{DisconnectCause, Q931Cause, ResultCode, ResultScope, error_code};
pub use text::printable;
