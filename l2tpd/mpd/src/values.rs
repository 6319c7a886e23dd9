//! Numbers, addresses and ranges as mpd reads them, but strictly: what mpd's atoi(3) would have
//! taken for 0 is refused.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::diag::Problem;
use crate::lexer::Word;
use crate::model::{Endpoint, Program, Setting};

/// A decimal number within bounds.
pub(crate) fn number<T>(word: &Word, bounds: RangeInclusive<T>) -> Result<Setting<T>, Problem>
where
    T: FromStr + PartialOrd + Display,
{
    match word.text.parse() {
        Ok(value) if bounds.contains(&value) => Ok(Setting::given(value, &word.span)),
        _ => Err(Problem::new(
            &word.span,
            format!("'{}' is no number that fits here", word.text),
        )
        .remedy(format!("write {} to {}", bounds.start(), bounds.end()))),
    }
}

/// A number in hexadecimal digits, with or without `0x`.
pub(crate) fn hexadecimal(word: &Word) -> Result<Setting<u32>, Problem> {
    let digits = word.text.strip_prefix("0x").unwrap_or(&word.text);
    u32::from_str_radix(digits, 16)
        .map(|value| Setting::given(value, &word.span))
        .map_err(|_| {
            Problem::new(
                &word.span,
                format!("'{}' is no hexadecimal number", word.text),
            )
            .remedy("write up to 8 digits, such as 0x000a0000")
        })
}

fn parsed<T: FromStr>(word: &Word, what: &str, sample: &str) -> Result<Setting<T>, Problem> {
    word.text
        .parse()
        .map(|value| Setting::given(value, &word.span))
        .map_err(|_| {
            Problem::new(&word.span, format!("'{}' is no {what}", word.text))
                .remedy(format!("write one such as {sample}"))
        })
}

/// An IPv4 address.
pub(crate) fn ipv4(word: &Word) -> Result<Setting<Ipv4Addr>, Problem> {
    parsed(word, "IPv4 address", "192.0.2.1")
}

/// An IPv6 address.
pub(crate) fn ipv6(word: &Word) -> Result<Setting<Ipv6Addr>, Problem> {
    parsed(word, "IPv6 address", "2001:db8::1")
}

/// An address of either kind.
pub(crate) fn address(word: &Word) -> Result<Setting<IpAddr>, Problem> {
    parsed(word, "IP address", "192.0.2.1 or 2001:db8::1")
}

/// An address with or without `/width`; the host part stays.
pub(crate) fn network(word: &Word, text: &str) -> Result<IpNet, Problem> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            Problem::new(&word.span, format!("'{}' is no address range", word.text))
                .remedy("write ADDRESS or ADDRESS/WIDTH, such as 192.0.2.0/24")
        })
}

/// An IPv4 address with or without `/width`.
pub(crate) fn network4(word: &Word) -> Result<Ipv4Net, Problem> {
    match network(word, &word.text)? {
        IpNet::V4(network) => Ok(network),
        IpNet::V6(_) => Err(
            Problem::new(&word.span, format!("'{}' is not IPv4", word.text))
                .remedy("IPCP gives IPv4 addresses; for IPv6 write 'set bundle enable ipv6cp'"),
        ),
    }
}

/// A port other than 0.
pub(crate) fn port(word: &Word) -> Result<u16, Problem> {
    number(word, 1..=u16::MAX).map(|setting| setting.value)
}

/// `ADDRESS [PORT]`.
pub(crate) fn endpoint(arguments: &[Word]) -> Result<Setting<Endpoint>, Problem> {
    let [first, rest @ ..] = arguments else {
        return Err(missing());
    };
    let port = rest.first().map(port).transpose()?;
    let address = address(first)?.value;
    Ok(Setting::given(Endpoint { address, port }, &first.span))
}

/// The tree checks the number of arguments; this stands for the case it did not.
pub(crate) fn missing() -> Problem {
    let span = crate::diag::Span {
        file: "".into(),
        line: 1,
        column: 1,
    };
    Problem::new(&span, "too few words")
}

/// Text of bounded length.
pub(crate) fn text(word: &Word, most: usize, what: &str) -> Result<Setting<String>, Problem> {
    if word.text.len() > most {
        return Err(Problem::new(
            &word.span,
            format!("the {what} is longer than {most} octets"),
        )
        .remedy("shorten it"));
    }
    Ok(Setting::given(word.text.clone(), &word.span))
}

/// What mpd gave to a shell: split at blanks, and refused where only a shell would do.
pub(crate) fn program(command: &str, word: &Word) -> Result<Program, Problem> {
    if let Some(odd) = command
        .chars()
        .find(|c| ";&|<>$`'\"*?()\\\n\r".contains(*c))
    {
        return Err(Problem::new(
            &word.span,
            format!("'{odd}' is for a shell, and none is used"),
        )
        .remedy("put the command line into a script file and name that"));
    }
    let mut words = command.split_whitespace().map(str::to_owned);
    match words.next() {
        Some(path) if path.starts_with('/') => Ok(Program {
            path,
            arguments: words.collect(),
        }),
        Some(path) => Err(
            Problem::new(&word.span, format!("'{path}' is no absolute path"))
                .remedy("write the program's whole path"),
        ),
        None => Err(Problem::new(&word.span, "no program is named").remedy("write its whole path")),
    }
}
