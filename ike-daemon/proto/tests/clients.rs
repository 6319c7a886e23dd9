//! What real clients offer, byte for byte in their order and encodings, and what they must get:
//! ChromeOS, Windows, macOS, Android, TunnelForge, RouterOS, the MR400.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pair;

use std::net::SocketAddr;
use std::time::Duration;

use ike_crypto::{Cipher, Group, Hash};
use ike_proto::Endpoint;
use ike_proto::carrier::{Carriers, Demand};
use ike_proto::error::Refusal;
use ike_proto::iana::{EncapsulationMode, EspAuth, EspTransform, ExchangeType, PayloadType};
use ike_proto::iana::{NotifyType, ProtocolId};
use ike_proto::io::{Datagram, Event, Output, Transmit};
use ike_proto::negotiate::{Kernels, Phase2Choice, Phase2Context, choose_phase1, choose_phase2};
use ike_proto::policy::{Phase1Policy, Phase2Policy};
use ike_proto::vendor::{self, NatVariant};
use ike_proto::wire::attribute::{Attribute, Value};
use ike_proto::wire::chain::{Builder, Chain};
use ike_proto::wire::header::Header;
use ike_proto::wire::notification::Notification;
use ike_proto::wire::proposal::Proposal;
use ike_proto::wire::sa::SaPayload;
use ike_proto::wire::transform::Transform;
use pair::quick_policy;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const AES: u16 = 7;
const TRIPLE_DES: u16 = 5;
const MD5: u16 = 1;
const SHA1: u16 = 2;
const SHA256: u16 = 4;
const SHA384: u16 = 5;
const SHA512: u16 = 6;

/// How a client writes a phase 1 transform.
#[derive(Clone, Copy)]
enum Style {
    /// ENC, KEYLEN, HASH, GROUP, AUTH, life as TV.
    StrongSwan(u16),
    /// ENC, KEYLEN, HASH, GROUP, AUTH, life as TLV of four octets.
    Windows,
    /// Life first, then ENC, KEYLEN, AUTH, HASH, GROUP.
    Racoon(u16),
    /// No lifetime.
    TunnelForge,
}

fn suite(cipher: u16, bits: u16, hash: u16, group: u16) -> (u16, u16, u16, u16) {
    (cipher, bits, hash, group)
}

fn phase1_attributes(style: Style, method: u16, s: (u16, u16, u16, u16)) -> Vec<Attribute> {
    let (cipher, bits, hash, group) = s;
    let mut enc = vec![Attribute::short(1, cipher)];
    if bits != 0 {
        enc.push(Attribute::short(14, bits));
    }
    let life = |value: Value| vec![Attribute::short(11, 1), Attribute { class: 12, value }];
    let hash = Attribute::short(2, hash);
    let group = Attribute::short(4, group);
    let auth = Attribute::short(3, method);
    match style {
        Style::StrongSwan(seconds) => {
            [enc, vec![hash, group, auth], life(Value::Short(seconds))].concat()
        }
        Style::Windows => [
            enc,
            vec![hash, group, auth],
            life(Value::Long(vec![0, 0, 0x70, 0x80])),
        ]
        .concat(),
        Style::Racoon(seconds) => {
            [life(Value::Short(seconds)), enc, vec![auth, hash, group]].concat()
        }
        Style::TunnelForge => [enc, vec![hash, group, auth]].concat(),
    }
}

fn phase1_offer(style: Style, suites: &[(u16, u16, u16, u16)]) -> SaPayload {
    let transforms = (1u8..)
        .zip(suites)
        .map(|(number, s)| Transform::new(number, 1, &phase1_attributes(style, 1, *s)))
        .collect();
    SaPayload {
        proposals: vec![Proposal {
            number: 1,
            protocol: ProtocolId::ISAKMP,
            spi: Vec::new(),
            transforms,
        }],
    }
}

fn chromeos() -> SaPayload {
    let mut sa = phase1_offer(
        Style::StrongSwan(15_840),
        &[
            suite(AES, 128, SHA256, 15),
            suite(AES, 128, SHA1, 14),
            suite(TRIPLE_DES, 0, SHA1, 5),
            suite(TRIPLE_DES, 0, SHA1, 2),
            suite(AES, 128, SHA256, 19),
        ],
    );
    // The AEAD default, which IKEv1 cannot express: group, method and lifetime only.
    let broken = [
        Attribute::short(4, 19),
        Attribute::short(3, 1),
        Attribute::short(11, 1),
        Attribute::short(12, 15_840),
    ];
    sa.proposals[0]
        .transforms
        .push(Transform::new(6, 1, &broken));
    sa
}

