//! Exit codes of sysexits(3), and one clear line on standard error before leaving.

use std::fmt::Display;
use std::process::ExitCode;

use clap::{Command, Parser};

/// Wrong command line.
pub const USAGE: u8 = 64;
/// A configuration or input file is wrong in itself.
pub const DATA: u8 = 65;
/// An input file is not there or cannot be read.
pub const NO_INPUT: u8 = 66;
/// A service this program needs (a daemon, a kernel interface) is not there.
pub const UNAVAILABLE: u8 = 69;
/// A bug of ours.
pub const SOFTWARE: u8 = 70;
/// The operating system refused something (fork, socket, ioctl).
pub const OS: u8 = 71;
/// An output file cannot be created.
pub const CANT_CREATE: u8 = 73;
/// Reading or writing failed.
pub const IO: u8 = 74;
/// Worth trying again later.
pub const TEMPORARY: u8 = 75;
/// Not allowed: not root, or a jail without the privilege.
pub const NO_PERMISSION: u8 = 77;
/// The configuration says something that cannot be served.
pub const CONFIG: u8 = 78;

/// Why a program ends without success: the line to print and the code to return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One of this module's constants.
    pub code: u8,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Failure {
    /// A failure with `code` that says `message`.
    pub fn new(code: u8, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The command line, or its problem and [`USAGE`].
#[must_use]
pub fn arguments<A: Parser>() -> A {
    arguments_of(A::command())
}

/// As [`arguments`], of a command line that is not quite the one of `A`.
#[must_use]
pub fn arguments_of<A: Parser>(mut command: Command) -> A {
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|mut matches| A::from_arg_matches_mut(&mut matches))
        .map_err(|problem| problem.format(&mut command));
    parsed.unwrap_or_else(|problem| {
        // Nothing is left to do if the terminal is gone.
        let _ = problem.print();
        let code = if problem.use_stderr() { USAGE } else { 0 };
        std::process::exit(code.into())
    })
}

/// Prints a failure as `program: message` and turns it into the exit code.
pub fn report(program: &str, outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{program}: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}
