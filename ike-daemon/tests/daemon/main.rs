//! Whole daemons: two of them on the loopback interface, each with softkernel's real IPsec behind
//! real PF_KEY sockets, directed by the control socket.

#![allow(clippy::unwrap_used, clippy::panic)]

mod kernel;
mod racoon;
mod two_kernels;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use ike_daemon::config::{Config, Overrides};
use ike_daemon::control::protocol::{
    Done, DumpAnswer, IpsecAnswer, PoliciesAnswer, Request, Stats,
};
use ike_daemon::driver::{self, Paths};
use ike_proto::view::IkeSaView;
use serde::de::DeserializeOwned;
use tanuki_daemon::background::Starter;
use tanuki_daemon::control::{ControlClient, ControlError};
use tokio::task::{JoinHandle, LocalSet};

use kernel::Kernel;

const PSK: &str = "kXv7mQz2-Tb9Lw4-Rn6Yc8";
/// What the client offers in phase 1: little, so that the tests are quick.
const OFFER: &str =
    "phase1: {ciphers: [aes256], hashes: [sha256], groups: [curve25519, modp2048]}\n";
/// Nothing here takes that long; a test that does has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every test has addresses of its own in 127/8.
static NEXT_HOST: AtomicU8 = AtomicU8::new(1);

/// A host: a runtime folder, an address, a configuration.
struct Host {
    folder: tempfile::TempDir,
    address: IpAddr,
    /// Something plays the system's kernel, beside softkernel.
    two_kernels: bool,
    daemon: Option<JoinHandle<()>>,
}

impl Host {
    fn new() -> Self {
        let number = NEXT_HOST.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::new(127, 77, std::process::id() as u8, number).into();
        Self {
            folder: tempfile::tempdir().unwrap(),
            address,
            two_kernels: false,
            daemon: None,
        }
    }

    fn system_socket(&self) -> PathBuf {
        self.folder.path().join("system.sock")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("ike-daemon.yaml")
    }