fn windows() -> SaPayload {
    phase1_offer(
        Style::Windows,
        &[
            suite(AES, 256, SHA1, 20),
            suite(AES, 128, SHA1, 19),
            suite(AES, 256, SHA1, 14),
            suite(TRIPLE_DES, 0, SHA1, 14),
            suite(TRIPLE_DES, 0, SHA1, 2),
        ],
    )
}

fn macos() -> SaPayload {
    let mut suites = Vec::new();
    for hash in [SHA256, SHA1, MD5, SHA512] {
        suites.push(suite(AES, 256, hash, 14));
    }
    for group in [5, 2] {
        for hash in [SHA256, SHA1, MD5] {
            suites.push(suite(AES, 256, hash, group));
        }
    }
    for (cipher, bits) in [(AES, 128), (TRIPLE_DES, 0)] {
        for hash in [SHA1, MD5] {
            suites.push(suite(cipher, bits, hash, 2));
        }
    }
    assert_eq!(suites.len(), 14);
    phase1_offer(Style::Racoon(3600), &suites)
}

fn android() -> SaPayload {
    let mut suites = Vec::new();
    for hash in [SHA384, SHA256, SHA512, SHA1, MD5] {
        suites.push(suite(AES, 256, hash, 2));
    }
    for hash in [SHA512, SHA384, SHA256, SHA1, MD5] {
        suites.push(suite(AES, 128, hash, 2));
    }
    for cipher in [TRIPLE_DES, 1] {
        for hash in [SHA256, SHA1, MD5] {
            suites.push(suite(cipher, 0, hash, 2));
        }
    }
    phase1_offer(Style::Racoon(28_800), &suites)
}

fn tunnelforge() -> SaPayload {
    phase1_offer(
        Style::TunnelForge,
        &[suite(AES, 128, SHA1, 14), suite(TRIPLE_DES, 0, SHA1, 14)],
    )
}

/// The number of the transform chosen; the answer must be that transform, octet for octet.
fn chosen(sa: &SaPayload, policy: &Phase1Policy) -> Result<u8, Refusal> {
    // Through the wire, as a server reads it.
    let sa = SaPayload::parse(&sa.body()).unwrap();
    let choice = choose_phase1(&sa, policy, &[ike_proto::policy::Method::Psk])?;
    let answer = SaPayload::parse(&choice.answer).unwrap();
    assert_eq!(answer.proposals.len(), 1);
    assert_eq!(answer.proposals[0].transforms.len(), 1);
    let transform = &answer.proposals[0].transforms[0];
    let offered = sa.proposals[0]
        .transforms
        .iter()
        .find(|offered| offered.number == transform.number)
        .unwrap();
    assert_eq!(offered.raw(), transform.raw());
    assert_eq!(answer.proposals[0].number, sa.proposals[0].number);
    Ok(transform.number)
}

#[test]
fn phase_1_lists_get_their_first_good_transform() {
    let policy = Phase1Policy::default();
    assert_eq!(chosen(&chromeos(), &policy), Ok(1));
    assert_eq!(chosen(&windows(), &policy), Ok(1));
    assert_eq!(chosen(&macos(), &policy), Ok(1));
    assert_eq!(chosen(&tunnelforge(), &policy), Ok(1));
    assert_eq!(chosen(&android(), &policy), Err(Refusal::OnlyModp1024));
    let weak = Phase1Policy {
        allow_modp1024: true,
        ..Phase1Policy::default()
    };
    assert_eq!(chosen(&android(), &weak), Ok(1));
}

