//! Typed requests: what a node type's header says about one command, in one `impl`.

use crate::error::WireError;

/// A control message that can be sent to a node.
pub trait Command: Sized {
    /// The set the command belongs to.
    const COOKIE: u32;
    /// Its number there.
    const COMMAND: u32;
    /// Its name as in the header.
    const NAME: &'static str;
    /// What the node answers; `()` when it answers with success or an error number only.
    type Reply: Reply;

    /// The arguments as bytes.
    fn encode(&self) -> Vec<u8>;

    /// The arguments from bytes (the node's side).
    ///
    /// # Errors
    /// When the bytes are not this command's arguments.
    fn decode(data: &[u8]) -> Result<Self, WireError>;
}

/// The answer to a command.
pub trait Reply: Sized {
    /// Whether the node sends a message back.
    const EXPECTED: bool;

    /// The answer from the reply's bytes.
    ///
    /// # Errors
    /// When the bytes are not the expected structure.
    fn decode(data: &[u8]) -> Result<Self, WireError>;
}

impl Reply for () {
    const EXPECTED: bool = false;

    fn decode(_: &[u8]) -> Result<Self, WireError> {
        Ok(())
    }
}

/// Declares a command without arguments.
macro_rules! plain_command {
    ($(#[$doc:meta])* $name:ident, $cookie:expr, $number:expr, $text:literal, $reply:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl $crate::command::Command for $name {
            const COOKIE: u32 = $cookie;
            const COMMAND: u32 = $number;
            const NAME: &'static str = $text;
            type Reply = $reply;

            fn encode(&self) -> Vec<u8> {
                Vec::new()
            }

            fn decode(_: &[u8]) -> Result<Self, $crate::error::WireError> {
                Ok(Self)
            }
        }
    };
}
pub(crate) use plain_command;

/// Declares a command whose arguments are one structure that has `emit` and `parse`.
macro_rules! struct_command {
    ($(#[$doc:meta])* $name:ident($argument:ty), $cookie:expr, $number:expr, $text:literal,
     $reply:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub $argument);

        impl $crate::command::Command for $name {
            const COOKIE: u32 = $cookie;
            const COMMAND: u32 = $number;
            const NAME: &'static str = $text;
            type Reply = $reply;

            fn encode(&self) -> Vec<u8> {
                self.0.emit()
            }

            fn decode(data: &[u8]) -> Result<Self, $crate::error::WireError> {
                <$argument>::parse(data).map(Self)
            }
        }
    };
}
pub(crate) use struct_command;

/// Declares that a structure with `parse` is an answer.
macro_rules! reply {
    ($name:ty) => {
        impl $crate::command::Reply for $name {
            const EXPECTED: bool = true;

            fn decode(data: &[u8]) -> Result<Self, $crate::error::WireError> {
                Self::parse(data)
            }
        }
    };
}
pub(crate) use reply;
