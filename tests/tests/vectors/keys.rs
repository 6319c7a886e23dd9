//! Decrypted with published keys.

use std::time::Instant;

use hex_literal::hex;
use ike_crypto::{Cipher, Hash, Iv, phase1_iv, phase2_iv, prf};
use ike_proto::iana::PayloadType;
use ike_proto::wire::chain::Chain;
use ike_proto::wire::header::Header;
use pfkey::{AuthenticationAlgorithm, EncryptionAlgorithm, Key, Mode, Numbering, SaRequest};
use ppp_proto::auth::mschapv2::Response;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use softkernel::ipsec::{Config, Drop, InboundEsp, Ipsec};

use crate::kernel::{address, transport_sa};
use crate::named;

/// Types of the payloads of a message, decrypted when there is a key.
fn payloads(message: &[u8], key: Option<(Cipher, &[u8], Iv)>) -> (Vec<u8>, Option<Iv>) {
    let (header, body) = Header::parse(message).unwrap();
    let mut body = body.to_vec();
    let next = key.map(|(cipher, key, iv)| cipher.decrypt(key, &iv, &mut body).unwrap());
    let chain = Chain::parse_padded(header.next_payload, &body).unwrap();
    let types = chain.payloads().iter().map(|payload| payload.kind.0);
    (types.collect(), next)
}

/// The KE payload of a message in the clear.
fn ke(message: &[u8]) -> Vec<u8> {
    let (header, body) = Header::parse(message).unwrap();
    let chain = Chain::parse(header.next_payload, body).unwrap();
    chain.one(PayloadType::KE).unwrap().to_vec()
}

/// Wireshark's `ikev1-certs.pcap` with the key of its decryption table: 3DES, MD5, RSA signatures.
#[test]
fn wiresharks_main_mode_with_certificates() {
    let messages = named("ike", "ikev1-certs");
    let [mm1, mm2, mm3, mm4, mm5, mm6, qm1] = &messages[..] else {
        panic!()
    };
    for clear in [mm1, mm2] {
        assert_eq!(payloads(clear, None).0[0], 1, "SA");
    }
    let cipher = Cipher::TripleDes;
    let key = hex!("735be0cb62f82675c4f7bf8fbab9b56834ba76d6ab4fa240");
    let iv = phase1_iv(Hash::Md5, cipher, &ke(mm3), &ke(mm4)).unwrap();
    assert_eq!(iv, Iv::new(&hex!("f39411fd5481b85c")).unwrap());
    let (types, iv) = payloads(mm5, Some((cipher, &key, iv)));
    assert_eq!((types[0], types[1]), (5, 6), "ID, CERT");
    assert!(types.contains(&9), "SIG");
    let (types, iv) = payloads(mm6, Some((cipher, &key, iv.unwrap())));
    assert_eq!((types[0], types[1]), (5, 6));
    assert!(types.contains(&9));
    let id = u32::from_be_bytes(qm1[20..24].try_into().unwrap());
    let iv = phase2_iv(Hash::Md5, cipher, &iv.unwrap(), id).unwrap();
    let (types, _) = payloads(qm1, Some((cipher, &key, iv)));
    assert_eq!(types[..3], [8, 1, 10], "HASH, SA, nonce");
}

/// Ruhr University Bochum, `EncryptedISAKMPMessageTest`: AES-128, a notification.
#[test]
fn bochums_encrypted_message() {
    let message = hex!(
        "05041c1d00fd6eff2e9ac75cd77f5cc6081005015c9704a70000004c"
        "03ea6c1d88aa6ca97a94ff3f2c641c1542c69e66d5b8e9965fea0a19eae77985"
        "d22f9acb0164b32223c9b3b384b67516"
    );
    let key = hex!("c9fc2bdbd56171be58c4abd940e5d58e");
    let iv = Iv::new(&hex!("3d374a012e6bbc7ad042f15490f403b1")).unwrap();
    let (types, _) = payloads(&message, Some((Cipher::Aes128, &key, iv)));
    assert_eq!(types, [8, 11], "HASH, notification");
}

