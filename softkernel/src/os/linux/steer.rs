//! Several sockets for one port, and which of them gets a packet: by its SPI. Classic BPF programs,
//! `<linux/filter.h>`, socket(7) `SO_ATTACH_REUSEPORT_CBPF` and `SO_ATTACH_FILTER`.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;

use libc::{c_int, c_ushort, sock_filter, sock_fprog};
use socket2::Socket;

const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W;
const ACCEPT: u32 = u32::MAX;
const REFUSE: u32 = 0;

/// Of the sockets that share an address and port, the one that bound it as number SPI % `workers` gets
/// a datagram. A load beyond its end gives 0, as does the marker of IKE: the first one gets those.
pub(in crate::os) fn steer_datagrams(socket: &Socket, workers: u32) -> io::Result<()> {
    let program = [
        statement(LOAD_WORD | libc::BPF_ABS, 0),
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, workers),
        statement(libc::BPF_RET | libc::BPF_A, 0),
    ];
    attach(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// A raw socket for ESP gets all packets of the host: of those with SPI % `workers` == `worker` only
/// this one is to.
pub(in crate::os) fn steer_packets(
    socket: &Socket,
    ipv4: bool,
    worker: u32,
    workers: u32,
) -> io::Result<()> {
    // Packets of IPv4 come with their header, those of IPv6 without.
    let load = match ipv4 {
        true => [
            statement(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0),
            statement(LOAD_WORD | libc::BPF_IND, 0),
        ],
        false => [
            statement(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM, 0),
            statement(LOAD_WORD | libc::BPF_IND, 0),
        ],
    };
    let [address, spi] = load;
    let program = [
        address,
        spi,
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, workers),
        sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, worker)
        },
        statement(libc::BPF_RET | libc::BPF_K, ACCEPT),
        statement(libc::BPF_RET | libc::BPF_K, REFUSE),
    ];
    attach(socket, libc::SO_ATTACH_FILTER, &program)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        // Every code has 16 bits.
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn attach(socket: &Socket, option: c_int, program: &[sock_filter]) -> io::Result<()> {
    let program = sock_fprog {
        len: program.len() as c_ushort,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: pointer and length describe the live structure, which leads to as many live
    // statements as it says; the system copies and does not write them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const program).cast(),
            size_of::<sock_fprog>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
