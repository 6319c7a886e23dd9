//! Byte layouts against what FreeBSD 14 on amd64 says of its headers (sizes, offsets, numbers),
//! and properties of everything that parses.
#![cfg(target_endian = "little")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;

use hex_literal::hex;
use netgraph::frame::{Frame, MAX_FRAME, Packet, frames};
use netgraph::generic::{
    self, ConnectArguments, HookList, LinkInfo, MkpeerArguments, NameList, NodeInfo, NodeName,
    TypeList,
};
use netgraph::message::{FLAG_RESPONSE, HEADER_SIZE};
use netgraph::node::{bpf, iface, ksocket, l2tp, ppp, socket, soft_iface, tcpmss};
use netgraph::{Command, Errno, NgMessage, WireError};
use proptest::prelude::*;

#[test]
fn message_header() {
    let message = NgMessage::request(&l2tp::SetSequence(l2tp::SequenceConfig::AFTER_SCCRQ), 5);
    let bytes = message.emit();
    assert_eq!(bytes.len(), HEADER_SIZE + 8);
    // version 8, arglen 8 @4, cmd 12 @8, flags @12, token @16, cookie 0x410f3591 @20, cmdstr @24.
    assert_eq!(
        bytes[..24],
        hex!("08000000 08000000 0c000000 00000000 05000000 91350f41")
    );
    assert_eq!(&bytes[24..36], b"setsequence\0");
    // ns 0, nr 1, rack 0, xack 1, swapped by the kernel from network order.
    assert_eq!(bytes[56..], hex!("0000 0001 0000 0001"));
    assert_eq!(NgMessage::parse(&bytes), Ok(message.clone()));
    let reply = message.response(vec![1, 2]);
    assert_eq!((reply.token, reply.flags), (5, FLAG_RESPONSE));
    assert!(reply.is_response() && reply.is::<l2tp::SetSequence>());
    let mut wrong = bytes.clone();
    wrong[0] = 7;
    assert!(matches!(
        NgMessage::parse(&wrong),
        Err(WireError::Unknown { .. })
    ));
    for short in 0..bytes.len() {
        assert!(NgMessage::parse(&bytes[..short]).is_err());
    }
}

#[test]
fn cookies_and_command_numbers() {
    fn check<C: Command>(cookie: u32, number: u32) {
        assert_eq!((C::COOKIE, C::COMMAND), (cookie, number), "{}", C::NAME);
    }
    check::<generic::Shutdown>(0x43c6_511e, 1);
    check::<generic::Mkpeer>(0x43c6_511e, 2);
    check::<generic::Connect>(0x43c6_511e, 3);
    check::<generic::Name>(0x43c6_511e, 4);
    check::<generic::Rmhook>(0x43c6_511e, 5);
    check::<generic::GetNodeInfo>(0x43c6_511e, 0x3000_0006);
    check::<generic::ListHooks>(0x43c6_511e, 0x3000_0007);
    check::<generic::ListNodes>(0x43c6_511e, 0x3000_0009);
    check::<generic::TextStatus>(0x43c6_511e, 0x3000_000b);
    check::<socket::NoLinger>(0x32c2_6751, 1);
    check::<ksocket::Bind>(0x3830_9f8d, 1);
    check::<ksocket::Connect>(0x3830_9f8d, 4);
    check::<ksocket::GetName>(0x3830_9f8d, 5);
    check::<ksocket::SetOption>(0x3830_9f8d, 7);
    check::<l2tp::SetConfig>(0x410f_3591, 1);
    check::<l2tp::SetSessionConfig>(0x410f_3591, 3);
    check::<l2tp::GetStats>(0x410f_3591, 5);
    check::<l2tp::AckFailure>(0x410f_3591, 11);
    check::<ppp::SetConfig>(0x3814_f603, 1);
    check::<ppp::GetLinkStats>(0x3814_f603, 7);
    check::<iface::GetIfName>(0x420f_81ef, 1);
    check::<tcpmss::SetConfig>(0x416c_67b6, 4);
    check::<bpf::SetProgram>(944_100_792, 1);
}

