//! The kernel side against softkernel's PF_KEY server: requests of the core in, what the kernel
//! holds afterwards out.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ike_daemon::kernel::{Audit, Known, Orphan, Outcome, Translator};
use ike_proto::carrier::Carrier;
use ike_proto::iana::{EspAuth, EspTransform};
use ike_proto::io::{
    ChildId, Direction, GetSpi, KernelReply, KernelRequest, Mode, MovePeer, Reqid, SaDelete,
    SaInstall, SaLifetime, SaLook, SecurityPolicy, Selector, TrafficSelectors, UdpEncapsulation,
};
use ike_proto::policy::Sha256Icv;
use pfkey::{AuthenticationAlgorithm, Message, Numbering};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use softkernel::ipsec::{Config, Ipsec, PfkeySocketId};
use zeroize::Zeroizing;

const WALL: u64 = 1_790_000_000;
const CHILD: ChildId = ChildId(7);
const REQID: Reqid = Reqid(12);

struct Bench {
    translator: Translator,
    ipsec: Ipsec,
    socket: PfkeySocketId,
    now: Instant,
    rng: ChaCha20Rng,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let mut ipsec = Ipsec::new(now, Config::default());
        let socket = ipsec.open_socket();
        let translator = Translator::new(Carrier::System, Numbering::FreeBsd, 4242);
        let mut bench = Self {
            translator,
            ipsec,
            socket,
            now,
            rng: ChaCha20Rng::seed_from_u64(1),
        };
        let register = bench.translator.register();
        let [Outcome::Registered(abilities)] = &bench.write(&[register])[..] else {
            panic!("no answer to REGISTER");
        };
        assert!(abilities.ciphers.contains(&EspTransform::AES_GCM_16));
        assert!(abilities.auths.contains(&EspAuth::HMAC_SHA2_512));
        bench
    }

    fn write(&mut self, requests: &[pfkey::Request]) -> Vec<Outcome> {
        for request in requests {
            self.ipsec
                .request(self.now, WALL, self.socket, &request.bytes, &mut self.rng);
        }
        self.read()
    }

    fn read(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some((socket, message)) = self.ipsec.poll_message() {
            assert_eq!(socket, self.socket);
            outcomes.extend(self.translator.receive(&message));
        }
        outcomes
    }

    fn submit(&mut self, request: &KernelRequest) -> Vec<Outcome> {
        let requests = self.translator.submit(request);
        self.write(&requests)
    }

    fn sas(&mut self) -> Vec<Message> {
        let dump = self.translator.dump_sas().unwrap();
        assert!(self.translator.dump_sas().is_none());
        match self.write(&[dump]).pop() {
            Some(Outcome::Sas(Ok(sas))) => sas,
            other => panic!("{other:?}"),
        }
    }

    fn policies(&mut self) -> Vec<Message> {
        let dump = self.translator.dump_policies().unwrap();
        match self.write(&[dump]).pop() {
            Some(Outcome::Policies(Ok(policies))) => policies,
            other => panic!("{other:?}"),
        }
    }

    /// A pair behind NAT; gives the SPI of the inbound SA.
    fn install(&mut self) -> u32 {
        let get = GetSpi {
            child: CHILD,
            source: peer(),
            destination: local(),
            mode: Mode::Transport,
            reqid: REQID,
        };
        let spi = match &self.submit(&KernelRequest::GetSpi(get))[..] {
            [Outcome::Reply(KernelReply::Spi { child: CHILD, spi })] => *spi,
            other => panic!("{other:?}"),
        };
        for (direction, spi) in [(Direction::Inbound, spi), (Direction::Outbound, 0xc0de)] {
            let outcome = self.submit(&KernelRequest::Install(Box::new(sa(direction, spi))));
            let installed = KernelReply::Installed {
                child: CHILD,
                direction,
            };
            assert_eq!(outcome, [Outcome::Reply(installed)]);
        }
        spi
    }
}

fn local() -> IpAddr {
    [198, 51, 100, 1].into()
}

fn peer() -> IpAddr {
    [203, 0, 113, 9].into()
}

fn sa(direction: Direction, spi: u32) -> SaInstall {
    SaInstall {
        child: CHILD,
        direction,
        spi,
        local: local(),
        peer: peer(),
        mode: Mode::Transport,
        reqid: REQID,
        encapsulation: Some(UdpEncapsulation {
            local_port: 4500,
            peer_port: 31_044,
        }),
        peer_original: Some([192, 168, 1, 2].into()),
        local_original: Some(local()),
        cipher: EspTransform::AES_CBC,
        encryption_key: Zeroizing::new(vec![1; 16]),
        auth: EspAuth::HMAC_SHA1,
        auth_key: Zeroizing::new(vec![2; 20]),
        sha256_icv: Sha256Icv::Full,
        replay_window: 128,
        lifetime: SaLifetime {
            soft: Duration::from_secs(2880),
            hard: Duration::from_secs(3600),
            soft_octets: 0,
            hard_octets: 0,
        },
        traffic: traffic(),
    }
}

