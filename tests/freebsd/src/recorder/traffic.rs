//! Conversations that packets begin: ACQUIRE (RFC 2367 section 3.1.6) and lifetimes in octets.
//!
//! The packets are UDP datagrams of this host to itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use pfkey::{
    Address, AuthenticationAlgorithm as Auth, Direction, EncryptionAlgorithm as Cipher, Extension,
    Lifetime, Message, MessageType as Kind, Mode, Policy, PolicyRequest, PolicyType, SaType,
    SpiRange,
};

use super::SETTLE;
use super::pfkey::Recorder;
use super::sa::{auth_key, begin, cipher_key, destination, flush, sa, sa2, source};
use crate::Line;

/// The kernel looks at lifetimes once a second (`key_timehandler`).
const TICK: Duration = Duration::from_millis(2500);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FROM: u16 = 41_701;
const UDP: u8 = 17;

/// Sends so many octets to a port; what the registered socket heard within the time.
fn datagram(
    r: &mut Recorder,
    port: u16,
    octets: usize,
    time: Duration,
) -> io::Result<Vec<Message>> {
    let addresses = (SocketAddr::new(HERE, FROM), SocketAddr::new(HERE, port));
    r.datagram(addresses, &vec![0xda; octets], "b", time)
}

/// An outbound policy for datagrams to a port of this host.
fn policy(r: &mut Recorder, kind: Kind, port: u16, policy: Policy) -> Message {
    r.message(kind, SaType::UNSPEC)
        .with(Extension::Policy(policy))
        .with(Extension::AddressSource(Address::selector(
            HERE, 32, 0, UDP,
        )))
        .with(Extension::AddressDestination(Address::selector(
            HERE, 32, port, UDP,
        )))
}

fn add(r: &mut Recorder, port: u16, request: PolicyRequest) -> io::Result<()> {
    let wanted = Policy::ipsec(Direction::OUTBOUND, request);
    let message = policy(r, Kind::X_SPDADD, port, wanted);
    r.send("a", &message).map(drop)
}

fn delete(r: &mut Recorder, port: u16) -> io::Result<()> {
    let wanted = Policy::plain(PolicyType::IPSEC, Direction::OUTBOUND);
    let message = policy(r, Kind::X_SPDDELETE, port, wanted);
    r.send("a", &message).map(drop)
}

/// An SA from this host to itself.
fn own_sa(message: Message, spi: u32, reqid: u32) -> Message {
    message
        .with(sa(spi, Cipher::AES_CBC, Auth::SHA1_HMAC, 0))
        .with(sa2(Mode::TRANSPORT, reqid))
        .with(source(HERE))
        .with(destination(HERE))
        .with(cipher_key(16))
        .with(auth_key(20))
}

/// A registered socket "b", and "c", which is not.
fn listeners(r: &mut Recorder) -> io::Result<()> {
    r.heading("another socket is registered, a third is not");
    r.open("b")?;
    let message = r.message(Kind::REGISTER, SaType::ESP);
    r.send("b", &message)?;
    r.open("c")
}

