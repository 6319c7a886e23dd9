//! PF_KEY sockets whose traffic is written down.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use pfkey::{Message, MessageType, SaType, Socket};

use super::SETTLE;
use crate::Line;

/// The name of sockets that are not PF_KEY's.
const UDP: &str = "udp";

/// Some PF_KEY sockets of this process.
#[derive(Debug, Default)]
pub struct Recorder {
    lines: Vec<Line>,
    sockets: BTreeMap<&'static str, Socket>,
    sequence: u32,
}

impl Recorder {
    /// A recorder whose sequence numbers are not those that the kernel counts for its ACQUIREs.
    #[must_use]
    pub fn beside_acquires() -> Self {
        Self {
            sequence: 0x4000_0000,
            ..Self::default()
        }
    }

    /// What was written down.
    #[must_use]
    pub fn finish(self) -> Vec<Line> {
        self.lines
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.lines.push(Line::Heading(text.to_owned()));
    }

    /// Opens a socket.
    ///
    /// # Errors
    /// socket(2).
    pub fn open(&mut self, name: &'static str) -> io::Result<()> {
        self.sockets.insert(name, Socket::open_system()?);
        self.lines.push(Line::Open(name.to_owned()));
        Ok(())
    }

    /// Closes a socket.
    pub fn close(&mut self, name: &'static str) {
        self.sockets.remove(name);
        self.lines.push(Line::Close(name.to_owned()));
    }

    /// A message of this process with the next sequence number.
    pub fn message(&mut self, kind: MessageType, sa_type: SaType) -> Message {
        self.sequence += 1;
        Message::new(kind, sa_type, self.sequence, std::process::id())
    }

    /// Writes a message on a socket and returns what came back on it.
    ///
    /// # Errors
    /// The socket is not open or broken; an error of the request is written down instead.
    pub fn send(&mut self, name: &'static str, message: &Message) -> io::Result<Vec<Message>> {
        let socket = self.sockets.get(name).ok_or(io::ErrorKind::NotFound)?;
        let bytes = message.emit(socket.numbering()).to_vec();
        self.send_bytes(name, bytes)
    }

    /// Writes bytes on a socket and returns what came back on it.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_bytes(&mut self, name: &'static str, bytes: Vec<u8>) -> io::Result<Vec<Message>> {
        let socket = self.sockets.get(name).ok_or(io::ErrorKind::NotFound)?;
        let sent = socket.send(&bytes);
        let request = Line::Request {
            socket: name.to_owned(),
            path: None,
            bytes,
        };
        self.lines.push(request);
        if let Err(error) = sent {
            let errno = error.raw_os_error().ok_or(error)?;
            self.lines.push(Line::Status {
                socket: name.to_owned(),
                errno,
            });
        }
        self.listen(name, SETTLE)
    }

    /// Sends a datagram by UDP, writes down what the kernel says of it meanwhile, and returns what
    /// it said to one of the PF_KEY sockets.
    ///
    /// # Errors
    /// The address is not this host's, or the port is taken; an error of sendto(2) is written down.
    pub fn datagram(
        &mut self,
        (from, to): (SocketAddr, SocketAddr),
        data: &[u8],
        listener: &str,
        time: Duration,
    ) -> io::Result<Vec<Message>> {
        let sent = UdpSocket::bind(from)?.send_to(data, to);
        self.lines.push(Line::DataOut {
            socket: UDP.to_owned(),
            hook: format!("{from}-{to}"),
            bytes: data.to_vec(),
        });
        if let Err(error) = sent {
            let errno = error.raw_os_error().ok_or(error)?;
            self.lines.push(Line::Status {
                socket: UDP.to_owned(),
                errno,
            });
        }
        self.listen(listener, time)
    }

    /// Waits, and writes down what the kernel says meanwhile.
    ///
    /// # Errors
    /// A broken socket.
    pub fn wait(&mut self, time: Duration) -> io::Result<()> {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.lines.push(Line::Wait(milliseconds));
        self.listen("", time).map(drop)
    }

    fn listen(&mut self, name: &str, time: Duration) -> io::Result<Vec<Message>> {
        let end = Instant::now() + time;
        let mut buffer = Socket::receive_buffer();
        let mut heard = Vec::new();
        loop {
            for (&from, socket) in &self.sockets {
                loop {
                    let length = match socket.receive(&mut buffer) {
                        Ok(length) => length,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    };
                    let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                    if from == name
                        && let Ok(message) = Message::parse(&bytes, socket.numbering())
                    {
                        heard.push(message);
                    }
                    self.lines.push(Line::Reply {
                        socket: from.to_owned(),
                        path: None,
                        bytes,
                    });
                }
            }
            if Instant::now() >= end {
                return Ok(heard);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
