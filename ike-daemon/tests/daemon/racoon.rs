//! What racoon's habits find: its admin socket, its programs, its policies.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use ike_daemon::racoonctl::client::converse;
use ike_daemon::racoonctl::command_line::{self, Surroundings};
use ike_daemon::racoonctl::own_socket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;

/// What racoonctl prints, or the errno it ends with.
async fn racoonctl(socket: &Path, line: &str) -> Result<String, i32> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let socket = socket.to_owned();
    let conversation = tokio::task::spawn_blocking(move || {
        let mut surroundings = Surroundings {
            password: &mut || Ok("secret".to_owned().into()),
            source_for: &ike_daemon::net::udp::source_for,
        };
        let invocation = command_line::parse(&words, &mut surroundings).unwrap();
        let mut out = Vec::new();
        converse(&invocation, &socket, &mut out)
            .map(|()| String::from_utf8(out).unwrap())
            .map_err(|error| error.raw_os_error().unwrap_or(-1))
    });
    tokio::time::timeout(PATIENCE, conversation)
        .await
        .unwrap_or_else(|_| panic!("{line}: no end"))
        .unwrap()
}

/// Waits until a file says what is wanted.
async fn until_file_says(path: &Path, wanted: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.contains(wanted) {
            return text;
        }
        assert!(Instant::now() < end, "no {wanted} in {text:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn racoonctl_directs_the_daemon() {
    LocalSet::new()
        .run_until(async {
            let (mut server, mut client) = server_and_client("nat_t: {NATT}\n");
            let at = client.folder.path().join("admin.sock");
            let config = std::fs::read_to_string(client.config()).unwrap();
            let more = format!(
                "admin_socket:\n  path: {}\n  mode: \"0660\"\n",
                at.display()
            );
            std::fs::write(client.config(), config + &more).unwrap();
            let _kernels = (server.kernel(), client.kernel());
            server.start();
            client.start();
            server.ready().await;
            client.ready().await;
            let metadata = std::fs::metadata(&at).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
            assert_eq!(metadata.uid(), nix::unistd::geteuid().as_raw());

            let (us, peer) = (client.address, server.address);
            let sa = format!("inet {us} {peer}");
            let none = racoonctl(&at, "ss isakmp").await.unwrap();
            assert_eq!(none.lines().count(), 1);
            assert_eq!(racoonctl(&at, "ss esp").await.unwrap(), "No SAD entries.\n");
            let up = racoonctl(&at, &format!("es -w isakmp {sa}")).await;
            assert_eq!(up.unwrap(), "VPN connexion established\n");
            client
                .until("pair", |dump| {
                    dump.ipsec.iter().any(|p| p.state == "installed")
                })
                .await;
            // By the peer's address, and by the name of the connection.
            for line in [
                format!("es isakmp {sa}"),
                format!("es -n office isakmp {sa}"),
            ] {
                assert_eq!(racoonctl(&at, &line).await, Err(libc::EEXIST));
            }
            assert_eq!(
                racoonctl(&at, &format!("es -n home isakmp {sa}")).await,
                Err(libc::ENOENT)
            );
            let shown = racoonctl(&at, "-ll ss isakmp").await.unwrap();
            let row = shown.lines().nth(1).unwrap();
            let ike = &client.ike().await[0];
            let cookies = format!("{}:{}", ike.initiator_cookie, ike.responder_cookie);
            assert!(row.contains(&cookies), "{row}");
            assert!(
                row.contains("  9 I 10 M ") && row.ends_with("     1 "),
                "{row}"
            );
            // The runtime folder's socket is always there.
            let esp = racoonctl(&own_socket(client.folder.path()), "ss ipsec")
                .await
                .unwrap();
            assert_eq!(esp.matches("\tesp mode=transport spi=").count(), 2, "{esp}");
            assert!(racoonctl(&at, "sc").await.unwrap().lines().count() > 2);
            assert_eq!(racoonctl(&at, &format!("gc {sa}")).await, Ok(String::new()));
            assert_eq!(
                racoonctl(&at, "gc inet 0.0.0.0 192.0.2.9").await,
                Err(libc::ENOENT)
            );
            assert_eq!(racoonctl(&at, "ss internal").await, Err(libc::ENOTSUP));
            assert_eq!(racoonctl(&at, "rc").await, Ok(String::new()));

            racoonctl(&at, "fs ipsec").await.unwrap();
            client.until("no pair", |dump| dump.ipsec.is_empty()).await;
            assert_eq!(client.ike().await.len(), 1);
            let down = racoonctl(&at, &format!("vd {peer}")).await.unwrap();
            assert!(down.starts_with("Phase 1 deleted : "), "{down}");
            client.until("nothing", |dump| dump.ike.is_empty()).await;
            server.until("nothing", |dump| dump.ike.is_empty()).await;
        })
        .await;
}

#[tokio::test]
async fn nonsense_on_the_admin_socket_harms_nobody() {
    LocalSet::new()
        .run_until(async {
            let (mut server, _) = server_and_client("nat_t: {NATT}\n");
            let _kernel = server.kernel();
            server.start();
            server.ready().await;
            let at = own_socket(server.folder.path());
            let mut silent = Vec::new();
            for octets in [
                &b""[..],
                b"GET / HTTP/1.0\r\n\r\n",
                // Claims 64 KiB and sends nothing of it.
                &[0xff, 0xff, 0x02, 0x82, 1, 0, 0xff, 1],
                // Shorter than its own header; then commands that want more than they get.
                &[0, 0, 0x01, 0x82, 1, 0, 0xff, 1],
                &[8, 0, 0x02, 0x82, 1, 0, 0xff, 1],
                &[8, 0, 0x03, 0x82, 1, 0, 0xff, 1],
                &[8, 0, 0x77, 0x87, 1, 0, 0, 0],
                &[8, 0, 0x01, 0x81, 1, 0, 0x77, 0x77],
            ] {
                let mut stream = UnixStream::connect(&at).await.unwrap();
                stream.write_all(octets).await.unwrap();
                // Still open while others ask.
                silent.push(stream);
            }
            let shown = racoonctl(&at, "ss isakmp").await.unwrap();
            assert_eq!(shown.lines().count(), 1);
            // Who asked for what is not there is told so.
            let mut answer = [0; 8];
            silent[4].read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[..6], [8, 0, 0x02, 0x02, libc::EINVAL as u8, 0]);
        })
        .await;
}

