//! One soft kernel with a fake clock, a seeded generator and a PF_KEY client.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use pfkey::client::{NatT, SaSelector};
use pfkey::{
    AuthenticationAlgorithm, Client, EncryptionAlgorithm, Event, Key, Message, MessageType, Mode,
    Numbering, Reply, Request, SaRequest, SaType,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use softkernel::buffer::Buffer;
use softkernel::ipsec::{
    Config, Drop, Inbound, InboundEsp, Ipsec, Opened, Outbound, OutboundEsp, PfkeySocketId,
    PolicyBlob,
};

pub(crate) const PID: u32 = 2417;
pub(crate) const START: u64 = 1_772_600_000;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) struct Machine {
    pub(crate) ipsec: Ipsec,
    pub(crate) now: Instant,
    pub(crate) wall: u64,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) socket: PfkeySocketId,
    pub(crate) client: Client,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with_config(Config::default())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let now = Instant::now();
        let mut ipsec = Ipsec::new(now, config);
        let socket = ipsec.open_socket();
        Self {
            ipsec,
            now,
            wall: START,
            rng: ChaCha8Rng::seed_from_u64(1),
            socket,
            client: Client::new(Numbering::FreeBsd, PID),
        }
    }

    /// Lets time pass, with every timer served at its own moment.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(timeout) = self.ipsec.next_timeout().filter(|timeout| *timeout <= end) {
            self.set_now(timeout.max(self.now));
            self.ipsec.handle_timeout(self.now, self.wall);
        }
        self.set_now(end);
    }

    fn set_now(&mut self, now: Instant) {
        self.wall += now.duration_since(self.now).as_secs();
        self.now = now;
    }

    pub(crate) fn write(&mut self, socket: PfkeySocketId, bytes: &[u8]) {
        self.ipsec
            .request(self.now, self.wall, socket, bytes, &mut self.rng);
    }

    /// Everything waiting to be read.
    pub(crate) fn read_all(&mut self) -> Vec<(PfkeySocketId, Vec<u8>)> {
        std::iter::from_fn(|| self.ipsec.poll_message())
            .map(|(socket, bytes)| (socket, bytes.to_vec()))
            .collect()
    }

    pub(crate) fn messages(&mut self) -> Vec<(PfkeySocketId, Message)> {
        self.read_all()
            .into_iter()
            .map(|(to, bytes)| (to, Message::parse(&bytes, Numbering::FreeBsd).unwrap()))
            .collect()
    }

    /// Kernel events for our own client.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let own = self.socket;
        self.read_all()
            .into_iter()
            .filter(|(to, _)| *to == own)
            .filter_map(|(_, bytes)| self.client.handle(&bytes).unwrap())
            .collect()
    }

    pub(crate) fn ask(&mut self, request: Request) -> Result<Reply, u8> {
        self.write(self.socket, &request.bytes);
        match self.events().into_iter().next() {
            Some(Event::Reply { sequence, result }) if sequence == request.sequence => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask_message(&mut self, message: Message) -> Result<Reply, u8> {
        let request = self.client.request(message);
        self.ask(request)
    }

    pub(crate) fn register(&mut self) {
        let request = self.client.register(SaType::ESP);
        self.ask(request).unwrap();
    }

    pub(crate) fn add(&mut self, sa: &SaRequest) -> Result<Reply, u8> {
        let request = self.client.add(sa);
        self.ask(request)
    }

    pub(crate) fn delete(&mut self, sa: &SaRequest) -> Result<Reply, u8> {
        let request = self.client.delete(&selector(sa));
        self.ask(request)
    }

    pub(crate) fn dump(&mut self) -> Vec<Message> {
        let request = self.client.dump(SaType::UNSPEC).unwrap();
        match self.ask(request) {
            Ok(Reply::Dump(entries)) => entries,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn shown(&mut self, sa: &SaRequest) -> Message {
        let request = self.client.get(&selector(sa));
        match self.ask(request) {
            Ok(Reply::Done(message)) => {
                assert_eq!(message.kind, MessageType::GET);
                message
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn send(
        &mut self,
        sa: &SaRequest,
        policy: Option<&PolicyBlob>,
        payload: &[u8],
    ) -> Result<(OutboundEsp, Vec<u8>), Drop> {
        let mut buffer = Buffer::new(2048);
        assert!(buffer.fill(payload));
        let to = udp(sa.source, sa.destination, policy);
        let out = self.ipsec.output(self.now, self.wall, to, &mut buffer)?;
        Ok((out, buffer.to_vec()))
    }

    pub(crate) fn receive(
        &mut self,
        from: InboundEsp,
        packet: &[u8],
    ) -> Result<(Inbound, Vec<u8>), Drop> {
        let mut packet = packet.to_vec();
        let inbound = self.ipsec.input(self.now, self.wall, from, &mut packet)?;
        let payload = packet[inbound.payload.clone()].to_vec();
        Ok((inbound, payload))
    }

    /// The same with a batch, as long as one may be.
    pub(crate) fn receive_batch(
        &mut self,
        packets: &[(InboundEsp, Vec<u8>)],
    ) -> Vec<Result<(Inbound, Vec<u8>), Drop>> {
        let from: Vec<_> = packets.iter().map(|(from, _)| *from).collect();
        let mut batch = vec![Buffer::new(2048); packets.len()];
        for (buffer, (_, packet)) in batch.iter_mut().zip(packets) {
            assert!(buffer.fill(packet));
        }
        let (now, wall) = (self.now, self.wall);
        let mut opened = Opened::default();
        self.ipsec
            .input_batch(now, wall, &from, &mut batch, &mut opened);
        let results = opened.drain().zip(batch);
        results
            .map(|(result, packet)| {
                let inbound = result?;
                let payload = packet[inbound.payload.clone()].to_vec();
                Ok((inbound, payload))
            })
            .collect()
    }

    pub(crate) fn dropped(&self, reason: Drop) -> u64 {
        self.ipsec.counters().dropped(reason)
    }
}

/// L2TP between two hosts.
pub(crate) fn udp(
    source: IpAddr,
    destination: IpAddr,
    policy: Option<&PolicyBlob>,
) -> Outbound<'_> {
    Outbound {
        source,
        destination,
        protocol: 17,
        source_port: 1701,
        destination_port: 1701,
        policy,
    }
}

/// The packet as the network hands it over.
pub(crate) fn arrived(out: &OutboundEsp) -> InboundEsp {
    InboundEsp {
        source: out.source,
        destination: out.destination,
        encapsulated: out.encapsulated,
    }
}

pub(crate) fn selector(sa: &SaRequest) -> SaSelector {
    SaSelector {
        sa_type: sa.sa_type,
        spi: sa.spi,
        source: sa.source,
        destination: sa.destination,
    }
}

/// An ordinary SA from a client to a server, without NAT.
pub(crate) fn sa(spi: u32) -> SaRequest {
    SaRequest {
        sa_type: SaType::ESP,
        spi,
        source: ip("203.0.113.4"),
        destination: ip("198.51.100.9"),
        mode: Mode::TRANSPORT,
        reqid: 12,
        encryption: EncryptionAlgorithm::AES_CBC,
        encryption_key: Key::new(&[0x11; 16]),
        authentication: AuthenticationAlgorithm::SHA1_HMAC,
        authentication_key: Some(Key::new(&[0x22; 20])),
        replay_window: 64,
        flags: 0,
        lifetimes: None,
        nat_t: None,
    }
}

pub(crate) fn nat_t(source_port: u16, destination_port: u16) -> Option<NatT> {
    Some(NatT {
        source_port,
        destination_port,
        original_initiator: None,
        original_responder: None,
    })
}