    fn write_config(&self, ports: (u16, u16), more: &str) {
        let (ike, natt) = ports;
        let text = format!(
            "listen: {}\nport: {ike}\nkernel: {}\nsecrets:\n  - psk: {PSK}\n{}\n",
            self.address,
            if self.two_kernels { "system" } else { "soft" },
            more.replace("NATT", &format!("port: {natt}"))
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn kernel(&self) -> Kernel {
        Kernel::start(self.folder.path())
    }

    fn start(&mut self) {
        let config =
            Config::load(&self.config(), &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let paths = Paths {
            config: self.config(),
            overrides: Overrides::default(),
            runtime_dir: self.folder.path().to_owned(),
            system_pfkey: self.two_kernels.then(|| self.system_socket()),
        };
        let log = slog::Logger::root(slog::Discard, slog::o!());
        self.daemon = Some(tokio::task::spawn_local(async move {
            driver::run(log, config, paths, Starter::default())
                .await
                .unwrap_or_else(|failure| panic!("{failure}"));
        }));
    }

    /// As if it had crashed: no farewell.
    async fn crash(&mut self) {
        let daemon = self.daemon.take().unwrap();
        daemon.abort();
        assert!(daemon.await.unwrap_err().is_cancelled());
    }

    fn socket(&self) -> PathBuf {
        tanuki_daemon::runtime_dir::control_socket(self.folder.path(), driver::NAME)
    }

    async fn ask<A: DeserializeOwned>(&self, request: &Request) -> Result<A, ControlError> {
        ask(&self.socket(), request).await
    }

    async fn ike(&self) -> Vec<IkeSaView> {
        self.ask(&Request::ShowIke).await.unwrap()
    }

    async fn dump(&self) -> DumpAnswer {
        self.ask(&Request::Dump).await.unwrap()
    }

    /// Waits until the state is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&DumpAnswer) -> bool) -> DumpAnswer {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(dump) = self.ask::<DumpAnswer>(&Request::Dump).await {
                if wanted(&dump) {
                    return dump;
                }
                assert!(Instant::now() < end, "{what}: {dump:#?}");
            }
            assert!(Instant::now() < end, "{what}: no answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the pair of IPsec SAs is in the checkpoint.
    async fn until_saved(&self) {
        let file = self.folder.path().join("ike-daemon/state/ike.json");
        let end = Instant::now() + PATIENCE;
        loop {
            let saved = std::fs::read(&file).unwrap_or_default();
            let saved: serde_json::Value = serde_json::from_slice(&saved).unwrap_or_default();
            if saved["endpoint"]["children"][0].is_object() {
                return;
            }
            assert!(Instant::now() < end, "no checkpoint");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ready(&self) {
        self.until("kernel and port", |dump| {
            dump.stats.kernel_connected && dump.stats.natt_bound
        })
        .await;
    }
}

async fn ask<A: DeserializeOwned>(socket: &Path, request: &Request) -> Result<A, ControlError> {
    let mut client = ControlClient::connect(socket).await?;
    let call = client.call(request, |_| {});
    tokio::time::timeout(PATIENCE, call)
        .await
        .unwrap_or_else(|_| panic!("{request:?}: no answer"))
}

/// Two ports that nobody uses at the moment.
fn ports() -> (u16, u16) {
    let free = || {
        UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    (free(), free())
}

/// A server and a client that knows it as `office`.
fn server_and_client(more: &str) -> (Host, Host) {
    let (server, client) = (Host::new(), Host::new());
    let ports = ports();
    server.write_config(ports, more);
    let peer = SocketAddr::new(server.address, ports.0);
    client.write_config(
        ports,
        &format!("{OFFER}connections:\n  office:\n    peer: {peer}\n{more}"),
    );
    (server, client)
}

async fn connect(client: &Host) {
    let done: Done = client
        .ask(&Request::Connect {
            name: "office".into(),
            wait: true,
        })
        .await
        .unwrap();
    assert_eq!(done.message, "office is up");
}

async fn connected(more: &str) -> (Host, Host, Kernel, Kernel) {
    let (mut server, mut client) = server_and_client(more);
    let (server_kernel, client_kernel) = (server.kernel(), client.kernel());
    server.start();
    client.start();
    server.ready().await;
    client.ready().await;
    connect(&client).await;
    server
        .until("IPsec SAs", |dump| {
            dump.ipsec.iter().any(|p| p.state == "installed")
        })
        .await;
    // The daemon does not wait for the kernel to take the initiator's policies.
    let end = Instant::now() + PATIENCE;
    while client_kernel.policy_count() < 2 {
        assert!(Instant::now() < end, "no policies");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (server, client, server_kernel, client_kernel)
}

#[tokio::test]
async fn a_connection_carries_packets_and_ends_on_both_sides() {
    LocalSet::new()
        .run_until(async {
            let (server, client, server_kernel, client_kernel) = connected("nat_t: {NATT}\n").await;
            let (here, there) = (client.ike().await, server.ike().await);
            assert_eq!((here.len(), there.len()), (1, 1));
            assert_eq!(here[0].initiator_cookie, there[0].initiator_cookie);
            assert_eq!(here[0].responder_cookie, there[0].responder_cookie);
            assert!(here[0].initiator && !there[0].initiator);
            assert_eq!(
                (&here[0].state[..], &there[0].state[..]),
                ("established", "established")
            );
            assert!(!there[0].peer_nat && !there[0].local_nat);

            let of_client: IpsecAnswer = client.ask(&Request::ShowIpsec).await.unwrap();
            let of_server: IpsecAnswer = server.ask(&Request::ShowIpsec).await.unwrap();
            assert_eq!((of_client.kernel.len(), of_server.kernel.len()), (2, 2));
            assert_eq!(of_client.pairs[0].spi_in, of_server.pairs[0].spi_out);
            assert_eq!(of_client.pairs[0].spi_out, of_server.pairs[0].spi_in);
            assert!(
                of_client.text.contains("\tesp mode=transport spi="),
                "{}",
                of_client.text
            );
            // The same keys on both sides.
            let keys = |text: &str| {
                let mut keys: Vec<String> = text
                    .lines()
                    .filter(|line| line.starts_with("\tE: ") || line.starts_with("\tA: "))
                    .map(str::to_owned)
                    .collect();
                keys.sort();
                keys
            };
            assert_eq!(keys(&of_client.text), keys(&of_server.text));

            let policies: PoliciesAnswer = client.ask(&Request::ShowPolicies).await.unwrap();
            assert!(
                policies.text.contains("esp/transport//unique:"),
                "{}",
                policies.text
            );
            client_kernel.sends_to(&server_kernel, client.address, server.address);

            let _: Done = client.ask(&Request::Flush).await.unwrap();
            client
                .until("flushed", |dump| {
                    dump.ike.is_empty() && dump.ipsec.is_empty()
                })
                .await;
            server
                .until("told", |dump| dump.ike.is_empty() && dump.ipsec.is_empty())
                .await;
            let end = Instant::now() + PATIENCE;
            while server_kernel.sa_count() + client_kernel.sa_count() > 0 {
                assert!(Instant::now() < end, "SAs left in a kernel");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(client_kernel.policy_count(), 0);
        })
        .await;
}

#[tokio::test]
async fn behind_nat_the_exchange_moves_to_the_port_of_the_kernel() {
    LocalSet::new()
        .run_until(async {
            let (server, client, server_kernel, client_kernel) =
                connected("nat_t: {force: true, NATT}\n").await;
            let there = server.dump().await;
            assert!(there.ike[0].peer_nat);
            let pair = &there.ipsec[0];
            assert!(
                pair.encapsulation.is_some() && pair.encapsulation_mode.is_udp(),
                "{pair:?}"
            );
            let of_server: IpsecAnswer = server.ask(&Request::ShowIpsec).await.unwrap();
            assert!(
                of_server.text.contains("\tesp-udp mode=transport"),
                "{}",
                of_server.text
            );
            client_kernel.sends_to(&server_kernel, client.address, server.address);
        })
        .await;
}

#[tokio::test]
async fn a_crashed_daemon_is_succeeded_by_one_that_knows_its_clients() {
    LocalSet::new()
        .run_until(async {
            let (mut server, client, server_kernel, client_kernel) =
                connected("nat_t: {force: true, NATT}\n").await;
            let before = server.dump().await;
            server.until_saved().await;
            server.crash().await;
            client_kernel.sends_to(&server_kernel, client.address, server.address);
            server.start();
            server.ready().await;
            let after = server.dump().await;
            assert_eq!(after.ike.len(), 1);
            assert_eq!(
                after.ike[0].responder_cookie,
                before.ike[0].responder_cookie
            );
            assert_eq!(after.ipsec[0].spi_in, before.ipsec[0].spi_in);
            assert_eq!(server_kernel.sa_count(), 2);
            // Phase 2 goes on under the phase 1 of the process before.
            let id = client.dump().await.ipsec[0].id.0;
            let _: Done = client.ask(&Request::RekeyIpsec { id }).await.unwrap();
            let old = before.ipsec[0].spi_in;
            server
                .until("rekeyed", |dump| {
                    dump.ipsec
                        .iter()
                        .any(|p| p.spi_in != old && p.state == "installed")
                })
                .await;
            client_kernel.sends_to(&server_kernel, client.address, server.address);
        })
        .await;
}

#[tokio::test]
async fn sas_that_the_kernel_lost_are_lost_on_both_sides() {
    LocalSet::new()
        .run_until(async {
            let (server, client, server_kernel, client_kernel) = connected("nat_t: {NATT}\n").await;
            drop(server_kernel);
            server
                .until("kernel gone", |dump| !dump.stats.kernel_connected)
                .await;
            let server_kernel = server.kernel();
            server.ready().await;
            server.until("noticed", |dump| dump.ipsec.is_empty()).await;
            client.until("told", |dump| dump.ipsec.is_empty()).await;
            connect(&client).await;
            server
                .until("back", |dump| {
                    dump.ipsec.iter().any(|p| p.state == "installed")
                })
                .await;
            client_kernel.sends_to(&server_kernel, client.address, server.address);
        })
        .await;
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_a_reason() {
    LocalSet::new()
        .run_until(async {
            let (mut server, mut client) = server_and_client("nat_t: {NATT}\n");
            let _kernels = (server.kernel(), client.kernel());
            let text = std::fs::read_to_string(client.config()).unwrap();
            std::fs::write(client.config(), text.replace(PSK, "pWq3nBd5-Hs8Kf2-Jt4Vg7")).unwrap();
            server.start();
            client.start();
            server.ready().await;
            client.ready().await;
            let _: Done = client
                .ask(&Request::Connect {
                    name: "office".into(),
                    wait: false,
                })
                .await
                .unwrap();
            let stats = server
                .until("refused", |dump| !dump.stats.core.refused.is_empty())
                .await
                .stats;
            let reasons: Vec<&String> = stats.core.refused.keys().collect();
            assert_eq!(reasons, ["pre-shared key mismatch"]);
            assert!(
                server
                    .ike()
                    .await
                    .iter()
                    .all(|sa| sa.state != "established")
            );
        })
        .await;
}

#[tokio::test]
async fn orders_are_answered_and_a_broken_reload_changes_nothing() {
    LocalSet::new()
        .run_until(async {
            let mut host = Host::new();
            host.write_config(ports(), "nat_t: {NATT}\n");
            // No kernel at all: the daemon waits for it and answers meanwhile.
            host.start();
            host.until("up", |_| true).await;
            let stats: Stats = host.ask(&Request::ShowStats).await.unwrap();
            assert!(!stats.kernel_connected && !stats.natt_bound);
            assert_eq!(stats.listen.len(), 1);
            let error = host
                .ask::<IpsecAnswer>(&Request::ShowIpsec)
                .await
                .unwrap_err();
            assert!(error.to_string().ends_with("is not connected"), "{error}");
            let request = Request::Connect {
                name: "nowhere".into(),
                wait: true,
            };
            let error = host.ask::<Done>(&request).await.unwrap_err();
            assert_eq!(error.to_string(), "no connection named `nowhere`");
            let error = host
                .ask::<Done>(&Request::DeleteIke {
                    id: 1,
                    client: false,
                })
                .await;
            assert_eq!(error.unwrap_err().to_string(), "no such SA");
            let peer = "192.0.2.9".parse().unwrap();
            let error = host
                .ask::<Done>(&Request::DeletePeer { peer })
                .await
                .unwrap_err();
            assert_eq!(error.to_string(), "no SA with 192.0.2.9");

            let good = std::fs::read_to_string(host.config()).unwrap();
            std::fs::write(host.config(), format!("{good}dpd: {{attempts: 0}}\n")).unwrap();
            let error = host
                .ask::<Done>(&Request::Reload)
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(":8:17: dpd.attempts: expected 1 to 100"),
                "{error}"
            );
            std::fs::write(host.config(), format!("{good}log: {{level: debug}}\n")).unwrap();
            let done: Done = host.ask(&Request::Reload).await.unwrap();
            assert_eq!(
                done.message,
                "configuration reloaded; a restart is needed for log"
            );

            let mut raw = ControlClient::connect(&host.socket()).await.unwrap();
            let nonsense = serde_json::json!({"command": "explode"});
            let error = raw
                .call::<_, ()>(&nonsense, |_| {})
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains("unknown variant `explode`"), "{error}");
            host.crash().await;
        })
        .await;
}
