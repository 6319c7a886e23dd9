//! The ESP packet format, RFC 4303 section 2:
//!
//! ```text
//! SPI:u32 | sequence:u32 | IV | payload | padding 1,2,3,… | pad length:u8 next header:u8 | ICV
//! ```

use std::ops::Range;

use super::counters::Drop;
use super::transform::{ESP_HEADER, ESP_TRAILER, Transform};
use crate::buffer::Buffer;

/// Next header of a dummy packet, RFC 4303 section 2.6.
pub(super) const NO_NEXT_HEADER: u8 = 59;

/// SPI and low half of the sequence number.
pub(super) fn header(packet: &[u8]) -> Option<(u32, u32)> {
    let (spi, rest) = packet.split_first_chunk::<4>()?;
    let (sequence, _) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*spi), u32::from_be_bytes(*sequence)))
}

/// Next header and where the payload lies in a packet that is authentic and decrypted.
pub(super) fn payload(transform: &Transform, packet: &[u8]) -> Result<(u8, Range<usize>), Drop> {
    let start = ESP_HEADER + transform.iv_len();
    let end = packet
        .len()
        .checked_sub(transform.icv_len())
        .ok_or(Drop::Short)?;
    let body = packet.get(start..end).ok_or(Drop::Short)?;
    let (text, [pad_len, next_header]) = body.split_last_chunk::<2>().ok_or(Drop::Short)?;
    let payload = text
        .len()
        .checked_sub(usize::from(*pad_len))
        .ok_or(Drop::Padding)?;
    let padding = text.get(payload..).ok_or(Drop::Padding)?;
    // Section 2.4: a receiver that knows the default padding checks it.
    if !padding
        .iter()
        .zip(1..=u8::MAX)
        .all(|(have, want)| *have == want)
    {
        return Err(Drop::Padding);
    }
    Ok((*next_header, start..start + payload))
}

