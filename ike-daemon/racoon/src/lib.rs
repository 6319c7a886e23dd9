//! racoon.conf(5), psk.txt and setkey(8) scripts as syntax trees. No I/O: files come from a
//! [`Loader`]. What the trees mean to the daemon is not known here.
//!
//! * [`span`]: places in files, problems
//! * [`lexer`]: octets into tokens
//! * [`words`]: the closed sets of words of the language
//! * [`ast`]: racoon.conf as a tree
//! * [`parser`]: one file per section
//! * [`loader`]: where included files come from; glob(3) patterns
//! * [`psk`]: the file psk.txt
//! * [`setkey`]: setkey(8) scripts

pub mod ast;
pub mod lexer;
pub mod loader;
pub mod parser;
pub mod psk;
pub mod setkey;
pub mod span;
pub mod words;

pub use loader::{Loader, MemoryLoader};
pub use parser::{Parsed, parse};
pub use span::{FileId, Problem, Span, Spanned};
