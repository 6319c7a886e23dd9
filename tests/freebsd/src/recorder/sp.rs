//! Conversations about policies: FreeBSD's `key_spd*` functions.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use pfkey::{
    Address, Direction, Extension, Level, Lifetime, Message, MessageType as Kind, Mode, Policy,
    PolicyRequest, PolicyType, SaType,
};

use super::pfkey::Recorder;
use crate::Line;

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 4));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));
const UDP: u8 = 17;

fn selectors(message: Message, from: Address, to: Address) -> Message {
    message
        .with(Extension::AddressSource(from))
        .with(Extension::AddressDestination(to))
}

fn policy(r: &mut Recorder, kind: Kind, policy: Policy, from: Address, to: Address) -> Message {
    let message = r
        .message(kind, SaType::UNSPEC)
        .with(Extension::Policy(policy));
    selectors(message, from, to)
}

fn server() -> Address {
    Address::selector(SERVER, 32, 1701, UDP)
}

fn client(port: u16) -> Address {
    Address::selector(CLIENT, 32, port, UDP)
}

fn anybody() -> Address {
    Address::selector(ANY, 0, 0, UDP)
}

fn dump(r: &mut Recorder) -> io::Result<Vec<Message>> {
    r.heading("SPDDUMP");
    let message = r.message(Kind::X_SPDDUMP, SaType::UNSPEC);
    r.send("a", &message)
}

fn flush(r: &mut Recorder) -> io::Result<()> {
    r.heading("SPDFLUSH");
    let message = r.message(Kind::X_SPDFLUSH, SaType::UNSPEC);
    r.send("a", &message).map(drop)
}

/// Adding, showing, deleting, refusals, lifetimes.
///
/// # Errors
/// A broken or forbidden socket.
pub fn life() -> io::Result<Vec<Line>> {
    use Direction as D;
    let mut r = Recorder::default();
    r.open("a")?;
    flush(&mut r)?;
    dump(&mut r)?;
    r.heading("another socket hears what is broadcast");
    r.open("b")?;
    r.heading("SPDADD: nobody reaches port 1701 in the clear");
    let require = PolicyRequest::esp_transport_require();
    let wanted = Policy::ipsec(D::INBOUND, require);
    let message = policy(&mut r, Kind::X_SPDADD, wanted, anybody(), server());
    r.send("a", &message)?;
    let wanted = Policy::ipsec(D::OUTBOUND, require);
    let message = policy(&mut r, Kind::X_SPDADD, wanted, server(), anybody());
    r.send("a", &message)?;
    r.heading("SPDADD: a client with SAs of its own");
    let unique = PolicyRequest::esp_transport_unique(12);
    let wanted = Policy::ipsec(D::OUTBOUND, unique);
    let message = policy(&mut r, Kind::X_SPDADD, wanted, server(), client(49152));
    let added = r.send("a", &message)?;
    let id = added.iter().find_map(|reply| reply.policy().map(|p| p.id));
    r.heading("SPDADD of the same selectors: EEXIST");
    let wanted = Policy::ipsec(D::OUTBOUND, unique);
    let message = policy(&mut r, Kind::X_SPDADD, wanted, server(), client(49152));
    r.send("a", &message)?;
    r.heading("SPDUPDATE of the same selectors");
    let wanted = Policy {
        priority: 7,
        ..Policy::ipsec(D::OUTBOUND, PolicyRequest::esp_transport_unique(13))
    };
    let message = policy(&mut r, Kind::X_SPDUPDATE, wanted, server(), client(49152));
    r.send("a", &message)?;
    r.heading("SPDADD unique without a number: the kernel chooses one");
    let wanted = Policy::ipsec(D::OUTBOUND, PolicyRequest::esp_transport_unique(0));
    let message = policy(&mut r, Kind::X_SPDADD, wanted, server(), client(49153));
    r.send("a", &message)?;
    r.heading("SPDADD unique with a number above the manual ones");
    let wanted = Policy::ipsec(D::OUTBOUND, PolicyRequest::esp_transport_unique(0x4001));
    let message = policy(&mut r, Kind::X_SPDADD, wanted, server(), client(49154));
    r.send("a", &message)?;
    r.heading("SPDADD unique with the largest manual number");
    let wanted = Policy::ipsec(D::OUTBOUND, PolicyRequest::esp_transport_unique(0x3fff));
    let message = policy(&mut r, Kind::X_SPDADD, wanted, server(), client(49155));
    r.send("a", &message)?;
    dump(&mut r)?;
    r.heading("SPDGET");
    let wanted = Policy {
        id: id.unwrap_or(0),
        ..Policy::default()
    };
    let message = r
        .message(Kind::X_SPDGET, SaType::UNSPEC)
        .with(Extension::Policy(wanted));
    r.send("a", &message)?;
    r.heading("SPDGET of a number that nobody has");
    let wanted = Policy {
        id: 0x00ff_ffff,
        ..Policy::default()
    };
    let message = r
        .message(Kind::X_SPDGET, SaType::UNSPEC)
        .with(Extension::Policy(wanted));
    r.send("a", &message)?;
    refusals(&mut r)?;
    r.heading("SPDDELETE by selectors");
    let wanted = Policy::plain(PolicyType::IPSEC, D::OUTBOUND);
    let message = policy(&mut r, Kind::X_SPDDELETE, wanted, server(), client(49152));
    r.send("a", &message)?;
    r.heading("SPDDELETE by selectors that nobody has");
    let wanted = Policy::plain(PolicyType::IPSEC, D::OUTBOUND);
    let message = policy(&mut r, Kind::X_SPDDELETE, wanted, server(), client(49152));
    r.send("a", &message)?;
    r.heading("SPDDELETE2 of a number that nobody has");
    let wanted = Policy {
        id: 0x00ff_ffff,
        ..Policy::default()
    };
    let message = r
        .message(Kind::X_SPDDELETE2, SaType::UNSPEC)
        .with(Extension::Policy(wanted));
    r.send("a", &message)?;
    r.heading("SPDADD and SPDDELETE2");
    let wanted = Policy::ipsec(D::OUTBOUND, unique);
    let message = policy(&mut r, Kind::X_SPDADD, wanted, server(), client(49160));
    let added = r.send("a", &message)?;
    let id = added.iter().find_map(|reply| reply.policy().map(|p| p.id));
    let wanted = Policy {
        id: id.unwrap_or(0),
        ..Policy::default()
    };
    let message = r
        .message(Kind::X_SPDDELETE2, SaType::UNSPEC)
        .with(Extension::Policy(wanted));
    r.send("a", &message)?;
    flush(&mut r)?;
    dump(&mut r)?;
    expire(&mut r)?;
    flush(&mut r)?;
    Ok(r.finish())
}

