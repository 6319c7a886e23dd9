//! racoonctl's arguments, as racoonctl(8) takes them: options first, then a sub-command and what
//! belongs to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::wire::{self, Command, EventKind, Indexes, Login, MAX_LOGIN, Protocol};

/// Every sub-command and its alias.
pub const COMMANDS: [(&str, &str); 11] = [
    ("reload-config", "rc"),
    ("show-schedule", "sc"),
    ("show-sa", "ss"),
    ("get-cert", "gc"),
    ("flush-sa", "fs"),
    ("delete-sa", "ds"),
    ("establish-sa", "es"),
    ("vpn-connect", "vc"),
    ("vpn-disconnect", "vd"),
    ("show-event", "se"),
    ("logout-user", "lu"),
];

/// What to print for no or wrong options.
pub const USAGE: &str = "\
usage: racoonctl [-dl] [-s socket] command

  reload-config (rc)
  show-schedule (sc)
  show-sa (ss)          isakmp | esp | ah | ipsec
  get-cert (gc)         inet|inet6 source destination
  flush-sa (fs)         isakmp | esp | ah | ipsec
  delete-sa (ds)        SA
  establish-sa (es)     [-u login] [-n remote] [-w] SA
  vpn-connect (vc)      [-u login] gateway
  vpn-disconnect (vd)   gateway
  show-event (se)
  logout-user (lu)      login

  SA:  isakmp inet|inet6 source destination
       esp|ah inet|inet6 source/prefix/port destination/prefix/port icmp|tcp|udp|gre|any
  -d   dump the request in hex
  -l   longer output; twice for even more
  -s   racoon's admin socket
";

/// A command line that was understood.
#[derive(Debug)]
pub struct Invocation {
    /// Dump the request in hex.
    pub debug: bool,
    /// How long the output is.
    pub long: u8,
    /// The socket, if one is named.
    pub socket: Option<PathBuf>,
    /// The request, ready to be sent.
    pub request: Zeroizing<Vec<u8>>,
    /// What to wait for.
    pub until: Until,
}

/// When a conversation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// With the answer.
    Answer,
    /// When that has happened; nothing else is printed.
    Event(EventKind),
    /// Never: events are printed as they come.
    Forever,
}

/// A command line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No command, or an unknown option.
    Usage,
    /// What is wrong.
    Message(String),
}

/// What else the command line needs.
pub struct Surroundings<'a> {
    /// Asks for a password.
    pub password: &'a mut dyn FnMut() -> std::io::Result<Zeroizing<String>>,
    /// Our address towards another one.
    pub source_for: &'a dyn Fn(SocketAddr) -> std::io::Result<IpAddr>,
}

type Outcome<T> = Result<T, Refused>;

fn refuse<T>(words: impl Into<String>) -> Outcome<T> {
    Err(Refused::Message(words.into()))
}

/// Whether `word` is one of racoonctl's sub-commands.
pub fn is_command(word: &str) -> bool {
    COMMANDS
        .iter()
        .any(|(long, short)| word == *long || word == *short)
}

/// Reads the arguments without the program's name.
///
/// # Errors
/// What is wrong with them.
pub fn parse(arguments: &[String], surroundings: &mut Surroundings<'_>) -> Outcome<Invocation> {
    let mut words = Words(arguments);
    let (mut debug, mut long, mut socket) = (false, 0_u8, None);
    while let Some(option) = words.option() {
        for (at, letter) in option.char_indices().skip(1) {
            match letter {
                'd' => debug = true,
                'l' => long = long.saturating_add(1),
                's' => {
                    let rest = option.get(at + 1..).unwrap_or_default();
                    let value = match rest {
                        "" => words.next().ok_or(Refused::Usage)?,
                        rest => rest,
                    };
                    socket = Some(PathBuf::from(value));
                    break;
                }
                _ => return Err(Refused::Usage),
            }
        }
    }
    let word = words.next().ok_or(Refused::Usage)?;
    let Some((name, _)) = COMMANDS
        .into_iter()
        .find(|(long, short)| word == *long || word == *short)
    else {
        return refuse(format!("Invalid command [{word}]"));
    };
    let (built, until) = words.command(name, surroundings)?;
    let Built {
        command,
        protocol,
        body,
    } = built;
    let Some(request) = wire::request(command, protocol, &body) else {
        return refuse("arguments too long");
    };
    Ok(Invocation {
        debug,
        long,
        socket,
        request,
        until,
    })
}

struct Built {
    command: Command,
    protocol: Option<Protocol>,
    body: Zeroizing<Vec<u8>>,
}

