//! Into the background, as daemon(3) does it, with one thing more: whoever started the daemon waits
//! until it serves. A daemon that cannot start says why on the terminal it was started from, and
//! its exit code is the one the shell sees.
//!
//! ```text
//! service(8) ── fork ──▶ daemon: log, pid file, sockets, kernel
//!     │  read(pipe)        │
//!     │ ◀──── one octet ───┤ serving; from here on standard error leads nowhere
//!     ▼ exit 0             ▼
//! ```
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};

use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use crate::exit::{self, Failure};

/// Whoever waits for the daemon; nobody in the foreground.
#[derive(Debug, Default)]
pub struct Starter {
    pipe: Option<PipeWriter>,
}

/// Who returns from [`detach`].
#[derive(Debug)]
pub enum Side {
    /// The daemon, in a session of its own.
    Daemon(Starter),
    /// The process that was started, which has this to return when the daemon serves or has failed.
    Starter(u8),
}

/// Forks. No thread may run yet: the daemon would be without it.
///
/// # Errors
/// When there is no pipe or no process to be had.
pub fn detach() -> Result<Side, Failure> {
    let refused = |error: io::Error| Failure::new(exit::OS, format!("background: {error}"));
    let (reader, writer) = io::pipe().map_err(refused)?;
    // SAFETY: called before any thread is started, so the child may do everything its parent could.
    match unsafe { fork() }.map_err(|errno| refused(errno.into()))? {
        ForkResult::Parent { child } => {
            drop(writer);
            Ok(Side::Starter(outcome(reader, child)))
        }
        ForkResult::Child => {
            drop(reader);
            setsid().map_err(|errno| refused(errno.into()))?;
            // Whatever the starter's was: files for others say so by their own mode.
            umask(Mode::S_IWGRP | Mode::S_IWOTH);
            Ok(Side::Daemon(Starter { pipe: Some(writer) }))
        }
    }
}

/// Waits for the daemon's octet, or for its end.
fn outcome(mut reader: PipeReader, child: Pid) -> u8 {
    if matches!(reader.read(&mut [0]), Ok(1)) {
        return 0;
    }
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, code)) => u8::try_from(code).unwrap_or(exit::SOFTWARE),
        ended => {
            eprintln!("the daemon did not start: {ended:?}");
            exit::SOFTWARE
        }
    }
}

impl Starter {
    /// Lets go of whoever waits, of the terminal and of the working folder. Later calls do nothing.
    ///
    /// # Errors
    /// When there is no `/dev/null`.
    pub fn release(&mut self) -> Result<(), Failure> {
        let Some(mut pipe) = self.pipe.take() else {
            return Ok(());
        };
        let leave = || -> io::Result<()> {
            let nowhere = File::options().read(true).write(true).open("/dev/null")?;
            dup2_stdin(&nowhere)?;
            dup2_stdout(&nowhere)?;
            dup2_stderr(&nowhere)?;
            chdir("/")?;
            Ok(())
        };
        leave().map_err(|error| Failure::new(exit::OS, format!("background: {error}")))?;
        // A starter that was killed needs no answer.
        let _ = pipe.write_all(&[0]);
        Ok(())
    }
}