fn refusals(r: &mut Recorder) -> io::Result<()> {
    use Direction as D;
    r.heading("SPDADD without direction");
    let wanted = Policy::ipsec(D::ANY, PolicyRequest::esp_transport_require());
    let message = policy(r, Kind::X_SPDADD, wanted, server(), client(50000));
    r.send("a", &message)?;
    r.heading("SPDADD without requests");
    let wanted = Policy::plain(PolicyType::IPSEC, D::OUTBOUND);
    let message = policy(r, Kind::X_SPDADD, wanted, server(), client(50001));
    r.send("a", &message)?;
    r.heading("SPDADD in tunnel mode without addresses");
    let request = PolicyRequest {
        mode: Mode::TUNNEL,
        level: Level::REQUIRE,
        ..PolicyRequest::esp_transport_require()
    };
    let wanted = Policy::ipsec(D::OUTBOUND, request);
    let message = policy(r, Kind::X_SPDADD, wanted, server(), client(50002));
    r.send("a", &message)?;
    r.heading("SPDADD of a bypass, which only sockets may have");
    let wanted = Policy::plain(PolicyType::BYPASS, D::OUTBOUND);
    let message = policy(r, Kind::X_SPDADD, wanted, server(), client(50003));
    r.send("a", &message)?;
    r.heading("SPDADD of a discard and of a none");
    let wanted = Policy::plain(PolicyType::DISCARD, D::INBOUND);
    let message = policy(r, Kind::X_SPDADD, wanted, client(50004), server());
    r.send("a", &message)?;
    let wanted = Policy::plain(PolicyType::NONE, D::INBOUND);
    let message = policy(r, Kind::X_SPDADD, wanted, client(50005), server());
    r.send("a", &message)?;
    r.heading("SPDADD with five requests");
    let wanted = Policy {
        requests: vec![PolicyRequest::esp_transport_require(); 5],
        ..Policy::plain(PolicyType::IPSEC, D::OUTBOUND)
    };
    let message = policy(r, Kind::X_SPDADD, wanted, server(), client(50006));
    r.send("a", &message)?;
    r.heading("SPDADD without policy");
    let message = r.message(Kind::X_SPDADD, SaType::UNSPEC);
    let message = selectors(message, server(), client(50007));
    r.send("a", &message).map(drop)
}

fn expire(r: &mut Recorder) -> io::Result<()> {
    r.heading("SPDADD of a policy of two seconds");
    let wanted = Policy::ipsec(Direction::OUTBOUND, PolicyRequest::esp_transport_unique(14));
    let message = policy(r, Kind::X_SPDADD, wanted, server(), client(49170)).with(
        Extension::LifetimeHard(Lifetime {
            add_time: 2,
            ..Lifetime::default()
        }),
    );
    r.send("a", &message)?;
    r.wait(Duration::from_millis(3500))
}
