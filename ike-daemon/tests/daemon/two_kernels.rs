//! The system's kernel, here one without 3DES, and softkernel beside it: who carries whom.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ike_daemon::control::protocol::{Done, IpsecAnswer, Request};
use ike_proto::carrier::Carrier;
use tokio::task::LocalSet;

use super::kernel::Kernel;
use super::{Host, OFFER, PATIENCE, connect, ports};

const DES: &str = "phase2: {suites: [3des-sha1], allow_3des: true}\n";

/// A server with two kernels that allows 3DES, and a client of its own kernel that offers what
/// `client` says.
fn server_and_client(client_config: &str) -> (Host, Host) {
    let (mut server, client) = (Host::new(), Host::new());
    server.two_kernels = true;
    let ports = ports();
    server.write_config(ports, "nat_t: {NATT}\nphase2: {allow_3des: true}\n");
    let peer = SocketAddr::new(server.address, ports.0);
    let connections = format!("connections:\n  office:\n    peer: {peer}\n");
    client.write_config(ports, &format!("{OFFER}{connections}{client_config}"));
    (server, client)
}

async fn started(server: &mut Host, client: &mut Host) -> (Kernel, Kernel) {
    let system = Kernel::start_system(server.system_socket());
    let of_client = client.kernel();
    server.start();
    client.start();
    server.ready().await;
    client.ready().await;
    (system, of_client)
}

