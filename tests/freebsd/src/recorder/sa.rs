//! Conversations about SAs: RFC 2367 section 3.1 and FreeBSD's `key.c`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pfkey::{
    Address, AuthenticationAlgorithm as Auth, EncryptionAlgorithm as Cipher, Extension, Key,
    Lifetime, Message, MessageType as Kind, Mode, Sa, Sa2, SaState, SaType, SpiRange,
};

use super::pfkey::Recorder;
use crate::Line;

pub(super) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 4));
pub(super) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));
const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 5));
const MOVED: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77));

pub(super) fn source(ip: IpAddr) -> Extension {
    Extension::AddressSource(Address::host(ip))
}

pub(super) fn destination(ip: IpAddr) -> Extension {
    Extension::AddressDestination(Address::host(ip))
}

pub(super) fn sa(spi: u32, cipher: Cipher, auth: Auth, flags: u32) -> Extension {
    Extension::Sa(Sa {
        spi,
        replay: 4,
        state: SaState::MATURE,
        authentication: auth,
        encryption: cipher,
        flags,
    })
}

pub(super) fn sa2(mode: Mode, reqid: u32) -> Extension {
    Extension::Sa2(Sa2 {
        mode,
        sequence: 0,
        reqid,
    })
}

pub(super) fn cipher_key(bytes: usize) -> Extension {
    Extension::KeyEncryption(Key::new(&vec![0xe1; bytes]))
}

pub(super) fn auth_key(bytes: usize) -> Extension {
    Extension::KeyAuthentication(Key::new(&vec![0xa2; bytes]))
}

fn lifetime(seconds: u64, bytes: u64) -> Lifetime {
    Lifetime {
        allocations: 0,
        bytes,
        add_time: seconds,
        use_time: 0,
    }
}

/// AES-CBC-128 with HMAC-SHA-1 from the client to the server.
pub(super) fn inbound(recorder: &mut Recorder, kind: Kind, spi: u32) -> Message {
    recorder
        .message(kind, SaType::ESP)
        .with(sa(spi, Cipher::AES_CBC, Auth::SHA1_HMAC, 0))
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(CLIENT))
        .with(destination(SERVER))
        .with(cipher_key(16))
        .with(auth_key(20))
}

/// The same the other way.
fn outbound(recorder: &mut Recorder, spi: u32) -> Message {
    recorder
        .message(Kind::ADD, SaType::ESP)
        .with(sa(spi, Cipher::AES_CBC, Auth::SHA1_HMAC, 0))
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(SERVER))
        .with(destination(CLIENT))
        .with(cipher_key(16))
        .with(auth_key(20))
}

pub(super) fn getspi(recorder: &mut Recorder, min: u32, max: u32) -> Message {
    recorder
        .message(Kind::GETSPI, SaType::ESP)
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(CLIENT))
        .with(destination(SERVER))
        .with(Extension::SpiRange(SpiRange { min, max }))
}

pub(super) fn by_spi(recorder: &mut Recorder, kind: Kind, spi: u32) -> Message {
    recorder
        .message(kind, SaType::ESP)
        .with(sa(spi, Cipher::NONE, Auth::NONE, 0))
        .with(source(CLIENT))
        .with(destination(SERVER))
}

pub(super) fn flush(recorder: &mut Recorder) -> io::Result<()> {
    let message = recorder.message(Kind::FLUSH, SaType::UNSPEC);
    recorder.send("a", &message).map(drop)
}

/// Begins with one socket and an empty SADB.
pub(super) fn begin(recorder: &mut Recorder) -> io::Result<()> {
    recorder.heading("an empty SADB");
    recorder.open("a")?;
    flush(recorder)
}

/// REGISTER and what the kernel offers.
///
/// # Errors
/// As all conversations: a broken or forbidden socket.
pub fn register() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    r.heading("REGISTER for ESP tells the algorithms");
    r.open("a")?;
    let message = r.message(Kind::REGISTER, SaType::ESP);
    r.send("a", &message)?;
    r.heading("a second time on the same socket");
    let message = r.message(Kind::REGISTER, SaType::ESP);
    r.send("a", &message)?;
    r.heading("on another socket; both hear of it");
    r.open("b")?;
    let message = r.message(Kind::REGISTER, SaType::ESP);
    r.send("b", &message)?;
    r.heading("for a kind of SA that does not exist");
    let message = r.message(Kind::REGISTER, SaType(77));
    r.send("b", &message)?;
    Ok(r.finish())
}