fn traffic() -> TrafficSelectors {
    let side = |address: IpAddr| Selector {
        network: address.into(),
        port: 1701,
    };
    TrafficSelectors {
        local: side(local()),
        peer: side(peer()),
        protocol: 17,
    }
}

fn find(sas: &[Message], spi: u32) -> &Message {
    sas.iter()
        .find(|sa| sa.sa().is_some_and(|sa| sa.spi == spi))
        .unwrap()
}

fn ports(sa: &Message) -> (u16, u16) {
    (
        *sa.nat_t_source_port().unwrap(),
        *sa.nat_t_destination_port().unwrap(),
    )
}

#[test]
fn a_pair_is_installed_as_freebsd_wants_it() {
    let mut bench = Bench::new();
    let spi = bench.install();
    let sas = bench.sas();
    assert_eq!(sas.len(), 2);
    let (inbound, outbound) = (find(&sas, spi), find(&sas, 0xc0de));
    assert_eq!(inbound.source().unwrap().ip(), peer());
    assert_eq!(outbound.source().unwrap().ip(), local());
    assert_eq!(
        (ports(inbound), ports(outbound)),
        ((31_044, 4500), (4500, 31_044))
    );
    // The address behind the NAT mends checksums on the way in, and only there.
    let original = inbound.nat_t_original_initiator().unwrap().ip();
    assert_eq!(original, IpAddr::from([192, 168, 1, 2]));
    assert!(outbound.nat_t_original_initiator().is_none());
    for sa in [inbound, outbound] {
        assert_eq!(sa.sa2().unwrap().reqid, 12);
        assert_eq!(sa.lifetime_hard().unwrap().add_time, 3600);
        assert_eq!(sa.lifetime_soft().unwrap().add_time, 2880);
        assert_eq!(sa.key_encryption().unwrap().bytes(), [1; 16]);
        assert_eq!(sa.key_authentication().unwrap().bytes(), [2; 20]);
    }
    assert!(bench.translator.is_idle());

    for (direction, spi, source, destination) in [
        (Direction::Inbound, spi, peer(), local()),
        (Direction::Outbound, 0xc0de, local(), peer()),
    ] {
        let delete = SaDelete {
            child: CHILD,
            direction,
            spi,
            source,
            destination,
        };
        assert!(bench.submit(&KernelRequest::Delete(delete)).is_empty());
        // The second time it is gone already, which is as well.
        assert!(bench.submit(&KernelRequest::Delete(delete)).is_empty());
    }
    assert_eq!(bench.ipsec.sa_count(), 0);
}

/// One SA is looked at without asking for all; one that is gone says nothing.
#[test]
fn what_came_through_an_sa_is_asked_for_it_alone() {
    let mut bench = Bench::new();
    let spi = bench.install();
    let look = SaLook {
        child: CHILD,
        spi,
        source: peer(),
        destination: local(),
    };
    let nothing_yet = Outcome::Reply(KernelReply::Traffic {
        child: CHILD,
        inbound_octets: 0,
        outbound_octets: 0,
    });
    assert_eq!(bench.submit(&KernelRequest::Look(look)), [nothing_yet]);
    let gone = SaLook {
        spi: spi + 1,
        ..look
    };
    assert_eq!(bench.submit(&KernelRequest::Look(gone)), []);
    assert!(bench.translator.is_idle());
}

#[test]
fn a_client_that_moves_keeps_its_lifetimes_and_its_original_address() {
    let mut bench = Bench::new();
    let spi = bench.install();
    let mut old = std::net::SocketAddr::new(peer(), 31_044);
    // First another port, then another address, the second time by a daemon that did not install
    // the SAs itself.
    for (round, new) in ["203.0.113.9:40000", "203.0.113.77:41000"]
        .into_iter()
        .enumerate()
    {
        if round == 1 {
            let sas = bench.sas();
            bench.translator = Translator::new(Carrier::System, Numbering::FreeBsd, 4242);
            bench.translator.adopt(&sas);
        }
        let new = new.parse().unwrap();
        let change = MovePeer {
            reqid: REQID,
            local: std::net::SocketAddr::new(local(), 4500),
            old,
            new,
            sas: vec![(CHILD, spi, Some(0xc0de))],
        };
        assert_eq!(bench.submit(&KernelRequest::MovePeer(change)), []);
        let sas = bench.sas();
        assert_eq!(sas.len(), 2);
        let (inbound, outbound) = (find(&sas, spi), find(&sas, 0xc0de));
        assert_eq!(inbound.source().unwrap().ip(), new.ip());
        assert_eq!(outbound.destination().unwrap().ip(), new.ip());
        assert_eq!(
            (ports(inbound), ports(outbound)),
            ((new.port(), 4500), (4500, new.port()))
        );
        let original = inbound.nat_t_original_initiator().unwrap().ip();
        assert_eq!(original, IpAddr::from([192, 168, 1, 2]));
        assert_eq!(inbound.lifetime_hard().unwrap().add_time, 3600);
        old = new;
    }
}

