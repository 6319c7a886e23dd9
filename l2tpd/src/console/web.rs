//! One request of mpd5's web page: `/json` and `/bincmd?COMMAND&COMMAND`, which scripts use.

use base64ct::{Base64, Encoding};
use serde::Serialize;

use super::settings::{Console, Role};
use super::view::{SessionView, View};
use crate::secret::Secret;

/// Octets of a request's head.
pub(super) const MAX_HEAD: usize = 8 * 1024;
/// Commands of one request, as in mpd5.
const MAX_COMMANDS: usize = 50;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The summary.
    Json,
    /// These commands, one after the other.
    Commands { role: Role, lines: Vec<String> },
    /// Nothing that is served: status, reason, and words.
    Refused(&'static str, &'static str),
    /// More octets are needed.
    Incomplete,
}

/// Reads a request's head.
pub(super) fn read(console: &Console, octets: &[u8]) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(octets) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if octets.len() < MAX_HEAD => return Asked::Incomplete,
        Ok(httparse::Status::Partial) => {
            return Asked::Refused(
                "431 Request Header Fields Too Large",
                "the head is too long",
            );
        }
        Err(_) => return Asked::Refused("400 Bad Request", "this is not HTTP"),
    }
    if request.method != Some("GET") {
        return Asked::Refused("405 Method Not Allowed", "only GET is served");
    }
    let header = |name: &str| {
        let mut headers = request.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    // A page of somebody else's in an operator's browser must not end sessions.
    let site = header("Sec-Fetch-Site");
    if header("Origin").is_some() || site.is_some_and(|site| site != "none") {
        return Asked::Refused("403 Forbidden", "not from within another page");
    }
    let role = match (console.web_login, header("Authorization")) {
        (false, _) => Role::Admin,
        (true, given) => match given.and_then(|given| login(console, given)) {
            Some(role) => role,
            None => return Asked::Refused("401 Unauthorized", "name and password are needed"),
        },
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/json" => Asked::Json,
        "/bincmd" => {
            let lines = query.split('&').filter(|line| !line.is_empty());
            Asked::Commands {
                role,
                lines: lines.take(MAX_COMMANDS).map(decoded).collect(),
            }
        }
        "/" | "/cmd" | "/mpd.css" => Asked::Refused(
            "501 Not Implemented",
            "the pages for people are not served: use l2tpctl, /json or /bincmd",
        ),
        _ => Asked::Refused("404 Not Found", "there are /json and /bincmd"),
    }
}