#[test]
fn transforms_that_are_not_allowed_are_walked_past() {
    let only = |ciphers: &[Cipher], hashes: &[Hash], groups: &[Group]| Phase1Policy {
        ciphers: ciphers.to_vec(),
        hashes: hashes.to_vec(),
        groups: groups.to_vec(),
        ..Phase1Policy::default()
    };
    let modp2048 = only(
        &[Cipher::Aes128, Cipher::Aes256],
        &[Hash::Sha1],
        &[Group::Modp2048],
    );
    assert_eq!(chosen(&chromeos(), &modp2048), Ok(2));
    assert_eq!(
        chosen(&windows(), &modp2048),
        Ok(3),
        "ECP groups are no reason to stop"
    );
    assert_eq!(chosen(&macos(), &modp2048), Ok(2));
    let last = only(&[Cipher::TripleDes], &[Hash::Sha1], &[Group::Modp2048]);
    assert_eq!(chosen(&windows(), &last), Ok(4));
    // Only the malformed sixth is left: refused, not crashed.
    let none = only(&[Cipher::Aes256], &[Hash::Sha512], &[Group::Ecp256]);
    assert_eq!(chosen(&chromeos(), &none), Err(Refusal::NoPhase1Proposal));
    let sixth = {
        let mut sa = chromeos();
        sa.proposals[0].transforms.rotate_right(1);
        sa
    };
    assert_eq!(
        chosen(&sixth, &Phase1Policy::default()),
        Ok(1),
        "wherever it stands"
    );
}

#[test]
fn xauth_methods_are_walked_past() {
    let mut sa = tunnelforge();
    let xauth = Transform::new(
        9,
        1,
        &phase1_attributes(Style::TunnelForge, 65_001, suite(AES, 128, SHA1, 14)),
    );
    sa.proposals[0].transforms.insert(0, xauth.clone());
    assert_eq!(chosen(&sa, &Phase1Policy::default()), Ok(1));
    sa.proposals[0].transforms = vec![xauth];
    assert_eq!(
        chosen(&sa, &Phase1Policy::default()),
        Err(Refusal::OnlyXauth)
    );
}

#[test]
fn lifetimes_in_every_encoding() {
    let mut sa = tunnelforge();
    for (value, seconds) in [
        (Value::Short(3600), Some(3600)),
        (Value::Long(vec![0x70, 0x80]), Some(28_800)),
        (Value::Long(vec![0, 1, 0x51, 0x80]), Some(86_400)),
        (Value::Long(vec![1, 0x51, 0x80]), Some(86_400)),
        (Value::Long(vec![0xff; 4]), Some(u64::from(u32::MAX))),
        (
            Value::Long(vec![0, 0, 0, 0, 0, 1, 0x51, 0x80]),
            Some(86_400),
        ),
        (Value::Long(vec![0xff; 9]), None),
        (Value::Long(vec![]), None),
        (Value::Short(0), None),
    ] {
        let mut attributes = phase1_attributes(Style::TunnelForge, 1, suite(AES, 128, SHA1, 14));
        // Kilobytes first, then seconds: several pairs are allowed.
        attributes.push(Attribute::short(11, 2));
        attributes.push(Attribute::short(12, 999));
        attributes.push(Attribute::short(11, 1));
        attributes.push(Attribute { class: 12, value });
        sa.proposals[0].transforms = vec![Transform::new(1, 1, &attributes)];
        let sa = SaPayload::parse(&sa.body()).unwrap();
        let choice = choose_phase1(
            &sa,
            &Phase1Policy::default(),
            &[ike_proto::policy::Method::Psk],
        )
        .unwrap();
        assert_eq!(choice.lifetime, seconds.map(Duration::from_secs));
    }
}

// Phase 2.

const TRANSPORT: u16 = 2;
const UDP_TRANSPORT: u16 = 4;
const UDP_TRANSPORT_DRAFT: u16 = 61_444;

fn nat() -> Phase2Context {
    Phase2Context {
        natt: NatVariant::Rfc3947,
        nat_detected: true,
        ke_len: None,
        may_cut_sha256: false,
    }
}

fn no_nat() -> Phase2Context {
    Phase2Context {
        nat_detected: false,
        ..nat()
    }
}

/// (transform id, key bits, authentication)
type Esp = (u8, u16, u16);

const CHROMEOS_ESP: [Esp; 5] = [
    (20, 128, 0),
    (12, 128, 5),
    (12, 128, 2),
    (3, 0, 2),
    (3, 0, 1),
];
const WINDOWS_ESP: [Esp; 5] = [(12, 256, 2), (12, 128, 2), (3, 0, 2), (2, 0, 2), (11, 0, 2)];