/// Waits for what a kernel shows.
async fn until(what: &str, wanted: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Connects, with the client's policies in its kernel.
async fn connected(client: &Host, kernel: &Kernel) {
    connect(client).await;
    until("policies", || kernel.policy_count() == 2).await;
}

async fn until_beside(server: &Host, there: bool) {
    server
        .until("softkernel beside", |dump| {
            dump.stats.softkernel_beside == Some(there)
        })
        .await;
}

#[tokio::test]
async fn what_the_system_can_do_it_does() {
    LocalSet::new()
        .run_until(async {
            let (mut server, mut client) = server_and_client("nat_t: {force: true, NATT}\n");
            let soft = server.kernel();
            let (system, of_client) = started(&mut server, &mut client).await;
            until_beside(&server, true).await;
            connected(&client, &of_client).await;
            let dump = server
                .until("up", |dump| {
                    dump.ipsec.iter().any(|p| p.state == "installed")
                })
                .await;
            assert_eq!(dump.ipsec[0].kernel, Carrier::System);
            assert_eq!(dump.ike[0].kernel, Some(Carrier::System));
            assert!((0x100..0x8000_0000).contains(&dump.ipsec[0].spi_in));
            assert_eq!((system.sa_count(), soft.sa_count()), (2, 0));
            assert!(soft.peers().is_empty());
            of_client.sends_to(&system, client.address, server.address);
        })
        .await;
}

#[tokio::test]
async fn a_client_the_system_cannot_serve_is_led_to_softkernel() {
    LocalSet::new()
        .run_until(async {
            let (mut server, mut client) = server_and_client(&format!("nat_t: {{NATT}}\n{DES}"));
            let soft = server.kernel();
            let (system, of_client) = started(&mut server, &mut client).await;
            until_beside(&server, true).await;
            // Without NAT it asks for plain ESP, which only the system's kernel could take.
            let refused: Result<Done, _> = client
                .ask(&Request::Connect {
                    name: "office".into(),
                    wait: true,
                })
                .await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("NO-PROPOSAL-CHOSEN"), "{refused}");
            client.until("over", |dump| dump.ike.is_empty()).await;
            // The next time it is told of a NAT.
            connected(&client, &of_client).await;
            let dump = server
                .until("up", |dump| {
                    dump.ipsec.iter().any(|p| p.state == "installed")
                })
                .await;
            let pair = &dump.ipsec[0];
            assert_eq!(pair.kernel, Carrier::Soft);
            assert!(pair.spi_in >= 0x8000_0000 && pair.encapsulation_mode.is_udp());
            assert_eq!((system.sa_count(), soft.sa_count()), (0, 2));
            until("the peer's socket", || soft.peers() == [pair.peer]).await;
            of_client.sends_to(&soft, client.address, server.address);
            let shown: IpsecAnswer = server.ask(&Request::ShowIpsec).await.unwrap();
            assert!(shown.kernel.iter().all(|sa| sa.kernel == Carrier::Soft));
            assert_eq!(shown.kernel.len(), 2);

            // IKE goes on through the connected socket, and the client stays where its tunnel is.
            let id = client.dump().await.ipsec[0].id.0;
            let _: Done = client.ask(&Request::RekeyIpsec { id }).await.unwrap();
            let old = pair.spi_in;
            let dump = server
                .until("rekeyed", |dump| {
                    dump.ipsec
                        .iter()
                        .any(|p| p.spi_in != old && p.state == "installed")
                })
                .await;
            assert!(dump.ipsec.iter().all(|p| p.kernel == Carrier::Soft));
            assert_eq!(soft.peers().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn without_softkernel_such_a_client_is_refused_until_it_runs() {
    LocalSet::new()
        .run_until(async {
            let config = format!("nat_t: {{force: true, NATT}}\n{DES}");
            let (mut server, mut client) = server_and_client(&config);
            let (_system, of_client) = started(&mut server, &mut client).await;
            until_beside(&server, false).await;
            let refused: Result<Done, _> = client
                .ask(&Request::Connect {
                    name: "office".into(),
                    wait: true,
                })
                .await;
            assert!(refused.is_err());
            let stats = server.dump().await.stats;
            let reasons: Vec<&String> = stats.core.refused.keys().collect();
            assert_eq!(reasons, ["the system's kernel cannot serve this client"]);
            let soft = server.kernel();
            until_beside(&server, true).await;
            connected(&client, &of_client).await;
            server
                .until("up", |dump| {
                    dump.ipsec.iter().any(|p| p.kernel == Carrier::Soft)
                })
                .await;
            of_client.sends_to(&soft, client.address, server.address);
        })
        .await;
}

#[tokio::test]
async fn after_a_crash_what_is_ours_is_taken_up_or_removed_and_nothing_else() {
    LocalSet::new()
        .run_until(async {
            let (mut server, mut client) = server_and_client("nat_t: {NATT}\n");
            let system = Kernel::start_system(server.system_socket());
            // Manual keys: one below our range, one inside it.
            system.add_foreign_sa(0x7001, 7);
            system.add_foreign_sa(0x7002, 5000);
            let of_client = client.kernel();
            server.start();
            client.start();
            server.ready().await;
            client.ready().await;
            connected(&client, &of_client).await;
            server.until_saved().await;
            // While it runs others may come, and are noticed.
            system.add_foreign_sa(0x7003, 5001);
            let file = server.folder.path().join("ike-daemon/state/ike.json");
            until("both reqids of others in the checkpoint", || {
                let saved = std::fs::read_to_string(&file).unwrap();
                saved.contains("\"foreign_reqids\":[5000,5001]")
            })
            .await;
            server.crash().await;
            // What a daemon leaves that dies before its checkpoint.
            system.add_foreign_sa(0x7004, 4999);
            assert_eq!(system.sa_count(), 6);
            server.start();
            until("the orphan gone", || !system.has_sa(0x7004)).await;
            assert_eq!(system.sa_count(), 5);
            assert!(
                [0x7001, 0x7002, 0x7003]
                    .iter()
                    .all(|spi| system.has_sa(*spi))
            );
            of_client.sends_to(&system, client.address, server.address);
            let _: Done = server.ask(&Request::Flush).await.unwrap();
            until("our SAs gone", || system.sa_count() == 3).await;
            assert!(
                [0x7001, 0x7002, 0x7003]
                    .iter()
                    .all(|spi| system.has_sa(*spi))
            );
        })
        .await;
}