/// ACQUIRE: who hears of it, how often, and how it is answered.
///
/// # Errors
/// A broken or forbidden socket.
pub fn acquire() -> io::Result<Vec<Line>> {
    let mut r = Recorder::beside_acquires();
    begin(&mut r)?;
    listeners(&mut r)?;
    r.heading("a policy for SAs of its own, and no SA");
    add(&mut r, 1701, PolicyRequest::esp_transport_unique(12))?;
    r.heading("a packet");
    let first = datagram(&mut r, 1701, 20, SETTLE)?;
    r.heading("ten more of the kind are not asked for, the next is, under the same number");
    for _ in 0..13 {
        datagram(&mut r, 1701, 20, SETTLE)?;
    }
    r.heading("a policy for any SA");
    add(&mut r, 1702, PolicyRequest::esp_transport_require())?;
    r.heading("a packet for it");
    let second = datagram(&mut r, 1702, 20, SETTLE)?;
    r.heading("another, which is not asked for");
    datagram(&mut r, 1702, 20, SETTLE)?;
    r.heading("key management says that it cannot serve it");
    let mut message = r.message(Kind::ACQUIRE, SaType::ESP);
    message.sequence = sequence(&second);
    message.errno = 61;
    r.send("b", &message)?;
    r.heading("the next packet");
    datagram(&mut r, 1702, 20, SETTLE)?;
    r.heading("twenty seconds later it is forgotten what was asked for");
    r.wait(Duration::from_secs(22))?;
    datagram(&mut r, 1702, 20, SETTLE)?;
    r.heading("GETSPI with the number of the first ACQUIRE");
    let mut message = r
        .message(Kind::GETSPI, SaType::ESP)
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(HERE))
        .with(destination(HERE))
        .with(Extension::SpiRange(SpiRange {
            min: 0x6101,
            max: 0x6101,
        }));
    message.sequence = sequence(&first);
    r.send("b", &message)?;
    r.heading("a packet while the SA is larval");
    datagram(&mut r, 1701, 20, SETTLE)?;
    r.heading("UPDATE, and a packet that is carried");
    let message = r.message(Kind::UPDATE, SaType::ESP);
    let message = own_sa(message, 0x6101, 12);
    r.send("b", &message)?;
    datagram(&mut r, 1701, 20, SETTLE)?;
    r.heading("DUMP");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    end(&mut r)
}

/// The number of an ACQUIRE.
fn sequence(heard: &[Message]) -> u32 {
    heard.first().map_or(0, |message| message.sequence)
}

fn end(r: &mut Recorder) -> io::Result<Vec<Line>> {
    r.heading("SPDDELETE");
    delete(r, 1701)?;
    delete(r, 1702)?;
    r.heading("FLUSH");
    flush(r)?;
    Ok(std::mem::take(r).finish())
}

/// Lifetimes in octets: EXPIRE at the soft one, EXPIRE and the end of the SA at the hard one.
///
/// # Errors
/// A broken or forbidden socket.
pub fn octets() -> io::Result<Vec<Line>> {
    let octets = |bytes| Lifetime {
        bytes,
        ..Lifetime::default()
    };
    let mut r = Recorder::beside_acquires();
    begin(&mut r)?;
    listeners(&mut r)?;
    r.heading("an SA of 1000 and 3500 octets, and a policy that uses it");
    let message = r.message(Kind::ADD, SaType::ESP);
    let message = own_sa(message, 0x6201, 22)
        .with(Extension::LifetimeHard(octets(3500)))
        .with(Extension::LifetimeSoft(octets(1000)));
    r.send("a", &message)?;
    add(&mut r, 1701, PolicyRequest::esp_transport_unique(22))?;
    r.heading("an SA that only packets for port 1702 use, with a hard lifetime alone");
    let message = r.message(Kind::ADD, SaType::ESP);
    let message = own_sa(message, 0x6202, 23).with(Extension::LifetimeHard(octets(900)));
    r.send("a", &message)?;
    r.heading("the same with a soft one of nothing");
    let message = r.message(Kind::ADD, SaType::ESP);
    let message = own_sa(message, 0x6202, 23)
        .with(Extension::LifetimeHard(octets(900)))
        .with(Extension::LifetimeSoft(octets(0)));
    r.send("a", &message)?;
    add(&mut r, 1702, PolicyRequest::esp_transport_unique(23))?;
    r.heading("100 octets");
    datagram(&mut r, 1701, 100, TICK)?;
    r.heading("700 octets in all, which this host sends and receives");
    datagram(&mut r, 1701, 600, TICK)?;
    r.heading("DUMP shows a dying SA");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    r.heading("800 octets: the soft lifetime is told once");
    datagram(&mut r, 1701, 100, TICK)?;
    r.heading("2000 octets: beyond the hard lifetime");
    datagram(&mut r, 1701, 1200, TICK)?;
    r.heading("a packet for the SA that is gone");
    datagram(&mut r, 1701, 100, TICK)?;
    r.heading("beyond the hard lifetime of the SA without a soft one");
    datagram(&mut r, 1702, 1000, TICK)?;
    r.heading("DUMP of nothing");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    end(&mut r)
}