fn esp_attributes(esp: Esp, mode: u16, group: Option<u16>) -> Vec<Attribute> {
    let (_, bits, auth) = esp;
    let mut attributes = Vec::new();
    if bits != 0 {
        attributes.push(Attribute::short(6, bits));
    }
    if auth != 0 {
        attributes.push(Attribute::short(5, auth));
    }
    if let Some(group) = group {
        attributes.push(Attribute::short(3, group));
    }
    attributes.push(Attribute::short(4, mode));
    attributes.push(Attribute::short(1, 1));
    attributes.push(Attribute::short(2, 3600));
    attributes
}

fn esp_offer(suites: &[Esp], mode: u16, group: Option<u16>) -> SaPayload {
    let transforms = (1u8..)
        .zip(suites)
        .map(|(number, esp)| Transform::new(number, esp.0, &esp_attributes(*esp, mode, group)))
        .collect();
    SaPayload {
        proposals: vec![Proposal {
            number: 1,
            protocol: ProtocolId::ESP,
            spi: vec![0xc0, 0, 0, 1],
            transforms,
        }],
    }
}

/// Windows: each suite its own proposal; seconds and kilobytes as TLV.
fn windows_esp(mode: u16) -> SaPayload {
    let proposals = (1u8..)
        .zip(WINDOWS_ESP)
        .map(|(number, esp)| {
            let mut attributes = esp_attributes(esp, mode, None);
            attributes.truncate(attributes.len() - 2);
            attributes.push(Attribute::short(1, 1));
            attributes.push(Attribute {
                class: 2,
                value: Value::Long(vec![0, 0, 0x0e, 0x10]),
            });
            attributes.push(Attribute::short(1, 2));
            attributes.push(Attribute {
                class: 2,
                value: Value::Long(vec![0, 3, 0xd0, 0x90]),
            });
            Proposal {
                number,
                protocol: ProtocolId::ESP,
                spi: vec![0x12, 0x34, 0x56, number],
                transforms: vec![Transform::new(1, esp.0, &attributes)],
            }
        })
        .collect();
    SaPayload { proposals }
}

/// What a host with softkernel alone chooses.
fn choose_esp(
    sa: &SaPayload,
    policy: &Phase2Policy,
    context: &Phase2Context,
) -> Result<Phase2Choice, Refusal> {
    let kernels = Kernels {
        carriers: &Carriers::default(),
        demand: Demand::default(),
    };
    choose_phase2(sa, policy, context, &kernels).map(|(choice, _)| choice)
}

#[test]
fn phase_2_lists_get_their_first_good_transform() {
    let policy = Phase2Policy::default();
    let sa = SaPayload::parse(&esp_offer(&CHROMEOS_ESP, UDP_TRANSPORT, None).body()).unwrap();
    let choice = choose_esp(&sa, &policy, &nat()).unwrap();
    assert_eq!(choice.suite.cipher, EspTransform::AES_GCM_16);
    assert_eq!(choice.spi, 0xc000_0001);
    assert_eq!(choice.proposal.transforms[0], sa.proposals[0].transforms[0]);

    let mut no_gcm = Phase2Policy::default();
    no_gcm
        .suites
        .retain(|suite| suite.cipher != EspTransform::AES_GCM_16);
    let choice = choose_esp(&sa, &no_gcm, &nat()).unwrap();
    assert_eq!(
        choice.suite.auth,
        EspAuth::HMAC_SHA2_256,
        "a server without GCM goes on"
    );

    let sa = SaPayload::parse(&windows_esp(UDP_TRANSPORT).body()).unwrap();
    let choice = choose_esp(&sa, &policy, &nat()).unwrap();
    assert_eq!(
        (choice.suite.key_bits, choice.suite.auth),
        (256, EspAuth::HMAC_SHA1)
    );
    assert_eq!(choice.lifetime, Some(Duration::from_secs(3600)));
    assert_eq!(choice.kilobytes, Some(250_000));
    assert_eq!(choice.mode, EncapsulationMode::UDP_TRANSPORT);
    let mut only_128 = Phase2Policy::default();
    only_128.suites.retain(|suite| suite.key_bits == 128);
    let choice = choose_esp(&sa, &only_128, &nat()).unwrap();
    assert_eq!(choice.spi, 0x1234_5602, "the SPI of the proposal chosen");
}

