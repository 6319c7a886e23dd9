//! `ng_bpf(4)`, `<netgraph/ng_bpf.h>`: a program for every hook decides by which other hook a
//! packet leaves. A hook without a program drops.

use std::net::IpAddr;

use crate::command::struct_command;
use crate::error::WireError;
use crate::wire::{HOOK_SIZE, Reader, Writer};

/// The node type.
pub const TYPE: &str = "bpf";
/// `NGM_BPF_COOKIE`.
pub const COOKIE: u32 = 944_100_792;

struct_command! {
    /// `NGM_BPF_SET_PROGRAM`: the hook and those it names must exist.
    SetProgram(HookProgram), COOKIE, 1, "setprogram", ()
}

/// `struct bpf_insn`, 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip if true.
    pub if_true: u8,
    /// Instructions to skip if false.
    pub if_false: u8,
    /// The operand.
    pub operand: u32,
}

/// `struct ng_bpf_hookprog`, 100 bytes and the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookProgram {
    /// Where packets enter.
    pub hook: String,
    /// Where those leave for which the program returns more than 0; empty: nowhere.
    pub on_match: String,
    /// Where the others leave; empty: nowhere.
    pub otherwise: String,
    /// At most `net.bpf.maxinsns` (512).
    pub program: Vec<Instruction>,
}

const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `ip_src` of `struct ip`, `ip6_src` of `struct ip6_hdr`.
const SOURCE: u32 = 12;
const SOURCE6: u32 = 8;
/// `ip6_nxt` of `struct ip6_hdr`, and the first octet behind it.
const NEXT_HEADER: u32 = 6;
const PAYLOAD6: u32 = 40;
const ICMPV6: u32 = 58;

impl Instruction {
    const fn new(code: u16, if_false: u8, operand: u32) -> Self {
        Self {
            code,
            if_true: 0,
            if_false,
            operand,
        }
    }
}

impl HookProgram {
    /// What enters by `from` leaves by `to`.
    #[must_use]
    pub fn pass(from: &str, to: &str) -> Self {
        Self {
            hook: from.to_owned(),
            on_match: to.to_owned(),
            otherwise: String::new(),
            program: vec![Instruction::new(RETURN, 0, u32::MAX)],
        }
    }

    /// Of the packets that enter by `from`, all of one IP version, those with a source in one of
    /// `networks` (address and prefix length) leave by `to`, and the others are dropped.
    #[must_use]
    pub fn sources(from: &str, to: &str, networks: &[(IpAddr, u8)]) -> Self {
        let mut program = Vec::new();
        for &(address, prefix) in networks {
            let tests: Vec<(u32, u32, u32)> = words(address, prefix).collect();
            let mut left = tests.len();
            for (offset, mask, word) in tests {
                left -= 1;
                // Past the other tests of this network, three instructions each, and its return.
                let next = u8::try_from(3 * left + 1).unwrap_or(u8::MAX);
                program.extend([
                    Instruction::new(LOAD_WORD, 0, offset),
                    Instruction::new(AND, 0, mask),
                    Instruction::new(IF_EQUAL, next, word),
                ]);
            }
            program.push(Instruction::new(RETURN, 0, u32::MAX));
        }
        program.push(Instruction::new(RETURN, 0, 0));
        Self {
            program,
            ..Self::pass(from, to)
        }
    }

    /// Of the IPv6 packets that enter by `from`, ICMPv6 messages of type `kind` (RFC 4443) leave by
    /// `to`, and the others by `otherwise`.
    #[must_use]
    pub fn icmpv6(from: &str, to: &str, otherwise: &str, kind: u8) -> Self {
        let program = vec![
            Instruction::new(LOAD_BYTE, 0, NEXT_HEADER),
            Instruction::new(IF_EQUAL, 3, ICMPV6),
            Instruction::new(LOAD_BYTE, 0, PAYLOAD6),
            Instruction::new(IF_EQUAL, 1, kind.into()),
            Instruction::new(RETURN, 0, u32::MAX),
            Instruction::new(RETURN, 0, 0),
        ];
        Self {
            otherwise: otherwise.to_owned(),
            program,
            ..Self::pass(from, to)
        }
    }

    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ng_bpf_hookprog", bytes);
        let mut out = Self {
            hook: reader.name(HOOK_SIZE)?,
            on_match: reader.name(HOOK_SIZE)?,
            otherwise: reader.name(HOOK_SIZE)?,
            program: Vec::new(),
        };
        for _ in 0..reader.u32()? {
            out.program.push(Instruction {
                code: reader.u16()?,
                if_true: reader.u8()?,
                if_false: reader.u8()?,
                operand: reader.u32()?,
            });
        }
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let length = u32::try_from(self.program.len()).unwrap_or(u32::MAX);
        let mut writer = Writer::new();
        writer
            .name(&self.hook, HOOK_SIZE)
            .name(&self.on_match, HOOK_SIZE)
            .name(&self.otherwise, HOOK_SIZE)
            .u32(length);
        for instruction in &self.program {
            writer
                .u16(instruction.code)
                .u8(instruction.if_true)
                .u8(instruction.if_false)
                .u32(instruction.operand);
        }
        writer.finish()
    }
}

/// The words of a packet that say whether its source is in a network: where they are, which bits
/// count, and what those are.
fn words(network: IpAddr, prefix: u8) -> impl Iterator<Item = (u32, u32, u32)> {
    let (start, value, bits) = match network {
        IpAddr::V4(v4) => (SOURCE, u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (SOURCE6, v6.to_bits(), 128),
    };
    let host = 128 - u32::from(prefix).min(bits);
    let mask = u128::MAX.checked_shl(host).unwrap_or(0);
    let word = |value: u128, n: u32| ((value >> (96 - 32 * n)) & 0xffff_ffff) as u32;
    (0..bits / 32)
        .map(move |n| (start + 4 * n, word(mask, n), word(value & mask, n)))
        .filter(|(_, mask, _)| *mask != 0)
}