/// GETSPI, UPDATE, ADD, GET, DUMP, DELETE, FLUSH.
///
/// # Errors
/// See [`register`].
pub fn life() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    begin(&mut r)?;
    r.heading("DUMP of nothing");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    r.heading("another socket hears what is broadcast");
    r.open("b")?;
    r.heading("GETSPI from two SPIs");
    let message = getspi(&mut r, 0x1000, 0x1001);
    let spi = spi_of(&r.send("a", &message)?, 0x1000);
    r.heading("DUMP shows the larval SA");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    r.heading("UPDATE with keys and lifetimes makes it mature");
    let message = inbound(&mut r, Kind::UPDATE, spi)
        .with(Extension::LifetimeHard(lifetime(3600, 0)))
        .with(Extension::LifetimeSoft(lifetime(2880, 0)));
    r.send("a", &message)?;
    r.heading("ADD for the other direction");
    let message = outbound(&mut r, 0xc0de_0001)
        .with(Extension::LifetimeHard(lifetime(3600, 1 << 40)))
        .with(Extension::LifetimeSoft(lifetime(2880, 1 << 39)));
    r.send("a", &message)?;
    r.heading("GET");
    let message = by_spi(&mut r, Kind::GET, spi);
    r.send("a", &message)?;
    r.heading("DUMP of all kinds of SAs");
    let message = r.message(Kind::DUMP, SaType::UNSPEC);
    r.send("a", &message)?;
    r.heading("DELETE");
    let message = by_spi(&mut r, Kind::DELETE, spi);
    r.send("a", &message)?;
    r.heading("FLUSH");
    flush(&mut r)?;
    r.heading("DUMP of nothing again");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    Ok(r.finish())
}

pub(super) fn spi_of(replies: &[Message], otherwise: u32) -> u32 {
    let spi = replies.iter().find_map(|reply| reply.sa().map(|sa| sa.spi));
    spi.unwrap_or(otherwise)
}

/// Every algorithm that ADD takes or refuses.
///
/// # Errors
/// See [`register`].
pub fn algorithms() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    begin(&mut r)?;
    let cases: [(&str, Cipher, usize, Auth, usize); 20] = [
        (
            "AES-CBC-128, SHA-1",
            Cipher::AES_CBC,
            16,
            Auth::SHA1_HMAC,
            20,
        ),
        (
            "AES-CBC-192, SHA2-256",
            Cipher::AES_CBC,
            24,
            Auth::SHA2_256,
            32,
        ),
        (
            "AES-CBC-256, SHA2-384",
            Cipher::AES_CBC,
            32,
            Auth::SHA2_384,
            48,
        ),
        (
            "AES-CBC-256, SHA2-512",
            Cipher::AES_CBC,
            32,
            Auth::SHA2_512,
            64,
        ),
        (
            "AES-CTR-128 with its nonce",
            Cipher::AES_CTR,
            20,
            Auth::SHA1_HMAC,
            20,
        ),
        (
            "AES-GCM-128 with its salt",
            Cipher::AES_GCM_16,
            20,
            Auth::NONE,
            0,
        ),
        (
            "AES-GCM-256 with its salt",
            Cipher::AES_GCM_16,
            36,
            Auth::NONE,
            0,
        ),
        (
            "ChaCha20-Poly1305 with its salt",
            Cipher::CHACHA20_POLY1305,
            36,
            Auth::NONE,
            0,
        ),
        ("NULL, SHA2-256", Cipher::NULL, 0, Auth::SHA2_256, 32),
        (
            "AES-CBC without authentication",
            Cipher::AES_CBC,
            16,
            Auth::NONE,
            0,
        ),
        ("3DES", Cipher::TRIPLE_DES_CBC, 24, Auth::SHA1_HMAC, 20),
        (
            "AES-CBC with a key of 160 bits",
            Cipher::AES_CBC,
            20,
            Auth::SHA1_HMAC,
            20,
        ),
        (
            "AES-GCM without salt",
            Cipher::AES_GCM_16,
            16,
            Auth::NONE,
            0,
        ),
        (
            "AES-GCM with an authentication key",
            Cipher::AES_GCM_16,
            20,
            Auth::SHA1_HMAC,
            20,
        ),
        (
            "SHA-1 with a key of 128 bits",
            Cipher::AES_CBC,
            16,
            Auth::SHA1_HMAC,
            16,
        ),
        ("MD5", Cipher::AES_CBC, 16, Auth(2), 16),
        ("AES-XCBC-MAC", Cipher::AES_CBC, 16, Auth::AES_XCBC_MAC, 16),
        (
            "AES-CBC without a key",
            Cipher::AES_CBC,
            0,
            Auth::SHA1_HMAC,
            20,
        ),
        (
            "SHA-1 without a key",
            Cipher::AES_CBC,
            16,
            Auth::SHA1_HMAC,
            0,
        ),
        ("an unknown cipher", Cipher(99), 16, Auth::SHA1_HMAC, 20),
    ];
    for (number, (name, cipher, cipher_bytes, auth, auth_bytes)) in (1u32..).zip(cases) {
        r.heading(&format!("ADD {name}"));
        let message = r
            .message(Kind::ADD, SaType::ESP)
            .with(sa(0x2000 + number, cipher, auth, 0))
            .with(sa2(Mode::TRANSPORT, 12))
            .with(source(CLIENT))
            .with(destination(SERVER))
            .with_some((cipher_bytes > 0).then(|| cipher_key(cipher_bytes)))
            .with_some((auth_bytes > 0).then(|| auth_key(auth_bytes)));
        r.send("a", &message)?;
    }
    r.heading("FLUSH");
    flush(&mut r)?;
    Ok(r.finish())
}