#[test]
fn generic_structs() {
    let mkpeer = MkpeerArguments {
        kind: "l2tp".to_owned(),
        our_hook: "c0001".to_owned(),
        peer_hook: "ctrl".to_owned(),
    };
    let bytes = mkpeer.emit();
    assert_eq!(bytes.len(), 96);
    assert_eq!(
        (&bytes[..5], &bytes[32..38], &bytes[64..69]),
        (&b"l2tp\0"[..], &b"c0001\0"[..], &b"ctrl\0"[..])
    );
    let connect = ConnectArguments {
        path: "tanuki-t0001:".to_owned(),
        our_hook: "a".to_owned(),
        peer_hook: "b".to_owned(),
    };
    let bytes = connect.emit();
    assert_eq!((bytes.len(), bytes[512], bytes[544]), (576, b'a', b'b'));
    assert_eq!(NodeName("x".to_owned()).emit().len(), 32);
    let node = NodeInfo {
        name: "n".to_owned(),
        kind: "ppp".to_owned(),
        id: 0x1234,
        hooks: 2,
    };
    let bytes = node.emit();
    assert_eq!(bytes.len(), 72);
    assert_eq!(bytes[64..], hex!("34120000 02000000"));
    let link = LinkInfo {
        our_hook: "o".to_owned(),
        peer_hook: "p".to_owned(),
        peer: node.clone(),
    };
    let list = HookList {
        node: node.clone(),
        links: vec![link.clone(), link],
    };
    assert_eq!(list.emit().len(), 72 + 2 * 136);
    assert_eq!(HookList::parse(&list.emit()), Ok(list));
    let list = NameList(vec![node.clone(), node]);
    assert_eq!(NameList::parse(&list.emit()), Ok(list));
    let types = TypeList(vec![("l2tp".to_owned(), 3)]);
    assert_eq!(TypeList::parse(&types.emit()), Ok(types));
}

#[test]
fn l2tp_structs() {
    let config = l2tp::Config {
        enabled: true,
        match_id: true,
        tunnel_id: 0x0102,
        peer_id: 0x0304,
        peer_window: 8,
        retransmit_max: 5,
        retransmit_max_timeout: 30,
    };
    assert_eq!(config.emit(), hex!("01 01 0201 0403 0800 0500 1e00"));
    let session = l2tp::SessionConfig {
        session_id: 0x0102,
        peer_id: 0x0304,
        control_sequencing: true,
        enable_sequencing: false,
        include_length: true,
    };
    assert_eq!(session.emit(), hex!("0201 0403 01 00 01 00"));
    assert_eq!(l2tp::Stats::default().emit().len(), 80);
    assert_eq!(l2tp::SessionStats::default().emit().len(), 32);
    assert_eq!(l2tp::session_hook(0x3e1), "session_03e1");
    assert_eq!(l2tp::parse_session_hook("session_3e14"), Some(0x3e14));
    for wrong in [
        "session_3E14",
        "session_3e1",
        "session_3e145",
        "session_+123",
        "ctrl",
    ] {
        assert_eq!(l2tp::parse_session_hook(wrong), None, "{wrong}");
    }
}

#[test]
fn ppp_structs() {
    let bundle = ppp::BundleConfig {
        ip: true,
        encryption: true,
        ..Default::default()
    };
    let config = ppp::NodeConfig::single_link(bundle, 1400, true, false);
    let bytes = config.emit();
    assert_eq!(bytes.len(), 272);
    // enableIP @6, enableEncryption @12.
    assert_eq!(
        bytes[..16],
        hex!("0000 00000000 01 00 0000 0000 01 00 0000")
    );
    // Link: enable, PFC, ACFC, mru @4, latency @8, bandwidth @12.
    assert_eq!(
        bytes[16..32],
        hex!("01 01 00 00 7805 0000 0a000000 48e80100")
    );
    assert_eq!(bytes[32..], [0; 240]);
    assert_eq!(ppp::LinkStats::default().emit().len(), 64);
    assert_eq!(ppp::bypass_frame(0, 0xc021, &[1]), hex!("0000 c021 01"));
    assert_eq!(
        ppp::parse_bypass(&hex!("ffff 8021 02")),
        Ok((0xffff, 0x8021, &[2][..]))
    );
}