/// Ruhr University Bochum, `ESPMessageTest`: a packet in tunnel mode with AES-128 and HMAC-SHA-1,
/// given to the kernel; and with one octet of its ICV changed.
#[test]
fn bochums_esp_packet() {
    let packet = hex!(
        "c6494f6100000001173250acefbfe2e43b769697701347ba745dc8a99379ac04"
        "2280924deb4a6e63da66513996098e0cd046d7c8c839cfd779eafcb6ac8cf25c"
        "3bf84a4dcbf7dcf9bb53725c2b2785c76c4c3fab"
    );
    let inner =
        hex!("45000028966700004006cd670a0001010a000201cbc00016c978662800000000500272102b590000");
    let keys = SaKeys {
        cipher: (
            EncryptionAlgorithm::AES_CBC,
            &hex!("bd30891c6cb5f9a353be9184897260c9"),
        ),
        sha1: &hex!("d42291170f2c984835553a1b83373735723fe256"),
    };
    let mut wrong = packet;
    wrong[72] = 0;
    assert_eq!(receive(&keys, &wrong), Err(Drop::Authentication));
    assert_eq!(receive(&keys, &packet), Ok((4, inner.to_vec())));
}

/// An SA in tunnel mode.
struct SaKeys<'a> {
    cipher: (EncryptionAlgorithm, &'a [u8]),
    sha1: &'a [u8],
}

/// What the kernel finds in a packet of an SA with these keys: next header and payload.
fn receive(keys: &SaKeys<'_>, packet: &[u8]) -> Result<(u8, Vec<u8>), Drop> {
    let (from, to) = (address("192.0.2.1:0"), address("192.0.2.2:0"));
    let spi = u32::from_be_bytes(packet[..4].try_into().unwrap());
    let sa = SaRequest {
        mode: Mode::TUNNEL,
        encryption: keys.cipher.0,
        encryption_key: Key::new(keys.cipher.1),
        authentication: AuthenticationAlgorithm::SHA1_HMAC,
        authentication_key: Some(Key::new(keys.sha1)),
        ..transport_sa(spi, from, to, 1)
    };
    let now = Instant::now();
    let mut ipsec = Ipsec::new(now, Config::default());
    let socket = ipsec.open_socket();
    let request = pfkey::Client::new(Numbering::FreeBsd, 1).add(&sa);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    ipsec.request(now, 0, socket, &request.bytes, &mut rng);
    let from = InboundEsp {
        source: from,
        destination: to,
        encapsulated: false,
    };
    let mut packet = packet.to_vec();
    let received = ipsec.input(now, 0, from, &mut packet)?;
    Ok((received.next_header, packet[received.payload].to_vec()))
}

/// What the kernel finds in a packet with 3DES whose authentication key is not known: it gets
/// another ICV.
fn open_3des(packet: &[u8], key: &[u8; 24]) -> (u8, Vec<u8>) {
    let sha1 = [0x0b; 20];
    let (signed, _) = packet.split_at(packet.len() - 12);
    let icv = prf(Hash::Sha1, &sha1, &[signed]);
    let keys = SaKeys {
        cipher: (EncryptionAlgorithm::TRIPLE_DES_CBC, key),
        sha1: &sha1,
    };
    receive(&keys, &[signed, &icv.expose()[..12]].concat()).unwrap()
}

/// tcpdump's `02-sunrise-sunset-esp` and `08-…-esp2` with the keys of `esp-secrets.txt` and
/// `esp1.gdbinit`: a ping in a tunnel, and in a tunnel in a tunnel.
#[test]
fn tcpdumps_esp_packets() {
    let inner = |packet: &[u8]| (packet[9], packet[12..16].to_vec(), packet[16..20].to_vec());
    let ping = (1, vec![192, 0, 2, 1], vec![192, 0, 1, 1]);
    let key = hex!("4043434545464649494a4a4c4c4f4f515152525454575758");
    for packet in named("esp", "02-sunrise-sunset-esp") {
        let (next, payload) = open_3des(&packet, &key);
        assert_eq!((next, inner(&payload)), (4, ping.clone()));
    }
    let outside = hex!("43434545464649494a4a4c4c4f4f51515252545457575840");
    let inside = hex!("434545464649494a4a4c4c4f4f5151525254545757584043");
    for packet in named("esp", "08-sunrise-sunset-esp2") {
        let (next, payload) = open_3des(&packet, &outside);
        assert_eq!((next, payload[9]), (4, 50), "ESP in ESP");
        let (next, payload) = open_3des(&payload[20..], &inside);
        assert_eq!((next, inner(&payload)), (4, ping.clone()));
    }
}

/// A live login of Windows 7: the password is not known, the shape of its Response is.
#[test]
fn windows_7_logs_in() {
    let value = hex!(
        "e1bfb23120e8f7cc7b8de48786c9553f 0000000000000000"
        "dd8eb9435cbfeb303e67b1a6694df5cd29e143b384924387 00"
    );
    let response = Response::parse(&value).unwrap();
    assert_eq!(response.peer_challenge, value[..16]);
    assert_eq!(response.nt_response, value[24..48]);
    assert_eq!(response.emit(), value);
}
