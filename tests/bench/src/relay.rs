//! The packets of a TUN device in UDP datagrams, nothing else: softkernel's own reading, cutting,
//! joining and writing without ESP, L2TP and PPP. The I/O limit.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use softkernel::batch::Batch;
use softkernel::buffer::Buffer;
use softkernel::offload::coalesce::MAX_PACKETS;
use softkernel::offload::{Coalescer, Segments};
use softkernel::os::arrivals::Arrivals;
use softkernel::os::outer::OuterSocket;
use softkernel::os::tun::Tun;

struct Relay {
    tun: Tun,
    socket: OuterSocket,
    local: SocketAddr,
    peer: SocketAddr,
    outward: Batch,
    inward: Batch,
    long: Vec<u8>,
    arrivals: Arrivals,
    coalescer: Coalescer,
}

pub(crate) fn run(device: &str, mtu: usize, local: SocketAddr, peer: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let tun = Tun::open(device)?;
        let mut relay = Relay {
            socket: OuterSocket::encapsulation(local)?,
            local,
            peer,
            outward: Batch::new(mtu),
            inward: Batch::new(mtu),
            long: vec![0; Buffer::PAYLOAD],
            arrivals: Arrivals::default(),
            coalescer: Coalescer::new(tun.takes()),
            tun,
        };
        println!("ready");
        loop {
            relay.turn().await?;
        }
    })
}

impl Relay {
    async fn turn(&mut self) -> io::Result<()> {
        tokio::select! {
            ready = self.tun.readable() => {
                let mut ready = ready?;
                loop {
                    match self.tun.receive(&mut self.long) {
                        Ok((header, length)) => {
                            let packet = self.long.get(..length).unwrap_or_default();
                            let Ok(mut segments) = Segments::new(header, packet) else { continue };
                            loop {
                                if self.outward.room().is_none() {
                                    send(&self.socket, self.local, self.peer, &mut self.outward);
                                }
                                let Some(room) = self.outward.room() else { break };
                                match segments.next_into(room) {
                                    Ok(true) => self.outward.add(),
                                    Ok(false) | Err(_) => break,
                                }
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            ready.clear_ready();
                            break;
                        }
                        Err(error) => return Err(error),
                    }
                }
                send(&self.socket, self.local, self.peer, &mut self.outward);
            }
            ready = self.socket.readable() => {
                let mut ready = ready?;
                let more = self.socket.receive_batch(&mut self.arrivals).unwrap_or_default();
                if !more {
                    ready.clear_ready();
                }
                for (_, packet) in self.arrivals.iter() {
                    if self.inward.room().is_none() {
                        write(&self.tun, &mut self.coalescer, &mut self.inward);
                    }
                    if self.inward.room().is_some_and(|room| room.fill(packet)) {
                        self.inward.add();
                        self.coalescer.add(self.inward.packets());
                    }
                }
                write(&self.tun, &mut self.coalescer, &mut self.inward);
            }
        }
        Ok(())
    }
}

fn send(socket: &OuterSocket, local: SocketAddr, peer: SocketAddr, batch: &mut Batch) {
    let mut parts = [IoSlice::new(&[]); MAX_PACKETS];
    let mut used = 0;
    for (part, packet) in parts.iter_mut().zip(batch.packets()) {
        *part = IoSlice::new(packet);
        used += 1;
    }
    // What the system does not take is lost, as it would be in the server.
    let _ = socket.send_batch(local.ip(), peer, parts.get(..used).unwrap_or_default());
    batch.clear();
}

fn write(tun: &Tun, coalescer: &mut Coalescer, batch: &mut Batch) {
    coalescer.for_each(batch.packets_mut(), |parts| {
        let _ = tun.send(parts);
    });
    coalescer.clear();
    batch.clear();
}