#[tokio::test]
async fn programs_run_with_racoons_environment() {
    LocalSet::new()
        .run_until(async {
            let (mut server, mut client) = server_and_client("nat_t: {NATT}\n");
            let program = server.folder.path().join("program.sh");
            let out = server.folder.path().join("out");
            let text = format!(
                "#!/bin/sh\n{{ echo \"$@\"; /usr/bin/env; }} >>{}\n",
                out.display()
            );
            std::fs::write(&program, text).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            let config = std::fs::read_to_string(server.config()).unwrap();
            let program = program.display();
            let more = format!("scripts:\n  phase1_up: {program}\n  phase1_down: {program}\n");
            std::fs::write(server.config(), config + &more).unwrap();
            let _kernels = (server.kernel(), client.kernel());
            server.start();
            client.start();
            server.ready().await;
            client.ready().await;
            connect(&client).await;
            let text = until_file_says(&out, "REMOTE_ID=").await;
            assert!(text.starts_with("phase1_up\n"), "{text}");
            let peer = server.ike().await[0].peer;
            for line in [
                format!("LOCAL_ADDR={}", server.address),
                format!("REMOTE_ADDR={}", client.address),
                format!("REMOTE_PORT={}", peer.port()),
                format!("REMOTE_ID={}", client.address),
            ] {
                assert!(text.lines().any(|own| own == line), "{line}: {text}");
            }
            // What sh adds by itself aside, that is all of it.
            let own = |line: &&str| {
                line.contains('=') && !["PWD", "SHLVL", "_"].iter().any(|n| line.starts_with(n))
            };
            assert_eq!(text.lines().filter(own).count(), 5, "{text}");
            let _: Done = client.ask(&Request::Flush).await.unwrap();
            until_file_says(&out, "phase1_down\n").await;
        })
        .await;
}

#[tokio::test]
async fn entries_of_a_script_come_and_go_with_the_daemon() {
    LocalSet::new()
        .run_until(async {
            let (mut server, _) = server_and_client("nat_t: {NATT}\n");
            let script = server.folder.path().join("ipsec.conf");
            let policy = |net: &str| {
                format!("spdadd {net} 192.0.2.1/32[1701] udp -P in ipsec esp/transport//require;\n")
            };
            let sa = "add 192.0.2.1 192.0.2.2 esp 0x2001 -E aes-cbc 0x00112233445566778899aabbccddeeff \
                      -A hmac-sha1 0x0011223344556677889900112233445566778899;\n";
            std::fs::write(&script, policy("10.0.0.0/8") + &policy("10.1.0.0/16") + sa).unwrap();
            let config = std::fs::read_to_string(server.config()).unwrap();
            let more = format!("setkey: {}\n", script.display());
            std::fs::write(server.config(), config + &more).unwrap();
            let kernel = server.kernel();
            server.start();
            server.ready().await;
            let until = async |policies: usize, sas: usize| {
                let end = Instant::now() + PATIENCE;
                while (kernel.policy_count(), kernel.sa_count()) != (policies, sas) {
                    assert!(Instant::now() < end, "{}", kernel.policy_count());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            until(2, 1).await;
            // A crash leaves them; the next process knows them for its own.
            let saved = server.folder.path().join("ike-daemon/state/ike.json");
            for entry in ["10.0.0.0/8", "10.1.0.0/16", "0x2001"] {
                until_file_says(&saved, entry).await;
            }
            server.crash().await;
            server.start();
            server.ready().await;
            until(2, 1).await;
            std::fs::write(&script, policy("10.0.0.0/8")).unwrap();
            let _: Done = server.ask(&Request::Reload).await.unwrap();
            until(1, 0).await;
            std::fs::write(&script, policy("10.2.0.0/16") + sa).unwrap();
            let _: Done = server.ask(&Request::Reload).await.unwrap();
            until(1, 1).await;
        })
        .await;
}