impl Built {
    fn new(command: Command, protocol: Option<Protocol>) -> Self {
        Self {
            command,
            protocol,
            body: Zeroizing::default(),
        }
    }
}

struct Words<'a>(&'a [String]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next word if it is an option; `--` ends them.
    fn option(&mut self) -> Option<&'a str> {
        match self.0.first()?.as_str() {
            "--" => {
                self.next();
                None
            }
            word if word.len() > 1 && word.starts_with('-') => self.next(),
            _ => None,
        }
    }

    /// The value behind `option` if that comes next.
    fn value_of(&mut self, option: &str) -> Outcome<Option<&'a str>> {
        if self.0.first().is_none_or(|word| word != option) {
            return Ok(None);
        }
        self.next();
        match self.next() {
            Some(value) => Ok(Some(value)),
            None => refuse(format!("{option} requires an argument")),
        }
    }

    fn required(&mut self) -> Outcome<&'a str> {
        self.next()
            .ok_or_else(|| Refused::Message("insufficient arguments".into()))
    }

    fn end(&self) -> Outcome<()> {
        match self.0 {
            [] => Ok(()),
            _ => refuse("too many arguments"),
        }
    }

    fn command(
        &mut self,
        name: &str,
        surroundings: &mut Surroundings<'_>,
    ) -> Outcome<(Built, Until)> {
        let built = match name {
            "reload-config" => Built::new(Command::Reload, None),
            "show-schedule" => Built::new(Command::ShowSchedule, None),
            "show-sa" => Built::new(Command::ShowSa, Some(self.protocol()?)),
            "flush-sa" => Built::new(Command::FlushSa, Some(self.protocol()?)),
            "get-cert" => {
                let mut built = Built::new(Command::GetCert, Some(Protocol::Isakmp));
                self.indexes()?.emit(&mut built.body);
                built
            }
            "delete-sa" => {
                let mut built = Built::new(Command::DeleteSa, Some(self.sa_protocol()?));
                self.indexes()?.emit(&mut built.body);
                built
            }
            "show-event" => {
                self.end()?;
                return Ok((Built::new(Command::ShowEvent, None), Until::Forever));
            }
            "logout-user" => {
                let user = self.required()?;
                if user.len() > MAX_LOGIN {
                    return refuse("bad login (too long?)");
                }
                let mut built = Built::new(Command::LogoutUser, None);
                built.body.extend_from_slice(user.as_bytes());
                built
            }
            "establish-sa" => return self.establish(surroundings),
            "vpn-connect" => return self.vpn_connect(surroundings),
            _ => return self.vpn_disconnect(),
        };
        self.end()?;
        Ok((built, Until::Answer))
    }

    fn establish(&mut self, surroundings: &mut Surroundings<'_>) -> Outcome<(Built, Until)> {
        let user = self.value_of("-u")?;
        let remote = self.value_of("-n")?;
        let wait = self.0.first().is_some_and(|word| word == "-w");
        if wait {
            self.next();
        }
        let login = login(user, surroundings)?;
        let protocol = self.sa_protocol()?;
        let indexes = self.indexes()?;
        self.end()?;
        let until = match (wait, protocol) {
            (false, _) => Until::Answer,
            (true, Protocol::Isakmp) => Until::Event(EventKind::Phase1ModeCfg),
            (true, _) => Until::Event(EventKind::Phase2Up),
        };
        Ok((established(protocol, &indexes, remote, login), until))
    }

    /// `establish-sa -w isakmp` from our address.
    fn vpn_connect(&mut self, surroundings: &mut Surroundings<'_>) -> Outcome<(Built, Until)> {
        let user = self.value_of("-u")?;
        let destination = self.gateway()?;
        let gateway = SocketAddr::new(destination.ip(), 4500);
        let Ok(source) = (surroundings.source_for)(gateway) else {
            return refuse("cannot find source address");
        };
        let login = login(user, surroundings)?;
        let indexes = between(SocketAddr::new(source, 0), destination);
        let built = established(Protocol::Isakmp, &indexes, None, login);
        Ok((built, Until::Event(EventKind::Phase1ModeCfg)))
    }

    fn vpn_disconnect(&mut self) -> Outcome<(Built, Until)> {
        let destination = self.gateway()?;
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let mut built = Built::new(Command::DeleteAllTo, Some(Protocol::Isakmp));
        between(any, destination).emit(&mut built.body);
        Ok((built, Until::Event(EventKind::Phase1Down)))
    }

    fn gateway(&mut self) -> Outcome<SocketAddr> {
        let Some(name) = self.next() else {
            return refuse("VPN gateway required");
        };
        self.end()?;
        lookup(name, |_| true)
            .ok_or_else(|| Refused::Message("Cannot resolve destination address".into()))
    }

    fn protocol(&mut self) -> Outcome<Protocol> {
        let word = self.required()?;
        Ok(match word {
            "isakmp" => Protocol::Isakmp,
            "ipsec" => Protocol::Ipsec,
            "ah" => Protocol::Ah,
            "esp" => Protocol::Esp,
            "internal" => Protocol::Internal,
            _ => return refuse(format!("unknown protocol {word}")),
        })
    }

    fn sa_protocol(&mut self) -> Outcome<Protocol> {
        match self.protocol()? {
            Protocol::Ipsec | Protocol::Internal => refuse("expected isakmp, esp or ah"),
            protocol => Ok(protocol),
        }
    }

    /// `inet source destination [protocol]`
    fn indexes(&mut self) -> Outcome<Indexes> {
        let family: fn(&SocketAddr) -> bool = match self.required()? {
            "inet" => SocketAddr::is_ipv4,
            "inet6" => SocketAddr::is_ipv6,
            word => return refuse(format!("unknown family {word}; expected inet or inet6")),
        };
        let (source, source_prefix) = end(self.required()?, family)?;
        let (destination, destination_prefix) = end(self.required()?, family)?;
        let protocol = match self.next() {
            None | Some("any") => 0,
            Some("icmp") => 1,
            Some("tcp") => 6,
            Some("udp") => 17,
            Some("gre") => 47,
            Some(word) => {
                return refuse(format!(
                    "unknown protocol {word}; expected icmp, tcp, udp, gre or any"
                ));
            }
        };
        Ok(Indexes {
            source_prefix,
            destination_prefix,
            protocol,
            source: Some(source),
            destination: Some(destination),
        })
    }
}