#[test]
fn refusals_come_back_with_the_kernels_reason() {
    let mut bench = Bench::new();
    bench.install();
    // The SPI is taken.
    let again = sa(Direction::Outbound, 0xc0de);
    match &bench.submit(&KernelRequest::Install(Box::new(again)))[..] {
        [
            Outcome::Reply(KernelReply::Failed {
                child: CHILD,
                reason,
            }),
        ] => {
            assert_eq!(reason, "ADD of the outbound SA: File exists (os error 17)");
        }
        other => panic!("{other:?}"),
    }
    // The inbound SA was never reserved.
    let unreserved = sa(Direction::Inbound, 0x1234_5678);
    match &bench.submit(&KernelRequest::Install(Box::new(unreserved)))[..] {
        [Outcome::Reply(KernelReply::Failed { reason, .. })] => {
            assert!(reason.starts_with("UPDATE of the inbound SA: "), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lifetimes_come_back_as_expiry() {
    let mut bench = Bench::new();
    let spi = bench.install();
    let mut expired = Vec::new();
    for (after, hard) in [(2880, false), (3600, true)] {
        let now = bench.now + Duration::from_secs(after);
        bench.ipsec.handle_timeout(now, WALL + after);
        for outcome in bench.read() {
            match outcome {
                Outcome::Reply(KernelReply::Expire {
                    carrier: Carrier::System,
                    spi,
                    destination,
                    hard: is_hard,
                }) => {
                    assert_eq!(is_hard, hard);
                    expired.push((spi, destination));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    expired.sort_unstable();
    let mut expected = [
        (spi, local()),
        (spi, local()),
        (0xc0de, peer()),
        (0xc0de, peer()),
    ];
    expected.sort_unstable();
    assert_eq!(expired, expected);
    assert_eq!(bench.ipsec.sa_count(), 0);
}

#[test]
fn policies_are_unique_to_the_client() {
    let mut bench = Bench::new();
    let policy = SecurityPolicy {
        direction: Direction::Outbound,
        traffic: traffic(),
        mode: Mode::Transport,
        local: local(),
        peer: peer(),
        reqid: REQID,
    };
    // Twice: a rekeying adds what is there already.
    for _ in 0..2 {
        assert!(bench.submit(&KernelRequest::AddPolicy(policy)).is_empty());
    }
    let policies = bench.policies();
    let [entry] = &policies[..] else {
        panic!("{policies:?}")
    };
    assert_eq!(
        entry.source().unwrap().address,
        "198.51.100.1:1701".parse().unwrap()
    );
    assert_eq!(
        entry.destination().unwrap().address,
        "203.0.113.9:1701".parse().unwrap()
    );
    assert_eq!(entry.source().unwrap().protocol, 17);
    assert_eq!(
        entry.policy().unwrap().requests,
        [pfkey::PolicyRequest::esp_transport_unique(12)]
    );
    assert!(
        bench
            .submit(&KernelRequest::RemovePolicy(policy))
            .is_empty()
    );
    assert_eq!(bench.ipsec.policy_count(), 0);
}

#[test]
fn what_was_asked_of_a_kernel_that_went_away_has_failed() {
    let mut bench = Bench::new();
    let get = GetSpi {
        child: CHILD,
        source: peer(),
        destination: local(),
        mode: Mode::Transport,
        reqid: REQID,
    };
    let _unanswered = bench.translator.submit(&KernelRequest::GetSpi(get));
    let _unanswered = bench.translator.dump_sas();
    assert!(!bench.translator.is_idle());
    let outcomes = bench.translator.disconnected("gone");
    assert_eq!(
        outcomes,
        [
            Outcome::Reply(KernelReply::Failed {
                child: CHILD,
                reason: "gone".into()
            }),
            Outcome::Sas(Err("gone".into())),
        ]
    );
    assert!(bench.translator.is_idle());
    // And the next one is asked afresh.
    assert!(bench.translator.dump_sas().is_some());
}

#[test]
fn other_icvs_are_softkernels_own_algorithms() {
    let detect = AuthenticationAlgorithm::SHA2_256_DETECT;
    for (carrier, icv, algorithm) in [
        (
            Carrier::Soft,
            Sha256Icv::Full,
            AuthenticationAlgorithm::SHA2_256,
        ),
        (
            Carrier::Soft,
            Sha256Icv::Short,
            AuthenticationAlgorithm::SHA2_256_96,
        ),
        (Carrier::Soft, Sha256Icv::Detect, detect),
        (
            Carrier::System,
            Sha256Icv::Detect,
            AuthenticationAlgorithm::SHA2_256,
        ),
    ] {
        let mut bench = Bench::new();
        bench.translator = Translator::new(carrier, Numbering::FreeBsd, 4242);
        let mut own = sa(Direction::Outbound, 0xc0de);
        own.auth = EspAuth::HMAC_SHA2_256;
        own.auth_key = Zeroizing::new(vec![2; 32]);
        own.sha256_icv = icv;
        bench.submit(&KernelRequest::Install(Box::new(own)));
        let installed = find(&bench.sas(), 0xc0de).sa().unwrap().authentication;
        assert_eq!(installed, algorithm);
    }
}

#[test]
fn spis_name_their_kernel_where_there_are_two() {
    for (carrier, range) in [
        (Carrier::System, 0x100..=0x7fff_ffff),
        (Carrier::Soft, 0x8000_0000..=0xffff_ffff_u32),
    ] {
        let mut bench = Bench::new();
        bench.translator = Translator::new(carrier, Numbering::FreeBsd, 4242).with_own_spis();
        let spi = bench.install();
        assert!(range.contains(&spi), "{carrier}: {spi:#x}");
    }
}

#[test]
fn reqids_of_others_are_noticed() {
    let mut bench = Bench::new();
    let other = bench.ipsec.open_socket();
    let mut setkey = Translator::new(Carrier::System, Numbering::FreeBsd, 77);
    let mut theirs = sa(Direction::Outbound, 0xbeef);
    theirs.reqid = Reqid(5000);
    for request in setkey.submit(&KernelRequest::Install(Box::new(theirs))) {
        bench
            .ipsec
            .request(bench.now, WALL, other, &request.bytes, &mut bench.rng);
    }
    let mut outcomes = Vec::new();
    while let Some((socket, message)) = bench.ipsec.poll_message() {
        if socket == bench.socket {
            outcomes.extend(bench.translator.receive(&message));
        }
    }
    assert_eq!(outcomes, [Outcome::Foreign(5000)]);
}

#[test]
fn an_audit_finds_the_lost_and_the_orphaned() {
    let mut bench = Bench::new();
    let spi = bench.install();
    let sas = bench.sas();
    let known = |spi_in| Known {
        carrier: Carrier::System,
        child: CHILD,
        spi_in,
        spi_out: Some(0xc0de),
        local: local(),
        peer: peer(),
    };
    let audit = |known: &[Known], sas: &[Message]| Audit::new(known, sas, |reqid| reqid == REQID.0);
    assert_eq!(audit(&[known(spi)], &sas), Audit::default());
    let nobody = audit(&[], &sas);
    assert_eq!(nobody.orphans.len(), 2);
    // What has another's reqid is another's.
    assert!(Audit::new(&[], &sas, |_| false).orphans.is_empty());
    // A pair that was replaced needs its inbound half only.
    let replaced = Known {
        spi_out: None,
        ..known(spi)
    };
    assert!(audit(&[replaced], &sas).lost.is_empty());
    let lost = audit(&[known(1)], &sas);
    assert_eq!(
        lost.lost,
        [KernelReply::Expire {
            carrier: Carrier::System,
            spi: 1,
            destination: local(),
            hard: true
        }]
    );
    let orphan = Orphan {
        reqid: REQID.0,
        spi,
        source: peer(),
        destination: local(),
    };
    assert_eq!(lost.orphans, [orphan]);
    // A kernel that was restarted has nothing.
    assert_eq!(audit(&[known(spi)], &[]).lost.len(), 1);
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_said_to_be_none(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        version in any::<bool>(),
    ) {
        let mut bytes = bytes;
        let units = (bytes.len() / 8) as u8;
        if version && let [first, .., _] = &mut bytes[..] {
            *first = 2; // PF_KEY_V2
            if let Some(length) = bytes.get_mut(4) {
                *length = units;
            }
        }
        let mut translator = Translator::new(Carrier::System, Numbering::FreeBsd, 4242);
        let _ = translator.receive(&bytes);
    }
}
