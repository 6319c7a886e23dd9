//! One conversation with racoon, or with us, as racoonctl has it.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use super::command_line::{self, Invocation, Refused, Surroundings, USAGE, Until};
use super::print;
use super::wire::{AsyncEvent, Command, HEADER, Header, Protocol};
use crate::net::udp;
use crate::state::wall_clock;

/// The largest answer that is taken, in octets.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// Runs `program` with racoonctl's `arguments`; `socket` is used unless one is named.
pub fn run(program: &str, arguments: &[String], socket: &Path) -> ExitCode {
    let mut surroundings = Surroundings {
        password: &mut password,
        source_for: &udp::source_for,
    };
    let invocation = match command_line::parse(arguments, &mut surroundings) {
        Ok(invocation) => invocation,
        Err(Refused::Usage) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(Refused::Message(words)) => {
            eprintln!("{program}: {words}");
            return ExitCode::FAILURE;
        }
    };
    let path = invocation.socket.as_deref().unwrap_or(socket);
    match converse(&invocation, path, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // What was asked for is there already.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends the request and prints answers to `out` until the end that was asked for.
///
/// # Errors
/// The daemon's errno, or that it cannot be reached, or that it ended before.
pub fn converse(invocation: &Invocation, path: &Path, out: &mut dyn Write) -> io::Result<()> {
    if invocation.debug {
        write!(out, "{}", hex(&invocation.request))?;
    }
    let mut stream = UnixStream::connect(path).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{}: {error}; is the daemon running?", path.display()),
        )
    })?;
    stream.write_all(&invocation.request)?;
    loop {
        let over = receive(&mut stream, invocation, out)?;
        out.flush()?;
        if over {
            return Ok(());
        }
    }
}

/// One answer; whether the conversation is over.
fn receive(
    stream: &mut UnixStream,
    invocation: &Invocation,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let mut head = [0; HEADER];
    stream.read_exact(&mut head)?;
    let header = Header::parse_answer(head);
    if header.value != 0 {
        return Err(io::Error::from_raw_os_error(header.value.into()));
    }
    let length = header.length.saturating_sub(HEADER);
    if length > MAX_ANSWER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut body)?;
    let zone = TimeZone::system();
    match Command::from_number(header.command) {
        Some(Command::ShowSchedule) => {
            out.write_all(print::schedule(&body, &zone).as_bytes())?;
        }
        Some(Command::GetCert) => out.write_all(&body)?,
        Some(Command::ShowSa) => {
            let text = match Protocol::from_number(header.protocol) {
                Some(Protocol::Isakmp) => print::isakmp(&body, invocation.long, &zone),
                Some(Protocol::Ipsec | Protocol::Ah | Protocol::Esp) => {
                    print::ipsec(&body, wall_clock(), &zone)
                }
                _ => format!("Invalid proto [{}]\n", header.protocol),
            };
            out.write_all(text.as_bytes())?;
        }
        // The first answer has no event in it.
        Some(Command::ShowEvent) => {
            if let Some((event, rest)) = AsyncEvent::parse(&body) {
                return happened(&event, rest, invocation.until, out);
            }
        }
        _ => {}
    }
    Ok(invocation.until == Until::Answer)
}

fn happened(
    event: &AsyncEvent,
    rest: &[u8],
    until: Until,
    out: &mut dyn Write,
) -> io::Result<bool> {
    use super::wire::EventKind;
    match until {
        Until::Event(wanted) if u32::from(wanted.number()) == event.kind => {
            let text = match wanted {
                EventKind::Phase1ModeCfg => print::connected(rest),
                _ => print::event(event),
            };
            out.write_all(text.as_bytes())?;
            Ok(true)
        }
        Until::Event(_) => Ok(false),
        Until::Answer | Until::Forever => {
            out.write_all(print::event(event).as_bytes())?;
            Ok(until == Until::Answer)
        }
    }
}

fn hex(octets: &[u8]) -> String {
    let line = |octets: &[u8]| -> String {
        octets
            .chunks(4)
            .map(|four| {
                let four: String = four.iter().map(|octet| format!("{octet:02x}")).collect();
                four + " "
            })
            .collect()
    };
    octets
        .chunks(16)
        .map(|sixteen| line(sixteen).trim_end().to_owned() + "\n")
        .collect()
}

/// Asks on the terminal, without showing what is typed; reads a line of standard input where that
/// is none.
fn password() -> io::Result<Zeroizing<String>> {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    let input = io::stdin().lock();
    let silent = tcgetattr(&input).ok().map(|before| {
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        eprint!("Password: ");
        (before, silent)
    });
    if let Some((_, silent)) = &silent {
        tcsetattr(&input, SetArg::TCSAFLUSH, silent)?;
    }
    let mut line = Zeroizing::new(String::new());
    let mut limited = input.take(1024);
    let read = limited.read_line(&mut line);
    if let Some((before, _)) = silent {
        eprintln!();
        tcsetattr(io::stdin().lock(), SetArg::TCSAFLUSH, &before)?;
    }
    read?;
    let typed = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(typed);
    Ok(line)
}