#[test]
fn encapsulation_modes_follow_the_nat() {
    let policy = Phase2Policy::default();
    let choose = |mode, context: &Phase2Context| {
        let sa = esp_offer(&CHROMEOS_ESP, mode, None);
        choose_esp(&sa, &policy, context).map(|choice| choice.mode)
    };
    let draft = Phase2Context {
        natt: NatVariant::Draft,
        ..nat()
    };
    let none = Phase2Context {
        natt: NatVariant::None,
        ..no_nat()
    };
    assert_eq!(
        choose(UDP_TRANSPORT, &nat()),
        Ok(EncapsulationMode::UDP_TRANSPORT)
    );
    assert_eq!(
        choose(UDP_TRANSPORT_DRAFT, &draft),
        Ok(EncapsulationMode::UDP_TRANSPORT_DRAFT)
    );
    assert_eq!(
        choose(TRANSPORT, &no_nat()),
        Ok(EncapsulationMode::TRANSPORT)
    );
    assert_eq!(
        choose(UDP_TRANSPORT, &no_nat()),
        Ok(EncapsulationMode::UDP_TRANSPORT)
    );
    assert_eq!(choose(TRANSPORT, &nat()), Err(Refusal::NoPhase2Proposal));
    assert_eq!(choose(UDP_TRANSPORT, &none), Err(Refusal::NoPhase2Proposal));
    assert_eq!(
        choose(1, &no_nat()),
        Err(Refusal::NoPhase2Proposal),
        "tunnel is not on offer"
    );
    assert_eq!(choose(7, &no_nat()), Err(Refusal::NoPhase2Proposal));
}

#[test]
fn pfs_is_granted_when_asked_for() {
    let policy = Phase2Policy::default();
    // RouterOS asks for MODP 1024.
    let router = esp_offer(
        &[(12, 256, 2), (12, 192, 2), (12, 128, 2)],
        TRANSPORT,
        Some(2),
    );
    let with_ke = Phase2Context {
        ke_len: Some(128),
        ..no_nat()
    };
    let choice = choose_esp(&router, &policy, &with_ke).unwrap();
    assert_eq!(choice.pfs, Some(Group::Modp1024));
    assert!(
        choose_esp(&router, &policy, &no_nat()).is_err(),
        "a group without KE payload"
    );
    // More is missing than a few leading zeros.
    let wrong = Phase2Context {
        ke_len: Some(123),
        ..no_nat()
    };
    assert!(choose_esp(&router, &policy, &wrong).is_err());
    // A KE payload that no transform asked for.
    let plain = esp_offer(&CHROMEOS_ESP, TRANSPORT, None);
    assert!(choose_esp(&plain, &policy, &with_ke).is_err());
}

#[test]
fn bundles_bad_spis_and_unknown_suites_are_walked_past() {
    let policy = Phase2Policy::default();
    let good = esp_offer(&[(12, 128, 2)], TRANSPORT, None)
        .proposals
        .remove(0);
    let mut with_ipcomp = vec![good.clone(), good.clone(), good.clone()];
    with_ipcomp[0].number = 1;
    with_ipcomp[1].number = 1;
    with_ipcomp[1].protocol = ProtocolId::IPCOMP;
    with_ipcomp[2].number = 2;
    with_ipcomp[2].spi = vec![9, 9, 9, 9];
    let sa = SaPayload {
        proposals: with_ipcomp,
    };
    assert_eq!(
        choose_esp(&sa, &policy, &no_nat()).unwrap().spi,
        0x0909_0909
    );
    for spi in [
        vec![],
        vec![1],
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 255],
        vec![1; 5],
        vec![1; 255],
    ] {
        let sa = SaPayload {
            proposals: vec![Proposal {
                spi,
                ..good.clone()
            }],
        };
        assert!(choose_esp(&sa, &policy, &no_nat()).is_err());
    }
    // Every ESP transform with every authentication: GMAC, NULL, NONE and the like never get in.
    for id in 0..=255u8 {
        for auth in 0..=20u16 {
            let sa = esp_offer(&[(id, 128, auth)], TRANSPORT, None);
            if let Ok(choice) = choose_esp(&sa, &policy, &no_nat()) {
                let gcm = id == 20 && auth == 0;
                let cbc = id == 12 && [2, 5, 6, 7].contains(&auth);
                assert!(gcm || cbc, "{:?}", choice.suite);
            }
        }
    }
    for bits in [1, 64, 127, 129, 255, 257, 512, 65_535] {
        let sa = esp_offer(&[(12, bits, 2)], TRANSPORT, None);
        assert!(choose_esp(&sa, &policy, &no_nat()).is_err());
    }
}