#[test]
fn socket_addresses_and_options() {
    let v4 = ksocket::Address("192.0.2.1:1701".parse().unwrap());
    assert_eq!(v4.emit(), hex!("10 02 06a5 c0000201 0000000000000000"));
    let v6 = ksocket::Address("[2001:db8::1]:1701".parse().unwrap());
    assert_eq!(
        v6.emit(),
        hex!("1c 1c 06a5 00000000 20010db8000000000000000000000001 00000000")
    );
    let option = ksocket::SocketOption::integer(ksocket::SOL_SOCKET, ksocket::SO_REUSEPORT, 1);
    assert_eq!(option.emit(), hex!("ffff0000 00020000 01000000"));
    assert!(ksocket::Address::parse(&hex!("10 1c 06a5 c0000201 0000000000000000")).is_err());
}

#[test]
fn other_structs() {
    let config = tcpmss::Config {
        in_hook: "in".to_owned(),
        out_hook: "out".to_owned(),
        max_mss: 1360,
    };
    let bytes = config.emit();
    assert_eq!((bytes.len(), &bytes[64..]), (66, &hex!("5005")[..]));
    assert_eq!(iface::IfName("ng0".to_owned()).emit().len(), 16);
}

/// `tcpdump -ddd` of "src host 10.77.0.9" begins with an instruction for the link layer, which
/// packets here do not have; what follows it is this, but for the offsets and the mask.
#[test]
fn a_source_filter_is_a_bpf_program() {
    let address = "10.77.0.9".parse().unwrap();
    let filter = bpf::HookProgram::sources("ppp", "iface", &[(address, 32)]);
    let bytes = filter.emit();
    assert_eq!(bytes.len(), 100 + 5 * 8);
    assert_eq!(bytes[96..100], 5u32.to_ne_bytes());
    #[cfg(target_endian = "little")]
    assert_eq!(
        bytes[100..],
        hex!(
            "2000 00 00 0c000000" // ld [12]
            "5400 00 00 ffffffff" // and #0xffffffff
            "1500 00 01 09004d0a" // jeq #0x0a4d0009, jt 0, jf 1
            "0600 00 00 ffffffff" // ret #-1
            "0600 00 00 00000000" // ret #0
        )
    );
}

/// Programs of the filter over packets of both kinds, by an interpreter of the four instructions.
#[test]
fn a_source_filter_lets_its_networks_through() {
    let run = |networks: &[(&str, u8)], source: &str| {
        let networks: Vec<(IpAddr, u8)> = networks
            .iter()
            .map(|(address, prefix)| (address.parse().unwrap(), *prefix))
            .collect();
        let mut packet = [0; 40];
        match source.parse().unwrap() {
            IpAddr::V4(v4) => packet[12..16].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => packet[8..24].copy_from_slice(&v6.octets()),
        }
        let program = bpf::HookProgram::sources("a", "b", &networks).program;
        let (mut at, mut register) = (0, 0u32);
        loop {
            let bpf::Instruction {
                code,
                if_true,
                if_false,
                operand,
            } = program[at];
            at += 1;
            let place = operand as usize;
            match code {
                0x20 => {
                    let word = packet[place..place + 4].try_into().unwrap();
                    register = u32::from_be_bytes(word);
                }
                0x54 => register &= operand,
                0x15 if register == operand => at += usize::from(if_true),
                0x15 => at += usize::from(if_false),
                0x06 => return operand != 0,
                other => panic!("{other:#x}"),
            }
        }
    };
    let v4 = [("10.77.0.9", 32), ("192.168.4.0", 22)];
    for (source, passes) in [
        ("10.77.0.9", true),
        ("10.77.0.8", false),
        ("192.168.7.255", true),
        ("192.168.8.0", false),
    ] {
        assert_eq!(run(&v4, source), passes, "{source}");
    }
    let v6 = [("fe80::", 10), ("2001:db8:1:2::", 64)];
    for (source, passes) in [
        ("fe80::1", true),
        ("2001:db8:1:2::7", true),
        ("2001:db8:1:3::7", false),
        ("::1", false),
    ] {
        assert_eq!(run(&v6, source), passes, "{source}");
    }
    assert!(run(&[("0.0.0.0", 0)], "1.2.3.4"));
    assert!(!run(&[], "1.2.3.4"));
}

#[test]
fn one_frame() {
    let frame = Frame::Control {
        path: ".:",
        message: &[1, 2],
    };
    assert_eq!(frame.emit(), hex!("01 0002 2e3a 0102"));
    let frame = Frame::Status {
        token: 5,
        result: Err(Errno::ENOENT),
    };
    assert_eq!(frame.emit(), hex!("03 0000 05000000 02000000"));
    assert!(Frame::parse(&hex!("01 0003 2e3a")).is_err());
    assert!(Frame::parse(&hex!("02 0001 00 0102")).is_err());
    assert!(Frame::parse(&hex!("09 0000")).is_err());
}