/// What is refused, and how.
///
/// # Errors
/// See [`register`].
pub fn refusals() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    begin(&mut r)?;
    r.heading("ADD");
    let message = inbound(&mut r, Kind::ADD, 0x3000);
    r.send("a", &message)?;
    r.heading("ADD of the same SPI: EEXIST, and the reply repeats the keys");
    let message = inbound(&mut r, Kind::ADD, 0x3000);
    r.send("a", &message)?;
    r.heading("ADD of the same SPI in the other direction: SPIs are one space");
    let message = outbound(&mut r, 0x3000);
    r.send("a", &message)?;
    r.heading("GETSPI of nothing but a used SPI");
    let message = getspi(&mut r, 0x3000, 0x3000);
    r.send("a", &message)?;
    r.heading("GETSPI of one free SPI");
    let message = getspi(&mut r, 0x3001, 0x3001);
    r.send("a", &message)?;
    r.heading("GETSPI with the bounds exchanged");
    let message = getspi(&mut r, 0x3010, 0x3005);
    r.send("a", &message)?;
    r.heading("GETSPI without destination");
    let message = r
        .message(Kind::GETSPI, SaType::ESP)
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(CLIENT));
    r.send("a", &message)?;
    r.heading("UPDATE of an SPI that nobody has");
    let message = inbound(&mut r, Kind::UPDATE, 0x3fff);
    r.send("a", &message)?;
    r.heading("UPDATE of a mature SA with keys");
    let message = inbound(&mut r, Kind::UPDATE, 0x3000);
    r.send("a", &message)?;
    r.heading("UPDATE of somebody else's larval SA");
    let message = getspi(&mut r, 0x3020, 0x3021);
    let spi = spi_of(&r.send("a", &message)?, 0x3020);
    let mut message = inbound(&mut r, Kind::UPDATE, spi);
    message.pid += 1;
    r.send("a", &message)?;
    r.heading("GET of an SPI that nobody has");
    let message = by_spi(&mut r, Kind::GET, 0x3fff);
    r.send("a", &message)?;
    r.heading("DELETE of an SPI that nobody has");
    let message = by_spi(&mut r, Kind::DELETE, 0x3fff);
    r.send("a", &message)?;
    r.heading("DELETE with another destination");
    let message = r
        .message(Kind::DELETE, SaType::ESP)
        .with(sa(0x3000, Cipher::NONE, Auth::NONE, 0))
        .with(source(CLIENT))
        .with(destination(MOVED));
    r.send("a", &message)?;
    r.heading("DELETE with another source");
    let message = r
        .message(Kind::DELETE, SaType::ESP)
        .with(sa(0x3000, Cipher::NONE, Auth::NONE, 0))
        .with(source(MOVED))
        .with(destination(SERVER));
    r.send("a", &message)?;
    r.heading("ADD with an SPI below 256");
    let message = inbound(&mut r, Kind::ADD, 255);
    r.send("a", &message)?;
    r.heading("ADD with a hard lifetime only");
    let message =
        inbound(&mut r, Kind::ADD, 0x3030).with(Extension::LifetimeHard(lifetime(3600, 0)));
    r.send("a", &message)?;
    r.heading("ADD between address families");
    let message = r
        .message(Kind::ADD, SaType::ESP)
        .with(sa(0x3031, Cipher::AES_CBC, Auth::SHA1_HMAC, 0))
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(IpAddr::V6(Ipv6Addr::LOCALHOST)))
        .with(destination(SERVER))
        .with(cipher_key(16))
        .with(auth_key(20));
    r.send("a", &message)?;
    r.heading("ADD with the source twice");
    let message = inbound(&mut r, Kind::ADD, 0x3032).with(source(CLIENT));
    r.send("a", &message)?;
    r.heading("a message type that does not exist");
    let message = r.message(Kind(99), SaType::ESP);
    r.send("a", &message)?;
    r.heading("a kind of SA that does not exist");
    let message = r.message(Kind::DUMP, SaType(77));
    r.send("a", &message)?;
    r.heading("PCHANGE, which the kernel does not know");
    let message = r.message(Kind::X_PCHANGE, SaType::ESP);
    r.send("a", &message)?;
    r.heading("a message that says it is longer than it is");
    let numbering = pfkey::Numbering::FreeBsd;
    let message = r.message(Kind::DUMP, SaType::ESP);
    let mut bytes = message.emit(numbering).to_vec();
    if let Some(length) = bytes.get_mut(4) {
        *length = 3;
    }
    r.send_bytes("a", bytes)?;
    r.heading("a message of version 1");
    let message = r.message(Kind::DUMP, SaType::ESP);
    let mut bytes = message.emit(numbering).to_vec();
    if let Some(version) = bytes.first_mut() {
        *version = 1;
    }
    r.send_bytes("a", bytes)?;
    r.heading("FLUSH");
    flush(&mut r)?;
    Ok(r.finish())
}