// Whole first messages.

fn first_message(sa: &SaPayload, vendor_ids: &[&[u8]]) -> Vec<u8> {
    let mut chain = Builder::new();
    chain.push(PayloadType::SA, sa.body());
    for id in vendor_ids {
        chain.push(PayloadType::VENDOR_ID, *id);
    }
    let header = Header {
        initiator_cookie: *b"\x11\x22\x33\x44\x55\x66\x77\x88",
        responder_cookie: [0; 8],
        next_payload: PayloadType::SA,
        exchange: ExchangeType::MAIN_MODE,
        flags: 0,
        message_id: 0,
    };
    header.emit(&chain.emit())
}

struct Server {
    endpoint: Endpoint,
    rng: ChaCha20Rng,
    now: std::time::Instant,
    events: Vec<Event>,
}

impl Server {
    fn new() -> Self {
        let policy = ike_proto::Policy {
            secrets: vec![pair::secret()],
            ..Default::default()
        };
        Self {
            endpoint: Endpoint::new(policy),
            rng: ChaCha20Rng::seed_from_u64(1),
            now: std::time::Instant::now(),
            events: Vec::new(),
        }
    }

    fn receive(&mut self, peer: &str, natt_port: bool, payload: &[u8]) -> Vec<Transmit> {
        let port = if natt_port { 4500 } else { 500 };
        let local = SocketAddr::new(pair::SERVER.parse().unwrap(), port);
        let peer = peer.parse().unwrap();
        let datagram = Datagram {
            local,
            peer,
            natt_port,
            payload,
        };
        self.endpoint
            .handle_datagram(self.now, datagram, &mut self.rng);
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit),
                Output::Event(event) => self.events.push(event),
                other => panic!("{other:?}"),
            }
        }
        sent
    }
}

fn fragmentation_with_capability() -> Vec<u8> {
    [vendor::FRAGMENTATION, &[0x80, 0, 0, 0]].concat()
}

#[test]
fn mm2_answers_vendor_ids_and_is_no_longer_than_mm1() {
    let fragmentation = fragmentation_with_capability();
    let chromeos_ids: Vec<&[u8]> = vec![
        vendor::XAUTH,
        vendor::DPD,
        &fragmentation,
        vendor::RFC_3947,
        vendor::NATT_02_N,
    ];
    let key_mods = [vendor::MS_KEY_MODS, &[0, 0, 0, 1]].concat();
    let nt5 = [vendor::MS_NT5, &[0, 0, 0, 9]].concat();
    let windows_ids: Vec<&[u8]> = vec![
        &key_mods,
        &nt5,
        vendor::RFC_3947,
        vendor::NATT_02_N,
        vendor::FRAGMENTATION,
        vendor::MS_NEGOTIATION_DISCOVERY,
        vendor::MS_INITIAL_CONTACT,
        vendor::MS_IKE_CGA,
    ];
    let cases = [
        (
            chromeos(),
            chromeos_ids,
            vec![vendor::RFC_3947, vendor::DPD, &fragmentation],
        ),
        (
            windows(),
            windows_ids,
            vec![vendor::RFC_3947, vendor::FRAGMENTATION],
        ),
        (
            tunnelforge(),
            vec![vendor::RFC_3947],
            vec![vendor::RFC_3947],
        ),
        (
            macos(),
            vec![vendor::NATT_02, vendor::NATT_03],
            vec![vendor::NATT_03],
        ),
    ];
    for (sa, ids, expected) in cases {
        let mut server = Server::new();
        let mm1 = first_message(&sa, &ids);
        let sent = server.receive("198.51.100.7:1", false, &mm1);
        let [mm2] = sent.as_slice() else {
            panic!("{sent:?}")
        };
        assert!(mm2.bytes.len() <= mm1.len());
        let (header, body) = Header::parse(&mm2.bytes).unwrap();
        assert_ne!(header.responder_cookie, [0; 8]);
        let chain = Chain::parse(header.next_payload, body).unwrap();
        let answered: Vec<&[u8]> = chain.all(PayloadType::VENDOR_ID).collect();
        assert_eq!(answered, expected);
        assert!(chain.one(PayloadType::SA).is_ok());
        // The same again gives the same octets, and no second exchange.
        assert_eq!(server.receive("198.51.100.7:1", false, &mm1), sent);
        assert_eq!(server.endpoint.counters().half_open, 1);
    }
}