fn established(
    protocol: Protocol,
    indexes: &Indexes,
    remote: Option<&str>,
    login: Option<Login>,
) -> Built {
    let command = match login {
        Some(_) => Command::EstablishPsk,
        None => Command::Establish,
    };
    let mut built = Built::new(command, Some(protocol));
    indexes.emit(&mut built.body);
    match (login, remote) {
        (Some(login), _) => login.emit(&mut built.body),
        (None, Some(name)) if protocol == Protocol::Isakmp => {
            built.body.extend_from_slice(name.as_bytes());
            built.body.push(0);
        }
        _ => {}
    }
    built
}

fn login(user: Option<&str>, surroundings: &mut Surroundings<'_>) -> Outcome<Option<Login>> {
    let Some(user) = user else {
        return Ok(None);
    };
    match (surroundings.password)() {
        Ok(password) => Ok(Some(Login {
            user: user.to_owned(),
            password,
        })),
        Err(error) => refuse(format!("no password: {error}")),
    }
}

fn between(source: SocketAddr, destination: SocketAddr) -> Indexes {
    Indexes {
        source_prefix: full(&source),
        destination_prefix: full(&destination),
        protocol: 0,
        source: Some(source),
        destination: Some(destination),
    }
}

fn full(address: &SocketAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `address`, `address[port]`, `address/prefix`, `address/prefix/port` or `address/prefix[port]`
fn end(word: &str, family: fn(&SocketAddr) -> bool) -> Outcome<(SocketAddr, u8)> {
    let wrong = || Refused::Message(format!("{word}: expected address/prefix/port"));
    let (rest, port) = match word.strip_suffix(']').and_then(|w| w.split_once('[')) {
        Some((rest, port)) => (rest, Some(port)),
        None => (word, None),
    };
    let mut parts = rest.split('/');
    let name = parts.next().unwrap_or_default();
    let prefix = parts.next();
    let port = match (port, parts.next()) {
        (port, None) => port,
        (None, port) => port,
        (Some(_), Some(_)) => return Err(wrong()),
    };
    let port = match port {
        None | Some("any") => 0,
        Some(port) => port.parse().map_err(|_| wrong())?,
    };
    let Some(mut address) = lookup(name, family) else {
        return refuse(format!("{name}: no such address of that family"));
    };
    address.set_port(port);
    let most = full(&address);
    let prefix = match prefix.map(str::parse::<u8>) {
        None => most,
        Some(Ok(length)) if length <= most => length,
        Some(_) => return Err(wrong()),
    };
    Ok((address, prefix))
}

fn lookup(name: &str, family: impl Fn(&SocketAddr) -> bool) -> Option<SocketAddr> {
    (name, 0).to_socket_addrs().ok()?.find(family)
}