fn nat_t(message: Message, source_port: u16, destination_port: u16) -> Message {
    message
        .with(Extension::NatTType(pfkey::ext::UDP_ENCAP_ESPINUDP))
        .with(Extension::NatTSourcePort(source_port))
        .with(Extension::NatTDestinationPort(destination_port))
}

/// UDP encapsulation, and how an SA follows its peer.
///
/// # Errors
/// See [`register`].
pub fn nat_traversal() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    begin(&mut r)?;
    r.heading("ADD inside UDP, from the client's mapped port to ours");
    let message = inbound(&mut r, Kind::ADD, 0x4001);
    r.send("a", &nat_t(message, 31044, 4500))?;
    r.heading("ADD inside UDP with the client's own address");
    let message = inbound(&mut r, Kind::ADD, 0x4002)
        .with(Extension::NatTOriginalInitiator(Address::host(PRIVATE)))
        .with(Extension::NatTOriginalResponder(Address::host(SERVER)));
    r.send("a", &nat_t(message, 31044, 4500))?;
    r.heading("ADD outbound inside UDP, extended sequence numbers, a window of 1024 packets");
    let message = r
        .message(Kind::ADD, SaType::ESP)
        .with(sa(0xc0de_4003, Cipher::AES_GCM_16, Auth::NONE, 0x400))
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(SERVER))
        .with(destination(CLIENT))
        .with(cipher_key(20))
        .with(Extension::SaReplay(1024));
    r.send("a", &nat_t(message, 4500, 31044))?;
    r.heading("ADD inside UDP without ports");
    let message = inbound(&mut r, Kind::ADD, 0x4004)
        .with(Extension::NatTType(pfkey::ext::UDP_ENCAP_ESPINUDP));
    r.send("a", &message)?;
    r.heading("ADD with ports and without the kind of encapsulation");
    let message = inbound(&mut r, Kind::ADD, 0x4005)
        .with(Extension::NatTSourcePort(31044))
        .with(Extension::NatTDestinationPort(4500));
    r.send("a", &message)?;
    r.heading("ADD inside UDP with port 0");
    let message = inbound(&mut r, Kind::ADD, 0x4006);
    r.send("a", &nat_t(message, 0, 4500))?;
    r.heading("ADD inside UDP of the kind of the drafts");
    let message = inbound(&mut r, Kind::ADD, 0x4007)
        .with(Extension::NatTType(1))
        .with(Extension::NatTSourcePort(31044))
        .with(Extension::NatTDestinationPort(4500));
    r.send("a", &message)?;
    r.heading("ADD inside UDP over IPv6");
    let message = r
        .message(Kind::ADD, SaType::ESP)
        .with(sa(0x4008, Cipher::AES_CBC, Auth::SHA1_HMAC, 0))
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(IpAddr::V6(Ipv6Addr::new(
            0x2001, 0xdb8, 0, 0, 0, 0, 0, 9,
        ))))
        .with(destination(IpAddr::V6(Ipv6Addr::new(
            0x2001, 0xdb8, 0, 0, 0, 0, 0, 4,
        ))))
        .with(cipher_key(16))
        .with(auth_key(20));
    r.send("a", &nat_t(message, 31044, 4500))?;
    r.heading("ADD inside UDP in tunnel mode with the client's own address");
    let message = r
        .message(Kind::ADD, SaType::ESP)
        .with(sa(0x4009, Cipher::AES_CBC, Auth::SHA1_HMAC, 0))
        .with(sa2(Mode::TUNNEL, 12))
        .with(source(CLIENT))
        .with(destination(SERVER))
        .with(cipher_key(16))
        .with(auth_key(20))
        .with(Extension::NatTOriginalInitiator(Address::host(PRIVATE)));
    r.send("a", &nat_t(message, 31044, 4500))?;
    r.heading("DUMP");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    moves(&mut r)?;
    r.heading("FLUSH");
    flush(&mut r)?;
    Ok(r.finish())
}