fn login(console: &Console, authorization: &str) -> Option<Role> {
    let (scheme, rest) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(Base64::decode_vec(rest.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    let given = Secret::new(password);
    let mut users = console.users.iter();
    let user = users.find(|user| user.name == name)?;
    (user.password == given).then_some(user.role)
}

/// `%20` and `+` are blanks.
fn decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'+' => octets.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digits = [ahead.next(), ahead.next()];
                let value = match digits {
                    [Some(high), Some(low)] => std::str::from_utf8(&[high, low])
                        .ok()
                        .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
                    _ => None,
                };
                match value {
                    Some(value) => {
                        octets.push(value);
                        rest = ahead;
                    }
                    None => octets.push(b'%'),
                }
            }
            octet => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// A whole answer.
pub(super) fn answer(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let login = if status.starts_with("401") {
        "WWW-Authenticate: Basic realm=\"mpd\"\r\n"
    } else {
        ""
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n{login}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[derive(Debug, Serialize)]
struct Summary {
    links: Vec<Link>,
    bundles: Vec<Bundle>,
    /// There are none.
    repeaters: [(); 0],
}

#[derive(Debug, Serialize)]
struct Link {
    link: String,
    lcp: String,
    auth: String,
    r#type: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipcp_ip: Option<String>,
    calling_num: String,
    called_num: String,
}

#[derive(Debug, Serialize)]
struct Bundle {
    bundle: String,
    iface: String,
    state: &'static str,
    ipcp: String,
    ipv6cp: String,
    ccp: &'static str,
    ecp: &'static str,
    links: Vec<Link>,
}

/// mpd5's `/json`.
pub(super) fn json(view: &View<'_>) -> String {
    let templates = view.config.links.iter().map(|link| &link.name);
    let idle = templates.chain(&view.idle_connections).map(|name| Link {
        link: name.clone(),
        lcp: "Initial".to_owned(),
        auth: String::new(),
        r#type: "l2tp",
        state: "DOWN",
        peer_ip: None,
        ipcp_ip: None,
        calling_num: String::new(),
        called_num: String::new(),
    });
    let (joined, alone): (Vec<&SessionView>, Vec<&SessionView>) = view
        .sessions
        .iter()
        .partition(|session| !session.bundle.is_empty());
    let unused = view.config.bundles.keys().map(|name| Bundle {
        bundle: name.clone(),
        iface: String::new(),
        state: "Down",
        ipcp: "Initial".to_owned(),
        ipv6cp: "Initial".to_owned(),
        ccp: "Initial",
        ecp: "Initial",
        links: Vec::new(),
    });
    let summary = Summary {
        links: idle
            .chain(alone.into_iter().map(|session| link(session, false)))
            .collect(),
        bundles: unused.chain(joined.into_iter().map(bundle)).collect(),
        repeaters: [],
    };
    serde_json::to_string_pretty(&summary).unwrap_or_default()
}

fn link(session: &SessionView, joined: bool) -> Link {
    let number = |number: &Option<String>| number.clone().unwrap_or_default();
    Link {
        link: session.link.clone(),
        lcp: session.lcp_state().to_owned(),
        auth: session.user.clone(),
        r#type: "l2tp",
        state: session.device_state(),
        peer_ip: Some(session.peer.ip().to_string()),
        ipcp_ip: joined.then(|| session.peer_address().to_string()),
        calling_num: number(&session.call.calling_number),
        called_num: number(&session.call.called_number),
    }
}

fn bundle(session: &SessionView) -> Bundle {
    let state = |of: fn(&ppp_proto::View) -> &String| {
        session
            .ppp
            .as_ref()
            .map_or_else(|| "Initial".to_owned(), |ppp| of(ppp).clone())
    };
    Bundle {
        bundle: session.bundle.clone(),
        iface: session.interface.clone(),
        state: if session.up { "Up" } else { "Down" },
        ipcp: state(|ppp| &ppp.ipcp_state),
        ipv6cp: state(|ppp| &ppp.ipv6cp_state),
        ccp: "Initial",
        ecp: "Initial",
        links: vec![link(session, true)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::ConsoleUser;

    fn console() -> Console {
        Console {
            web_login: true,
            users: vec![ConsoleUser {
                name: "ops".to_owned(),
                password: Secret::new("a:b"),
                role: Role::Operator,
            }],
            ..Console::default()
        }
    }

    fn ask(head: &str) -> Asked {
        read(&console(), head.replace('\n', "\r\n").as_bytes())
    }

    /// `ops:a:b` in base64, by coreutils.
    const LOGIN: &str = "Authorization: Basic b3BzOmE6Yg==\n\n";

    #[test]
    fn commands_and_logins() {
        assert_eq!(ask(&format!("GET /json HTTP/1.0\n{LOGIN}")), Asked::Json);
        assert_eq!(
            ask(&format!(
                "GET /bincmd?show%20sess&&link+x%zz HTTP/1.1\n{LOGIN}"
            )),
            Asked::Commands {
                role: Role::Operator,
                lines: vec!["show sess".to_owned(), "link x%zz".to_owned()],
            }
        );
        let status = |head: &str| match ask(head) {
            Asked::Refused(status, _) => status.get(..3).unwrap().to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(status("GET /json HTTP/1.1\n\n"), "401");
        let wrong = "GET /json HTTP/1.1\nAuthorization: Basic b3BzOmE=\n\n";
        assert_eq!(status(wrong), "401");
        assert_eq!(status(&format!("GET / HTTP/1.1\n{LOGIN}")), "501");
        assert_eq!(status(&format!("GET /x HTTP/1.1\n{LOGIN}")), "404");
        assert_eq!(status(&format!("POST /json HTTP/1.1\n{LOGIN}")), "405");
        let foreign = format!("GET /json HTTP/1.1\nSec-Fetch-Site: cross-site\n{LOGIN}");
        assert_eq!(status(&foreign), "403");
        assert_eq!(status("\x16\x03\x01\n\n"), "400");
        assert_eq!(ask("GET /json HTTP/1.1\n"), Asked::Incomplete);
        let long = format!("GET /json HTTP/1.1\nX: {}", "a".repeat(MAX_HEAD));
        assert_eq!(status(&long), "431");
    }
}
