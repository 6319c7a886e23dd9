//! SA payloads as clients in use write them: transforms in their order, attributes in theirs, and
//! each value in the encoding they take (RFC 2407, RFC 2408 3.3 to 3.6).

/// Phase 1 algorithm numbers of RFC 2409 appendix A.
pub const AES: u16 = 7;
/// 3DES in phase 1.
pub const TRIPLE_DES: u16 = 5;
/// MD5 in phase 1.
pub const MD5: u16 = 1;
/// SHA-1 in phase 1.
pub const SHA1: u16 = 2;
/// SHA-256 in phase 1.
pub const SHA256: u16 = 4;
/// SHA-384 in phase 1.
pub const SHA384: u16 = 5;
/// SHA-512 in phase 1.
pub const SHA512: u16 = 6;

/// Cipher, key bits (0 for none), hash, group.
pub type Suite = (u16, u16, u16, u16);
/// Transform, key bits (0 for none), authentication (0 for none).
pub type Esp = (u8, u16, u16);

/// An attribute of two octets.
pub fn tv(class: u16, value: u16) -> Vec<u8> {
    [(class | 0x8000).to_be_bytes(), value.to_be_bytes()].concat()
}

/// An attribute of any length.
pub fn tlv(class: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [class.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
    out.extend(value);
    out
}

/// How a client writes its lifetime.
#[derive(Clone, Copy, Debug)]
pub enum Life {
    /// Two octets.
    Short(u16),
    /// Four octets.
    Long(u32),
    /// Not at all.
    None,
}

/// The order of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// strongSwan, Windows: cipher, key length, hash, group, method, lifetime.
    CipherFirst,
    /// racoon: lifetime, cipher, key length, method, hash, group.
    LifeFirst,
}

fn life(kind: u16, duration: u16, life: Life) -> Vec<u8> {
    match life {
        Life::Short(seconds) => [tv(kind, 1), tv(duration, seconds)].concat(),
        Life::Long(seconds) => [tv(kind, 1), tlv(duration, &seconds.to_be_bytes())].concat(),
        Life::None => Vec::new(),
    }
}

/// Attributes of a phase 1 transform.
pub fn phase1_attributes(suite: Suite, method: u16, order: Order, lifetime: Life) -> Vec<u8> {
    let (cipher, bits, hash, group) = suite;
    let mut enc = tv(1, cipher);
    if bits != 0 {
        enc.extend(tv(14, bits));
    }
    let (hash, group, method) = (tv(2, hash), tv(4, group), tv(3, method));
    let life = life(11, 12, lifetime);
    match order {
        Order::CipherFirst => [enc, hash, group, method, life].concat(),
        Order::LifeFirst => [life, enc, method, hash, group].concat(),
    }
}

/// A transform without its generic header.
pub fn transform(number: u8, id: u8, attributes: &[u8]) -> Vec<u8> {
    [&[number, id, 0, 0], attributes].concat()
}

/// A proposal without its generic header.
pub fn proposal(number: u8, protocol: u8, spi: &[u8], transforms: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![number, protocol, spi.len() as u8, transforms.len() as u8];
    out.extend(spi);
    let list: Vec<_> = transforms.iter().map(|t| (3, t.clone())).collect();
    out.extend(super::chain(&list));
    out
}

/// Body of an SA payload: DOI IPsec, situation identity only.
pub fn sa(proposals: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 1, 0, 0, 0, 1];
    let list: Vec<_> = proposals.iter().map(|p| (2, p.clone())).collect();
    out.extend(super::chain(&list));
    out
}

/// One ISAKMP proposal of transforms given by their attributes, numbered from 1.
pub fn phase1(transforms: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<_> = (1u16..)
        .map(|number| number as u8)
        .zip(transforms)
        .map(|(number, attributes)| transform(number, 1, attributes))
        .collect();
    sa(&[proposal(1, 1, &[], &list)])
}

/// The suites with one authentication method, in one order and with one lifetime.
pub fn phase1_by(method: u16, suites: &[Suite], order: Order, lifetime: Life) -> Vec<u8> {
    let list: Vec<_> = suites
        .iter()
        .map(|suite| phase1_attributes(*suite, method, order, lifetime))
        .collect();
    phase1(&list)
}

/// The same with pre-shared key.
pub fn phase1_suites(suites: &[Suite], order: Order, lifetime: Life) -> Vec<u8> {
    phase1_by(1, suites, order, lifetime)
}

/// How a client writes a phase 2 offer.
#[derive(Clone, Debug)]
pub struct EspStyle {
    /// Encapsulation mode: 2 transport, 4 in UDP, 61444 in UDP by the drafts.
    pub mode: u16,
    /// Seconds.
    pub life: Life,
    /// Kilobytes, four octets.
    pub kilobytes: Option<u32>,
    /// PFS group.
    pub group: Option<u16>,
    /// Each suite in a proposal of its own (Windows) instead of one proposal of many transforms.
    pub proposal_each: bool,
    /// Order of attributes.
    pub order: Order,
}

impl EspStyle {
    /// strongSwan's.
    pub const fn new(mode: u16, life: Life) -> Self {
        Self {
            mode,
            life,
            kilobytes: None,
            group: None,
            proposal_each: false,
            order: Order::CipherFirst,
        }
    }
}

fn esp_attributes((_, bits, auth): Esp, style: &EspStyle) -> Vec<u8> {
    let mut life = life(1, 2, style.life);
    if let Some(kilobytes) = style.kilobytes {
        life.extend([tv(1, 2), tlv(2, &kilobytes.to_be_bytes())].concat());
    }
    let bits = if bits == 0 { Vec::new() } else { tv(6, bits) };
    let auth = if auth == 0 { Vec::new() } else { tv(5, auth) };
    let group = style.group.map_or(Vec::new(), |group| tv(3, group));
    let mode = tv(4, style.mode);
    match style.order {
        Order::CipherFirst => [bits, auth, group, mode, life].concat(),
        Order::LifeFirst => [life, mode, bits, auth, group].concat(),
    }
}

/// A phase 2 offer under one SPI.
pub fn phase2(suites: &[Esp], spi: u32, style: &EspStyle) -> Vec<u8> {
    let attributes: Vec<_> = suites
        .iter()
        .map(|esp| (esp.0, esp_attributes(*esp, style)))
        .collect();
    let spi = spi.to_be_bytes();
    if style.proposal_each {
        let list: Vec<_> = (1u8..)
            .zip(&attributes)
            .map(|(number, (id, attributes))| {
                proposal(number, 3, &spi, &[transform(1, *id, attributes)])
            })
            .collect();
        return sa(&list);
    }
    let list: Vec<_> = (1u8..)
        .zip(&attributes)
        .map(|(number, (id, attributes))| transform(number, *id, attributes))
        .collect();
    sa(&[proposal(1, 3, &spi, &list)])
}
