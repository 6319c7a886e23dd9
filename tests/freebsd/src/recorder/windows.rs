//! Conversations about replay windows: `sadb_sa_replay` counts octets of a bitmap and ends at 255;
//! larger windows have `SADB_X_EXT_SA_REPLAY`, which counts packets (FreeBSD's `key_setsaval`).

use std::io;

use pfkey::{AuthenticationAlgorithm as Auth, EncryptionAlgorithm as Cipher};
use pfkey::{Extension, MessageType as Kind, Mode, Sa, SaState, SaType};

use super::pfkey::Recorder;
use super::sa::{
    CLIENT, SERVER, auth_key, begin, by_spi, cipher_key, destination, flush, getspi, inbound, sa2,
    source, spi_of,
};
use crate::Line;

/// Windows of one packet to a million, what GET says of them, and the refusal of more than there
/// can be.
///
/// # Errors
/// A broken or forbidden socket.
pub fn windows() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    begin(&mut r)?;
    let windows: [(u32, u32); 9] = [
        (0x6000, 0),
        (0x6001, 1),
        (0x6002, 64),
        (0x6003, 100),
        (0x6004, 2040),
        (0x6005, 2048),
        (0x6006, 4096),
        (0x6007, 65_536),
        (0x6008, 1 << 20),
    ];
    for (spi, packets) in windows {
        r.heading(&format!("a window of {packets} packets"));
        let message = inbound(&mut r, Kind::ADD, spi).with(Extension::SaReplay(packets));
        r.send("a", &message)?;
        let message = by_spi(&mut r, Kind::GET, spi);
        r.send("a", &message)?;
    }
    r.heading("a window of 255 octets in the SA extension");
    let message = r
        .message(Kind::ADD, SaType::ESP)
        .with(Extension::Sa(Sa {
            spi: 0x6009,
            replay: 255,
            state: SaState::MATURE,
            authentication: Auth::SHA1_HMAC,
            encryption: Cipher::AES_CBC,
            flags: 0,
        }))
        .with(sa2(Mode::TRANSPORT, 12))
        .with(source(CLIENT))
        .with(destination(SERVER))
        .with(cipher_key(16))
        .with(auth_key(20));
    r.send("a", &message)?;
    let message = by_spi(&mut r, Kind::GET, 0x6009);
    r.send("a", &message)?;
    r.heading("a window larger than 32 bits can number");
    let message = inbound(&mut r, Kind::ADD, 0x600a).with(Extension::SaReplay(u32::MAX - 31));
    r.send("a", &message)?;
    r.heading("UPDATE of a larval SA with a window of 4096 packets");
    let message = getspi(&mut r, 0x6010, 0x6011);
    let spi = spi_of(&r.send("a", &message)?, 0x6010);
    let message = inbound(&mut r, Kind::UPDATE, spi).with(Extension::SaReplay(4096));
    r.send("a", &message)?;
    let message = by_spi(&mut r, Kind::GET, spi);
    r.send("a", &message)?;
    r.heading("DUMP");
    let message = r.message(Kind::DUMP, SaType::ESP);
    r.send("a", &message)?;
    r.heading("FLUSH");
    flush(&mut r)?;
    Ok(r.finish())
}
