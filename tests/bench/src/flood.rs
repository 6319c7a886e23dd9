//! UDP datagrams, many and small.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde::Serialize;

/// How long nothing comes before the sink ends.
const SILENCE: Duration = Duration::from_secs(1);
/// How long the sink waits for the first one.
const PATIENCE: Duration = Duration::from_secs(20);
/// Datagrams between two looks at the clock.
const BURST: usize = 64;

#[derive(Debug, Serialize)]
pub(crate) struct Count {
    /// Datagrams sent or received.
    datagrams: u64,
    /// Between the first and the last.
    seconds: f64,
}

pub(crate) fn flood(to: SocketAddr, size: usize, time: Duration) -> io::Result<Count> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    let payload = vec![0x5a; size];
    let begin = Instant::now();
    let mut datagrams = 0;
    while begin.elapsed() < time {
        for _ in 0..BURST {
            // A full queue is what a flood is for.
            datagrams += u64::from(socket.send(&payload).is_ok());
        }
    }
    Ok(Count {
        datagrams,
        seconds: begin.elapsed().as_secs_f64(),
    })
}

pub(crate) fn sink(at: SocketAddr) -> io::Result<Count> {
    let socket = UdpSocket::bind(at)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 2048];
    let mut datagrams = 0;
    let (mut begin, mut last) = (None, Instant::now());
    while socket.recv(&mut buffer).is_ok() {
        last = Instant::now();
        if begin.is_none() {
            begin = Some(last);
            socket.set_read_timeout(Some(SILENCE))?;
        }
        datagrams += 1;
    }
    let seconds = begin.map_or(0.0, |begin| (last - begin).as_secs_f64());
    Ok(Count { datagrams, seconds })
}