/// Windows' MM1 is 408 octets long in captures; the bytes built here must be as many.
#[test]
fn the_windows_message_has_the_length_of_the_real_one() {
    let key_mods = [vendor::MS_KEY_MODS, &[0, 0, 0, 1]].concat();
    let nt5 = [vendor::MS_NT5, &[0, 0, 0, 9]].concat();
    let ids: [&[u8]; 8] = [
        &key_mods,
        &nt5,
        vendor::RFC_3947,
        vendor::NATT_02_N,
        vendor::FRAGMENTATION,
        vendor::MS_NEGOTIATION_DISCOVERY,
        vendor::MS_INITIAL_CONTACT,
        vendor::MS_IKE_CGA,
    ];
    assert_eq!(first_message(&windows(), &ids).len(), 408);
}

#[test]
fn an_exchange_may_begin_on_port_4500_from_any_port() {
    let mut server = Server::new();
    let mm1 = first_message(&tunnelforge(), &[vendor::RFC_3947]);
    let first = server.receive("198.51.100.7:500", false, &mm1);
    // TunnelForge: the same message with the same cookie again, from another port to 4500.
    let second = server.receive("198.51.100.7:40123", true, &mm1);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(second[0].natt_port && second[0].marker);
    assert_ne!(
        first[0].bytes, second[0].bytes,
        "two exchanges, two cookies"
    );
}

#[test]
fn vendor_ids_of_any_length_are_harmless() {
    for len in 0..=40 {
        let mut server = Server::new();
        let mut id = fragmentation_with_capability();
        id.resize(len, 0x55);
        let mm1 = first_message(&tunnelforge(), &[&id, vendor::RFC_3947]);
        assert_eq!(server.receive("198.51.100.7:500", false, &mm1).len(), 1);
    }
}

#[test]
fn what_is_not_spoken_here() {
    let mut server = Server::new();
    let mm1 = first_message(&windows(), &[]);
    let exchange = |number: u8| {
        let mut message = mm1.clone();
        message[18] = number;
        message
    };
    // AuthIP, Base, Transaction, New Group, unknown: silence.
    for number in [0, 1, 3, 6, 33, 34, 100, 243, 244, 245, 246, 255] {
        assert!(
            server
                .receive("198.51.100.7:500", false, &exchange(number))
                .is_empty()
        );
    }
    // Aggressive Mode: silence and a hint for the operator; nothing an attacker can test names on.
    assert!(
        server
            .receive("198.51.100.7:500", false, &exchange(4))
            .is_empty()
    );
    assert!(matches!(
        server.events.as_slice(),
        [Event::Refused {
            reason: Refusal::AggressiveMode,
            ..
        }]
    ));
    // IKEv2: one notification in IKEv1, rate limited.
    let mut ikev2 = mm1.clone();
    ikev2[17] = 0x20;
    ikev2[18] = 34;
    ikev2[19] = 0x08;
    let sent = server.receive("198.51.100.7:500", false, &ikev2);
    let (header, body) = Header::parse(&sent[0].bytes).unwrap();
    let chain = Chain::parse(header.next_payload, body).unwrap();
    let notification = Notification::parse(chain.one(PayloadType::NOTIFICATION).unwrap()).unwrap();
    assert_eq!(notification.kind, NotifyType::INVALID_MAJOR_VERSION);
    let answers: usize = (0..1000)
        .map(|_| server.receive("198.51.100.7:500", false, &ikev2).len())
        .sum();
    assert!(answers < 20);
    ikev2[19] = 0x28;
    assert!(
        server.receive("198.51.100.7:500", false, &ikev2).is_empty(),
        "no answer to answers"
    );
    assert_eq!(server.endpoint.table_entries(), 0);
}

#[test]
fn a_peer_without_secret_gets_no_state() {
    let mut policy = quick_policy();
    policy.secrets.clear();
    let mut server = Server::new();
    server.endpoint.set_policy(policy);
    let mm1 = first_message(&windows(), &[]);
    let sent = server.receive("198.51.100.7:500", false, &mm1);
    assert_eq!(sent.len(), 1, "it is told");
    assert_eq!(server.endpoint.table_entries(), 0);
    assert!(matches!(
        server.events.as_slice(),
        [Event::Refused {
            reason: Refusal::NoSecret,
            ..
        }]
    ));
}
