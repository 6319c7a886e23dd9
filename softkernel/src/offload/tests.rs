//! Segmentation and coalescing against each other, and against packets as Linux sends them.

use proptest::prelude::*;

use super::checksum::Sum;
use super::virtio::{Gso, LENGTH};
use super::*;
use crate::buffer::Buffer;

/// A TCP packet with right checksums, made without the code under test.
fn tcp(v6: bool, port: u16, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(port.to_be_bytes());
    tcp.extend(443u16.to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(7u32.to_be_bytes());
    // Data offset 8: a timestamp option (RFC 7323) and two NOPs.
    tcp.extend([0x80, flags, 0x01, 0xf6, 0, 0, 0, 0]);
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    tcp.extend(payload);
    let (from, to): (Vec<u8>, Vec<u8>) = if v6 {
        (vec![0xfd; 16], vec![0xfe; 16])
    } else {
        (vec![10, 77, 0, 1], vec![10, 77, 0, 10])
    };
    let mut pseudo = [from.clone(), to.clone()].concat();
    pseudo.extend((tcp.len() as u32).to_be_bytes());
    pseudo.extend(6u32.to_be_bytes());
    let sum = reference(&[pseudo, tcp.clone()].concat());
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut packet;
    if v6 {
        packet = vec![0x60, 0, 0, 0];
        packet.extend((tcp.len() as u16).to_be_bytes());
        packet.extend([6, 64]);
        packet.extend(from);
        packet.extend(to);
    } else {
        packet = vec![0x45, 0];
        packet.extend((20 + tcp.len() as u16).to_be_bytes());
        packet.extend([0x12, 0x34, 0x40, 0, 64, 6, 0, 0]);
        packet.extend(from);
        packet.extend(to);
        let sum = reference(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    packet.extend(tcp);
    packet
}

/// RFC 1071, word by word.
fn reference(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn checksums_are_right(packet: &[u8]) -> bool {
    let (ip, addresses) = if packet[0] >> 4 == 4 {
        (20, 12..20)
    } else {
        (40, 8..40)
    };
    let mut pseudo = packet[addresses].to_vec();
    pseudo.extend(((packet.len() - ip) as u32).to_be_bytes());
    pseudo.extend(u32::from(if ip == 20 { packet[9] } else { packet[6] }).to_be_bytes());
    pseudo.extend(&packet[ip..]);
    reference(&pseudo) == 0 && (ip == 40 || reference(&packet[..20]) == 0)
}

fn batch(packets: &[Vec<u8>]) -> (Vec<Buffer>, Coalescer) {
    let mut buffers = Vec::new();
    let mut coalescer = Coalescer::new(LongPackets {
        tcp: true,
        udp: true,
    });
    for packet in packets {
        let mut buffer = Buffer::new(4096);
        assert!(buffer.fill(packet));
        buffers.push(buffer);
        coalescer.add(&buffers);
    }
    (buffers, coalescer)
}

/// What is written to the device: header and whole packet.
fn written(packets: &[Vec<u8>]) -> Vec<(VirtioHeader, Vec<u8>)> {
    let (mut buffers, coalescer) = batch(packets);
    let mut out = Vec::new();
    coalescer.for_each(&mut buffers, |parts| {
        let (header, parts) = parts.split_first().unwrap();
        let header: &[u8; LENGTH] = header.first_chunk().unwrap();
        let packet = parts.iter().flat_map(|part| part.to_vec()).collect();
        out.push((VirtioHeader::parse(header), packet));
    });
    out
}

fn cut(header: VirtioHeader, packet: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut segments = Segments::new(header, packet)?;
    let mut buffer = Buffer::new(4096);
    let mut out = Vec::new();
    while segments.next_into(&mut buffer)? {
        out.push(buffer.to_vec());
    }
    Ok(out)
}

const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;

#[test]
fn a_row_of_packets_becomes_one_and_many_again() {
    for v6 in [false, true] {
        let row: Vec<_> = (0..5u32)
            .map(|i| {
                let (flags, size) = if i == 4 { (PSH_ACK, 77) } else { (ACK, 1000) };
                let mut packet = tcp(
                    v6,
                    5000,
                    0xffff_fe00u32.wrapping_add(i * 1000),
                    flags,
                    &vec![i as u8; size],
                );
                if !v6 {
                    // Segmentation counts the identification up.
                    let id = 0x1234u16 + i as u16;
                    packet[4..6].copy_from_slice(&id.to_be_bytes());
                    packet[10..12].fill(0);
                    let sum = reference(&packet[..20]);
                    packet[10..12].copy_from_slice(&sum.to_be_bytes());
                }
                packet
            })
            .collect();
        assert!(row.iter().all(|packet| checksums_are_right(packet)));
        let out = written(&row);
        let [(header, long)] = &out[..] else {
            panic!("{} packets", out.len())
        };
        let ip = if v6 { 40 } else { 20 };
        assert_eq!(header.gso, if v6 { Gso::Tcp6 } else { Gso::Tcp4 });
        assert_eq!(header.checksum, Some((ip, 16)));
        assert_eq!((header.segment_size, header.header_length), (1000, ip + 32));
        assert_eq!(long.len(), usize::from(ip) + 32 + 4077);
        assert_eq!(cut(*header, long).unwrap(), row);
    }
}

#[test]
fn what_differs_stays_apart_and_in_order() {
    let base = |sequence, size: usize| tcp(false, 1, sequence, ACK, &vec![1; size]);
    let changed = |at: usize, value: u8| {
        let mut packet = base(1100, 100);
        packet[at] = value;
        // Both checksums anew.
        packet[10..12].fill(0);
        let sum = reference(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet[36..38].fill(0);
        let mut pseudo = packet[12..20].to_vec();
        pseudo.extend(((packet.len() - 20) as u32).to_be_bytes());
        pseudo.extend(6u32.to_be_bytes());
        pseudo.extend(&packet[20..]);
        let sum = reference(&pseudo);
        packet[36..38].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let second: Vec<(&str, Vec<u8>)> = vec![
        ("a gap", base(1101, 100)),
        ("longer than the first", base(1100, 101)),
        ("no payload", base(1100, 0)),
        ("another connection", tcp(false, 2, 1100, ACK, &[1; 100])),
        ("FIN", tcp(false, 1, 1100, 0x11, &[1; 100])),
        ("CWR", tcp(false, 1, 1100, 0x90, &[1; 100])),
        ("another TOS", changed(1, 3)),
        ("another TTL", changed(8, 3)),
        ("fragmentable", changed(6, 0)),
        ("another acknowledgement", changed(31, 99)),
        ("another window", changed(34, 99)),
        ("another option", changed(45, 99)),
        ("a wrong checksum", {
            let mut packet = base(1100, 100);
            packet[36] ^= 1;
            packet
        }),
        (
            "bytes behind the packet",
            [base(1100, 100), vec![0]].concat(),
        ),
    ];
    assert_eq!(
        written(&[base(1000, 100), base(1100, 100)]).len(),
        1,
        "these two do join"
    );
    for (what, packet) in second {
        let row = [base(1000, 100), packet.clone()];
        let out = written(&row);
        assert_eq!(out.len(), 2, "{what}");
        assert!(
            out.iter().all(|(header, _)| *header == VirtioHeader::PLAIN),
            "{what}"
        );
        assert_eq!([out[0].1.clone(), out[1].1.clone()], row, "{what}");
    }
    // Behind a short one, a pushed one, or one that was lost, nothing joins any more.
    for row in [
        [base(1000, 100), base(1100, 50), base(1150, 100)],
        [
            base(1000, 100),
            tcp(false, 1, 1100, PSH_ACK, &[1; 100]),
            base(1200, 100),
        ],
        [base(1000, 100), base(1200, 100), base(1100, 100)],
    ] {
        let out = written(&row);
        let pieces: Vec<_> = out
            .iter()
            .flat_map(|(header, packet)| cut(*header, packet).unwrap())
            .map(|packet| packet[24..28].to_vec())
            .collect();
        let want: Vec<_> = row.iter().map(|packet| packet[24..28].to_vec()).collect();
        assert_eq!(pieces, want);
    }
}

#[test]
fn connections_in_turn_are_joined_each_for_itself() {
    let row: Vec<_> = (0..20u32)
        .map(|i| tcp(false, (i % 2) as u16, 100 * (i / 2), ACK, &[i as u8; 100]))
        .collect();
    let out = written(&row);
    assert_eq!(out.len(), 2);
    for (port, (header, packet)) in out.iter().enumerate() {
        assert_eq!(packet.len(), 52 + 1000);
        let pieces = cut(*header, packet).unwrap();
        assert!(
            pieces
                .iter()
                .all(|piece| checksums_are_right(piece) && usize::from(piece[21]) == port)
        );
    }
}

#[test]
fn nothing_longer_than_ip_can_say() {
    let row: Vec<_> = (0..64u32)
        .map(|i| tcp(false, 1, 1400 * i, ACK, &[i as u8; 1400]))
        .collect();
    let out = written(&row);
    assert_eq!(out.len(), 2);
    assert_eq!(out[0].1.len(), 52 + 46 * 1400);
    assert_eq!(out[1].1.len(), 52 + 18 * 1400);
}

/// What Linux hands out for a UDP datagram and a TCP packet whose checksums are left to the card.
#[test]
fn missing_checksums_are_completed() {
    let whole = tcp(true, 1, 5, PSH_ACK, b"payload");
    let mut partial = whole.clone();
    let pseudo = Sum::pseudo_header([0xfd; 16].into(), [0xfe; 16].into(), 6, whole.len() - 40);
    partial[56..58].copy_from_slice(&pseudo.folded().to_be_bytes());
    let header = VirtioHeader {
        checksum: Some((40, 16)),
        ..VirtioHeader::PLAIN
    };
    assert_eq!(cut(header, &partial).unwrap(), [whole]);
}

#[test]
fn datagrams_of_one_flow_are_cut() {
    let payload: Vec<u8> = (0..=255).cycle().take(2500).collect();
    let mut packet = vec![
        0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    packet.extend([0x12, 0x34, 0x01, 0xbb, 0, 0, 0, 0]);
    packet.extend(&payload);
    let header = VirtioHeader {
        checksum: Some((20, 6)),
        gso: Gso::Udp,
        header_length: 28,
        segment_size: 1200,
    };
    let out = cut(header, &packet).unwrap();
    assert_eq!(
        out.iter().map(Vec::len).collect::<Vec<_>>(),
        [1228, 1228, 128]
    );
    let mut together: Vec<u8> = Vec::new();
    for piece in &out {
        assert!(checksums_are_right(piece));
        assert_eq!(
            usize::from(piece[2]) << 8 | usize::from(piece[3]),
            piece.len()
        );
        assert_eq!(
            usize::from(piece[24]) << 8 | usize::from(piece[25]),
            piece.len() - 20
        );
        together.extend(&piece[28..]);
    }
    assert_eq!(together, payload);
}

/// Datagrams of one flow and one length, the last one shorter; another flow between them.
#[test]
fn datagrams_of_one_flow_become_one_and_many_again() {
    let header = |length: u16| VirtioHeader {
        checksum: Some((20, 6)),
        gso: Gso::Udp,
        header_length: 28,
        segment_size: length,
    };
    let flow = |port: u8, payload: &[u8]| {
        let mut packet = vec![
            0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, port, 0x01,
            0xbb, 0, 0, 0, 0,
        ];
        packet.extend(payload);
        cut(header(100), &packet).unwrap()
    };
    let long: Vec<u8> = (0..=255).cycle().take(730).collect();
    let mut row = flow(1, &long);
    assert_eq!(row.len(), 8);
    row.insert(3, flow(2, b"another flow").remove(0));
    let out = written(&row);
    let [(joined, packet), (plain, other)] = &out[..] else {
        panic!("{} packets", out.len())
    };
    assert_eq!((joined, plain), (&header(100), &VirtioHeader::PLAIN));
    assert_eq!((packet.len(), other), (28 + 730, &row[3]));
    row.remove(3);
    assert_eq!(cut(*joined, packet).unwrap(), row);
    // A longer one, one without a checksum and one with a wrong one stay alone.
    let short = flow(1, &long[..50]).remove(0);
    let mut unsummed = short.clone();
    unsummed[26..28].fill(0);
    let mut wrong = short.clone();
    wrong[26] ^= 1;
    for second in [flow(1, &long[..51]).remove(0), unsummed, wrong] {
        assert_eq!(written(&[short.clone(), second]).len(), 2);
    }
    assert_eq!(
        written(&[short.clone(), short]).len(),
        1,
        "these two do join"
    );
}

proptest! {
    #[test]
    fn any_header_and_packet(header: [u8; LENGTH], packet in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(mut segments) = Segments::new(VirtioHeader::parse(&header), &packet) {
            let mut buffer = Buffer::new(400);
            while let Ok(true) = segments.next_into(&mut buffer) {}
        }
        let (mut buffers, coalescer) = batch(&[packet.clone(), packet]);
        coalescer.for_each(&mut buffers, |_| {});
    }

    #[test]
    fn cutting_loses_nothing(v6: bool, sequence: u32, size in 1u16..600, payload in prop::collection::vec(any::<u8>(), 1..3000)) {
        let packet = tcp(v6, 9, sequence, 0x99, &payload);
        let ip = if v6 { 40 } else { 20 };
        let header = VirtioHeader { checksum: Some((ip, 16)), gso: Gso::Tcp4, header_length: 0, segment_size: size };
        let pieces = cut(header, &packet).unwrap();
        let mut together: Vec<u8> = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            prop_assert!(checksums_are_right(piece));
            let (first, last) = (i == 0, i + 1 == pieces.len());
            let flags = piece[usize::from(ip) + 13];
            prop_assert_eq!(flags, 0x10 | if first { 0x80 } else { 0 } | if last { 0x09 } else { 0 });
            together.extend(&piece[usize::from(ip) + 32..]);
        }
        prop_assert_eq!(together, payload);
    }
}