/// Puts header, padding, trailer and room for IV and ICV around the payload in `packet`;
/// [`Transform::seal`] makes an ESP packet of that.
pub(super) fn frame(
    transform: &Transform,
    spi: u32,
    sequence: u64,
    next_header: u8,
    packet: &mut Buffer,
) -> Result<(), Drop> {
    let align = transform.alignment();
    let pad_len = (packet.len() + ESP_TRAILER).next_multiple_of(align) - packet.len() - ESP_TRAILER;
    let icv_len = transform.icv_len();
    let front = ESP_HEADER + transform.iv_len();
    // Both checks first: a packet that does not fit stays as it was.
    if packet.headroom() < front || packet.tailroom() < pad_len + ESP_TRAILER + icv_len {
        return Err(Drop::NoRoom);
    }
    let tail = packet
        .append(pad_len + ESP_TRAILER + icv_len)
        .ok_or(Drop::NoRoom)?;
    for (byte, value) in tail.iter_mut().take(pad_len).zip(1..) {
        *byte = value;
    }
    for (byte, value) in tail
        .iter_mut()
        .skip(pad_len)
        .zip([pad_len as u8, next_header])
    {
        *byte = value;
    }
    let head = packet.prepend(front).ok_or(Drop::NoRoom)?;
    for (byte, value) in head.iter_mut().zip(
        spi.to_be_bytes()
            .into_iter()
            .chain((sequence as u32).to_be_bytes()),
    ) {
        *byte = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use hmac::{Hmac, KeyInit, Mac};
    use pfkey::{AuthenticationAlgorithm, EncryptionAlgorithm};
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use sha1::Sha1;

    use super::super::transform::Job;
    use super::*;

    fn seal(
        transform: &Transform,
        spi: u32,
        sequence: u64,
        extended: bool,
        next_header: u8,
        packet: &mut Buffer,
    ) -> Result<(), Drop> {
        frame(transform, spi, sequence, next_header, packet)?;
        let job = Job {
            sequence,
            extended,
            packet,
            failed: None,
        };
        transform.seal(&mut [job]).ok_or(Drop::NoRoom)
    }

    /// Opens a packet between a forged one and another copy of itself.
    fn open(
        transform: &Transform,
        sequence: u64,
        extended: bool,
        packet: &mut [u8],
    ) -> Result<(u8, Range<usize>), Drop> {
        transform.admit(packet.len())?;
        let (mut forged, mut copy) = (packet.to_vec(), packet.to_vec());
        *forged.last_mut().unwrap() ^= 1;
        let mut jobs = [&mut *forged, packet, &mut *copy].map(|packet| Job {
            sequence,
            extended,
            packet,
            failed: None,
        });
        transform.open(&mut jobs);
        let [forged, packet, copy] = jobs;
        assert_eq!(forged.failed, Some(Drop::Authentication));
        assert_eq!(
            (copy.failed, copy.packet),
            (packet.failed, &mut *packet.packet)
        );
        match packet.failed {
            Some(reason) => Err(reason),
            None => payload(transform, packet.packet),
        }
    }

    const MAC_KEY: [u8; 20] = [0x42; 20];

    fn transform(encryption: EncryptionAlgorithm, key: &[u8], mac: Option<&[u8]>) -> Transform {
        let authentication = match mac.map(<[u8]>::len) {
            Some(20) => AuthenticationAlgorithm::SHA1_HMAC,
            Some(32) => AuthenticationAlgorithm::SHA2_256,
            Some(48) => AuthenticationAlgorithm::SHA2_384,
            Some(_) => AuthenticationAlgorithm::SHA2_512,
            None => AuthenticationAlgorithm::NONE,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        Transform::new(encryption, key, authentication, mac, &mut rng).unwrap()
    }

    fn with_icv(packet: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha1>::new_from_slice(&MAC_KEY).unwrap();
        mac.update(packet);
        [packet, &mac.finalize().into_bytes()[..12]].concat()
    }

    /// RFC 3602 section 4 cases 5 to 8: whole ESP packets. They have no ICV in the RFC; one is put
    /// behind them here.
    #[test]
    fn rfc_3602_packets() {
        let key_56 = hex!("90d382b410eeba7ad938c46cec1a82bf");
        let key_78 = hex!("0123456789abcdef0123456789abcdef");
        // Key, SPI, sequence number, next header, packet, payload.
        type Case<'a> = (&'a [u8], u32, u32, u8, &'a [u8], &'a [u8]);
        let cases: [Case<'_>; 4] = [
            (
                &key_56,
                0x4321,
                1,
                1,
                &hex!(
                    "0000432100000001e96e8c08ab465763fd098d45dd3ff893f663c25d325c18c6a9453e19"
                    "4e120849a4870b66cc6b9965330013b4898dc856a4699e523a55db080b59ec3a8e4b7e52"
                    "775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6"
                ),
                &hex!(
                    "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b"
                    "1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
                ),
            ),
            (
                &key_56,
                0x4321,
                8,
                1,
                &hex!(
                    "000043210000000869d08df7d203329db093fc4924e5bd80f51995881ec4e0c4488987ce"
                    "742e8109689bb379d2d750c0d915dca346a89f75"
                ),
                &hex!("0800b5e8a80a0500a69c083d0b660e00777777777777777777777777"),
            ),
            (
                &key_78,
                0x8765,
                2,
                4,
                &hex!(
                    "0000876500000002f4e765244f6407adf13dc1380f673f37773b5241a4c449225e4f3ce5"
                    "ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b859243c6"
                    "47752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1"
                    "e4dfe9d5a100b842f1c22f0d"
                ),
                &hex!(
                    "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a20400"
                    "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b"
                    "2c2d2e2f3031323334353637"
                ),
            ),
            (
                &key_78,
                0x8765,
                5,
                4,
                &hex!(
                    "000087650000000585d47224b5f3dd5d2101d4ea8dffab2215b92683819596a8047232cc"
                    "00f7048fe45318e11f8a0f62ede3c3fc61203bb50f980a08c9843fd3a1b06d5c07ff9639"
                    "b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892"
                ),
                &hex!(
                    "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300"
                    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
                ),
            ),
        ];
        for (key, spi, sequence, next_header, packet, payload) in cases {
            let transform = transform(EncryptionAlgorithm::AES_CBC, key, Some(&MAC_KEY));
            let mut packet = with_icv(packet);
            assert_eq!(header(&packet), Some((spi, sequence)));
            let (found, range) = open(&transform, sequence.into(), false, &mut packet).unwrap();
            assert_eq!((found, &packet[range]), (next_header, payload));
        }
    }

    /// draft-mcgrew-gcm-test-01: ESP packets of RFC 4106, the first with an extended sequence
    /// number.
    #[test]
    fn rfc_4106_packets() {
        // Key and salt, header and IV, high half of the number, plain text, cipher text and ICV.
        type Case<'a> = (&'a [u8], &'a [u8], Option<u32>, &'a [u8], &'a [u8]);
        let cases: [Case<'_>; 4] = [
            (
                &hex!("4c80cdefbb5d10da906ac73c3613a634 2e443b68"),
                &hex!("00004321 00000000 4956ed7e3b244cfe"),
                Some(0x8765_4321),
                &hex!(
                    "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000"
                    "00000000045f736970045f756470037369700963796265726369747902646b00"
                    "0021000101020201"
                ),
                &hex!(
                    "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34"
                    "cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce"
                    "61bc17d768fd9732 459018148f6cbe722fd04796562dfdb4"
                ),
            ),
            (
                &hex!("feffe9928665731c6d6a8f9467308308 cafebabe"),
                &hex!("0000a5f8 0000000a facedbaddecaf888"),
                None,
                &hex!(
                    "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d0010000010000"
                    "00000000037369700963796265726369747902646b00000100010001"
                ),
                &hex!(
                    "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c"
                    "3de81827c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1"
                    "83b70d3aa8bc6ee4c309e9d85a41ad4a"
                ),
            ),
            (
                &hex!("feffe9928665731c6d6a8f9467308308feffe9928665731c cafebabe"),
                &hex!("0000a5f8 0000000a facedbaddecaf888"),
                None,
                &hex!(
                    "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e"
                    "501016d075680001"
                ),
                &hex!(
                    "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0"
                    "315b27452144cc77 95457b9652037f5318027b5b4cd7a636"
                ),
            ),
            (
                &hex!("abbccddef00112233445566778899aababbccddef00112233445566778899aab 11223344"),
                &hex!("4a2cbfe3 00000002 0102030405060708"),
                None,
                &hex!(
                    "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000"
                    "7002400020bf0000020405b40101040201020201"
                ),
                &hex!(
                    "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763"
                    "748a637985771d347f0545659f14e99def842d8eb335f4eecfdbf831824b4c49"
                    "15956c96"
                ),
            ),
        ];
        for (key, front, high, plain, sealed) in cases {
            let transform = transform(EncryptionAlgorithm::AES_GCM_16, key, None);
            let mut packet = [front, sealed].concat();
            let (_, low) = header(&packet).unwrap();
            let sequence = u64::from(high.unwrap_or(0)) << 32 | u64::from(low);
            let (_, range) = open(&transform, sequence, high.is_some(), &mut packet).unwrap();
            assert_eq!(packet[16..packet.len() - 16], *plain);
            let pad_len = usize::from(plain[plain.len() - 2]);
            assert_eq!(packet[range], plain[..plain.len() - 2 - pad_len]);
            // Another high half is another number.
            let mut packet = [front, sealed].concat();
            let wrong = sequence ^ 1 << 40;
            let opened = open(&transform, wrong, high.is_some(), &mut packet);
            assert_eq!(opened.is_err(), high.is_some());
        }
    }

    #[test]
    fn bad_padding_is_noticed() {
        let transform = transform(EncryptionAlgorithm::AES_CBC, &[1; 16], Some(&MAC_KEY));
        let seal_body = |body: &[u8]| {
            let mut packet = Buffer::new(200);
            assert!(packet.fill(body));
            packet.append(12).unwrap();
            packet.prepend(24).unwrap().fill(0);
            let packet_job = Job {
                sequence: 1,
                extended: false,
                packet: &mut packet,
                failed: None,
            };
            transform.seal(&mut [packet_job]).unwrap();
            let mut packet = packet.to_vec();
            open(&transform, 1, false, &mut packet).map(|(next, range)| (next, packet[range].len()))
        };
        let mut body = [0; 16];
        body[..2].copy_from_slice(b"ab");
        for (i, byte) in body[2..14].iter_mut().enumerate() {
            *byte = i as u8 + 1;
        }
        body[14..].copy_from_slice(&[12, 17]);
        assert_eq!(seal_body(&body), Ok((17, 2)));
        body[5] ^= 1;
        assert_eq!(seal_body(&body), Err(Drop::Padding));
        body[5] ^= 1;
        body[14] = 15;
        assert_eq!(
            seal_body(&body),
            Err(Drop::Padding),
            "longer than the payload"
        );
        body[14] = 255;
        assert_eq!(seal_body(&body), Err(Drop::Padding));
        body[14] = 0;
        assert_eq!(seal_body(&body), Ok((17, 14)), "no padding at all");
    }

    fn every_transform() -> Vec<Transform> {
        let mut all = Vec::new();
        for mac in [20, 32, 48, 64] {
            let mac = vec![3; mac];
            for key in [16, 24, 32] {
                all.push(transform(
                    EncryptionAlgorithm::AES_CBC,
                    &vec![4; key],
                    Some(&mac),
                ));
            }
            let key: Vec<u8> = (0..24).collect();
            all.push(transform(
                EncryptionAlgorithm::TRIPLE_DES_CBC,
                &key,
                Some(&mac),
            ));
        }
        for key in [20, 28, 36] {
            all.push(transform(
                EncryptionAlgorithm::AES_GCM_16,
                &vec![5; key],
                None,
            ));
        }
        all
    }

    #[test]
    fn garbage_of_every_short_length() {
        for transform in every_transform() {
            for len in 0..=120 {
                let mut packet = vec![0xa5; len];
                let refused = open(&transform, 1, false, &mut packet).unwrap_err();
                assert!(
                    matches!(
                        refused,
                        Drop::Short | Drop::Misaligned | Drop::Authentication
                    ),
                    "{refused:?}"
                );
            }
        }
    }

    #[test]
    fn no_room_leaves_the_packet_alone() {
        for transform in every_transform() {
            for (headroom, tailroom) in [(15, 300), (100, 13)] {
                let mut packet = Buffer::with_rooms(headroom, 4, tailroom);
                assert!(packet.fill(b"data"));
                assert_eq!(
                    seal(&transform, 300, 1, false, 17, &mut packet),
                    Err(Drop::NoRoom)
                );
                assert_eq!(&packet[..], b"data");
            }
        }
    }

    #[test]
    fn cbc_ivs_are_never_the_same_and_not_the_counter() {
        let transform = transform(EncryptionAlgorithm::AES_CBC, &[1; 16], Some(&MAC_KEY));
        let mut seen = std::collections::HashSet::new();
        for sequence in 1..200 {
            let mut packet = Buffer::new(64);
            assert!(packet.fill(b"same"));
            seal(&transform, 300, sequence, false, 17, &mut packet).unwrap();
            assert!(seen.insert(packet[8..24].to_vec()));
            assert_ne!(packet[16..24], sequence.to_be_bytes());
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            spi in 256..u32::MAX,
            sequence in 1..u64::from(u32::MAX),
            next_header in any::<u8>(),
            extended in any::<bool>(),
            flip in any::<prop::sample::Index>(),
        ) {
            for transform in every_transform() {
                let mut buffer = Buffer::new(256);
                prop_assert!(buffer.fill(&payload));
                seal(&transform, spi, sequence, extended, next_header, &mut buffer).unwrap();
                prop_assert_eq!(header(&buffer), Some((spi, sequence as u32)));
                let mut packet = buffer.to_vec();
                let (found, range) = open(&transform, sequence, extended, &mut packet).unwrap();
                prop_assert_eq!((found, &packet[range]), (next_header, &payload[..]));
                // Any changed byte, header included, is noticed.
                let mut packet = buffer.to_vec();
                let at = flip.index(packet.len());
                packet[at] ^= 0x10;
                let (_, low) = header(&packet).unwrap();
                let seen = sequence >> 32 << 32 | u64::from(low);
                let opened = open(&transform, seen, extended, &mut packet);
                prop_assert_eq!(opened, Err(Drop::Authentication));
            }
        }
    }
}