/// The NAT gives the client of 0x4001 and 0xc0de4003 another port, then another address.
fn moves(r: &mut Recorder) -> io::Result<()> {
    let mature = |r: &mut Recorder, spi, from, to| {
        r.message(Kind::UPDATE, SaType::ESP)
            .with(sa(spi, Cipher::NONE, Auth::NONE, 0))
            .with(sa2(Mode::TRANSPORT, 12))
            .with(source(from))
            .with(destination(to))
    };
    r.heading("UPDATE of the inbound SA: another port");
    let message = mature(r, 0x4001, CLIENT, SERVER);
    r.send("a", &nat_t(message, 31055, 4500))?;
    r.heading("UPDATE of the outbound SA: another port and address");
    let message = mature(r, 0xc0de_4003, SERVER, CLIENT)
        .with(Extension::NewAddressSource(Address::host(SERVER)))
        .with(Extension::NewAddressDestination(Address::host(MOVED)));
    r.send("a", &nat_t(message, 4500, 31055))?;
    r.heading("UPDATE of the inbound SA: another address, given as new source only");
    let message =
        mature(r, 0x4001, CLIENT, SERVER).with(Extension::NewAddressSource(Address::host(MOVED)));
    r.send("a", &nat_t(message, 31055, 4500))?;
    r.heading("UPDATE of the inbound SA: another address, both ends given");
    let message = mature(r, 0x4002, CLIENT, SERVER)
        .with(Extension::NewAddressSource(Address::host(MOVED)))
        .with(Extension::NewAddressDestination(Address::host(SERVER)));
    r.send("a", &nat_t(message, 31055, 4500))?;
    r.heading("UPDATE that changes nothing but lifetimes");
    let message = mature(r, 0x4001, CLIENT, SERVER)
        .with(Extension::LifetimeHard(lifetime(600, 0)))
        .with(Extension::LifetimeSoft(lifetime(480, 0)));
    r.send("a", &message)?;
    r.heading("UPDATE that changes nothing at all");
    let message = mature(r, 0xc0de_4003, SERVER, MOVED);
    r.send("a", &message)?;
    r.heading("DUMP");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message).map(drop)
}

/// Lifetimes: EXPIRE at the soft one, EXPIRE and the end of the SA at the hard one.
///
/// # Errors
/// See [`register`].
pub fn expire() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    begin(&mut r)?;
    r.heading("another socket is registered, a third is not");
    r.open("b")?;
    let message = r.message(Kind::REGISTER, SaType::ESP);
    r.send("b", &message)?;
    r.open("c")?;
    r.heading("an SA of two seconds and one of four");
    let message = inbound(&mut r, Kind::ADD, 0x5000)
        .with(Extension::LifetimeHard(lifetime(4, 0)))
        .with(Extension::LifetimeSoft(lifetime(2, 0)));
    r.send("a", &message)?;
    let message = outbound(&mut r, 0x5001)
        .with(Extension::LifetimeHard(lifetime(60, 0)))
        .with(Extension::LifetimeSoft(lifetime(2, 0)));
    let message = nat_t(message, 4500, 31044);
    r.send("a", &message)?;
    r.wait(Duration::from_millis(3300))?;
    r.heading("DUMP shows dying SAs");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    r.wait(Duration::from_millis(2500))?;
    r.heading("DUMP shows the one that is left");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    r.heading("FLUSH");
    flush(&mut r)?;
    Ok(r.finish())
}