#[test]
fn frames_that_go_together() {
    let control = Frame::Control {
        path: ".:",
        message: &[1, 2],
    };
    let data = Frame::Data {
        hook: "c",
        payload: &[3],
    };
    let mut packet = Packet::default();
    for frame in [control, data] {
        packet.push(&frame.emit());
    }
    let bytes = hex!("00000007 01 0002 2e3a 0102  00000005 02 0001 63 03");
    assert_eq!(packet.bytes(), bytes);
    assert_eq!(frames(&bytes).collect::<Vec<_>>(), [control, data]);
    // What follows one that is cut off is not there; what follows one that means nothing is.
    assert_eq!(frames(&bytes[..19]).collect::<Vec<_>>(), [control]);
    let unknown = hex!("00000003 09 0000  00000005 02 0001 63 03");
    assert_eq!(frames(&unknown).collect::<Vec<_>>(), [data]);
    assert_eq!(frames(&hex!("ffffffff 01")).count(), 0);
    assert!(packet.has_room(1024) && !packet.has_room(MAX_FRAME));
    assert!(Packet::default().has_room(MAX_FRAME));
}

fn parses_again<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    parse: impl Fn(&[u8]) -> Result<T, WireError>,
    emit: impl Fn(&T) -> Vec<u8>,
) -> Result<(), TestCaseError> {
    if let Ok(value) = parse(bytes) {
        prop_assert_eq!(parse(&emit(&value)), Ok(value));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        parses_again(&bytes, NgMessage::parse, NgMessage::emit)?;
        parses_again(&bytes, HookList::parse, HookList::emit)?;
        parses_again(&bytes, NameList::parse, NameList::emit)?;
        parses_again(&bytes, TypeList::parse, TypeList::emit)?;
        parses_again(&bytes, ksocket::Address::parse, ksocket::Address::emit)?;
        parses_again(&bytes, ksocket::SocketOption::parse, ksocket::SocketOption::emit)?;
        parses_again(&bytes, soft_iface::AddressPair::parse, soft_iface::AddressPair::emit)?;
        parses_again(&bytes, soft_iface::Network::parse, soft_iface::Network::emit)?;
        if let Ok(frame) = Frame::parse(&bytes) {
            let again = frame.emit();
            prop_assert_eq!(Frame::parse(&again), Ok(frame));
        }
    }

    #[test]
    fn any_bytes_of_the_right_size(bytes in prop::collection::vec(any::<u8>(), 600)) {
        parses_again(&bytes[..12], l2tp::Config::parse, l2tp::Config::emit)?;
        parses_again(&bytes[..8], l2tp::SessionConfig::parse, l2tp::SessionConfig::emit)?;
        parses_again(&bytes[..8], l2tp::SequenceConfig::parse, l2tp::SequenceConfig::emit)?;
        parses_again(&bytes[..80], l2tp::Stats::parse, l2tp::Stats::emit)?;
        parses_again(&bytes[..32], l2tp::SessionStats::parse, l2tp::SessionStats::emit)?;
        parses_again(&bytes[..272], ppp::NodeConfig::parse, ppp::NodeConfig::emit)?;
        parses_again(&bytes[..64], ppp::LinkStats::parse, ppp::LinkStats::emit)?;
        parses_again(&bytes[..96], MkpeerArguments::parse, MkpeerArguments::emit)?;
        parses_again(&bytes[..576], ConnectArguments::parse, ConnectArguments::emit)?;
        parses_again(&bytes[..66], tcpmss::Config::parse, tcpmss::Config::emit)?;
        parses_again(&bytes, bpf::HookProgram::parse, bpf::HookProgram::emit)?;
        parses_again(&bytes[..72], NodeInfo::parse, NodeInfo::emit)?;
    }

    #[test]
    fn names_survive(kind in "[a-z]{1,31}", ours in "[!-~]{1,31}", theirs in "[!-~]{0,31}") {
        let mkpeer = MkpeerArguments { kind, our_hook: ours, peer_hook: theirs };
        prop_assert_eq!(MkpeerArguments::parse(&mkpeer.emit()), Ok(mkpeer));
    }
}
