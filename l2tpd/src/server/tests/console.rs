//! mpd5's console over a real session: every column and label as in mpd5's sources
//! (`ShowSessions`, `ShowSummary` ... of its command.c, link.c, bund.c, iface.c, l2tp.c).

use std::time::Duration;

use super::world::{USERS, World, config, users};
use crate::console::{Context, Order, Outcome, Role, execute};
use crate::control::protocol::Request;

const SECOND: Duration = Duration::from_secs(1);

/// Alice is connected, and one client has got no further than LCP.
fn world() -> World {
    let settings = "pools: {roam: [10.77.0.10-10.77.0.19]}\n\
        links:\n- name: RWL\n  local: 192.0.2.1\n  max_sessions: 20\n  mtu: 1400\n  \
        echo: {interval: 15, failures: 5}\n  authentication: [mschapv2]\n  \
        actions: [{bundle: RW}]\n\
        bundles:\n  RW: {pool: roam, dns: [10.77.0.53, 10.77.0.54], interface: {proxy_arp: true}}\n";
    let mut world = World::new(config(settings), users(USERS));
    let client = world.client("alice", "wonderland");
    world.connect(client);
    world.pass(5 * SECOND);
    world
}

fn run(world: &World, context: &mut Context, role: Role, line: &str) -> Outcome {
    let view = world.hosts[0].server.view(world.now);
    execute(&view, context, role, line)
}

fn text(world: &World, context: &mut Context, line: &str) -> String {
    let outcome = run(world, context, Role::Admin, line);
    assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
    let text = outcome.text;
    assert_eq!(
        text.matches('\n').count(),
        text.matches("\r\n").count(),
        "lines end with CR and LF: {text:?}"
    );
    text.replace("\r\n", "\n")
}

#[test]
fn sessions_and_summary() {
    let world = world();
    let context = &mut Context::default();
    let view = world.hosts[0].server.view(world.now);
    let id = view.sessions[0].id;
    let line =
        format!("ng0\t10.77.0.10\tRW-0\t{id}-RW-0\tRWL-0\t0\t{id}-RWL-0\talice\t198.51.100.9\n");
    assert_eq!(text(&world, context, "show sessions"), line);
    for (filter, found) in [
        ("iface ng0", true),
        ("iface ng1", false),
        ("ip 10.77.0.10", true),
        ("user alice", true),
        ("user alic", false),
        ("bundle RW-0", true),
        ("link RWL-0", true),
        ("link [0]", true),
        ("link [f]", false),
        ("peer 198.51.100.9", true),
    ] {
        let expected = if found { line.as_str() } else { "" };
        let shown = text(&world, context, &format!("show sessions {filter}"));
        assert_eq!(shown, expected, "{filter}");
    }
    let shown = text(&world, context, &format!("sho sess session {id}-RWL-0"));
    assert_eq!(shown, line);
    assert_eq!(
        text(&world, context, "show summary"),
        "Current daemon status summary\n\
         Iface\tBund\t\tLink\tLCP\tDevice\t\tUser\t\tFrom\n\
         \t\t\tRWL\tInitial\tl2tp\tDOWN\t        \t\n\
         \tRW\tDown\t\n\
         \tdefault\tDown\t\n\
         ng0\tRW-0\tUp\tRWL-0\tOpened\tl2tp\tUP\t   alice\t198.51.100.9\n"
    );
    assert_eq!(
        text(&world, context, "show ippool"),
        "Available IP pools:\n\troam:\tused    1 of   10\n"
    );
    let tunnels = text(&world, context, "show l2tp");
    let row = tunnels.strip_prefix("Active L2TP tunnels:\n0x").unwrap();
    assert!(
        row.ends_with("\t 192.0.2.1 1701 <=> 198.51.100.9 1701\testablished 1 calls\n"),
        "{tunnels}"
    );
}

#[test]
fn selecting_and_closing() {
    let mut world = world();
    let context = &mut Context::default();
    let id = world.hosts[0].server.view(world.now).sessions[0].id;
    assert_eq!(
        text(&world, context, "link"),
        "Defined links:\n\tRWL\n\tRWL-0          RW-0\n"
    );
    for line in [
        "link RWL-0".to_owned(),
        "bundle RW-0".to_owned(),
        "iface ng0".to_owned(),
        format!("session {id}-RWL-0"),
        format!("msession {id}-RW-0"),
        "authname alice".to_owned(),
        "authname ALICE ci".to_owned(),
    ] {
        *context = Context::default();
        assert_eq!(text(&world, context, &line), "");
        assert_eq!(context.prompt(), "[RWL-0] ", "{line}");
        assert_eq!(context.bundle.as_deref(), Some("RW-0"), "{line}");
    }
    for line in [
        "iface ng7",
        "session x",
        "authname bob",
        "link X",
        "bundle X",
    ] {
        let outcome = run(&world, context, Role::Admin, line);
        assert_eq!(
            (outcome.code, context.prompt().as_str()),
            (-7, "[] "),
            "{line}"
        );
        assert!(
            outcome.text.starts_with(&format!("Error in '{line}': ")),
            "{outcome:?}"
        );
    }
    let outcome = run(&world, context, Role::Admin, "close");
    assert_eq!(outcome.text, "Incorrect context for: 'close'\r\n");
    text(&world, context, "link RWL");
    let outcome = run(&world, context, Role::Admin, "close");
    assert_eq!(
        outcome.text,
        "Error in 'close': impossible to close template\r\n"
    );
    text(&world, context, "link RWL-0");
    let outcome = run(&world, context, Role::User, "close");
    assert_eq!(outcome.text, "Unknown command: 'close'. Try \"help\".\r\n");
    let outcome = run(&world, context, Role::Operator, "cl li");
    let Some(Order::Request(request)) = outcome.order else {
        panic!("{outcome:?}")
    };
    assert!(matches!(request, Request::DisconnectSession { .. }));
    world.request(0, request);
    world.pass(5 * SECOND);
    assert_eq!(text(&world, context, "show sessions"), "");
    assert_eq!(context.prompt(), "[] ", "what is gone is not selected");
}

#[test]
fn one_session() {
    let world = world();
    let context = &mut Context::default();
    text(&world, context, "link RWL-0");
    let id = world.hosts[0].server.view(world.now).sessions[0].id;
    let link = text(&world, context, "show link");
    assert!(link.starts_with("Link RWL-0:\nConfiguration:\n\tDevice type    : l2tp\n"));
    for part in [
        "\tKeep-alive     : every 15 secs, timeout 75\n".to_owned(),
        "Link incoming actions:\n\tBundle\tRW\t\nLink level options:\n".to_owned(),
        "\t\t\tSelf\t\tPeer\n\tincoming  \tenable\n\tpap       \tdisable\t\tdeny\n".to_owned(),
        "\tchap-msv2 \tenable\t\taccept\n".to_owned(),
        format!("Link state:\n\tState          : UP\n\tSession Id     : {id}-RWL-0\n"),
        "Traffic stats:\n\tInput octets   : ".to_owned(),
        "\tDrop fragments : 0\n".to_owned(),
    ] {
        assert!(link.contains(&part), "{part:?} in {link}");
    }
    let lcp = text(&world, context, "show lcp");
    assert!(lcp.starts_with("LCP [Opened]\nSelf:\n\tMRU      : 1400 bytes\n\tMAGIC    : 0x"));
    assert!(lcp.contains("\tAUTHTYPE : CHAP\nPeer:\n"), "{lcp}");
    let iface = text(&world, context, "show iface");
    assert!(iface.contains("\tproxy-arp \tenable\n"), "{iface}");
    let status = "Interface status:\n\tAdmin status    : OPEN\n\tStatus          : UP\n\
         \tName            : ng0\n\tDescription     : \"<none>\"\n\tSession time    : 5 seconds\n\
         \tMTU             : 1400 bytes\n\tIP Addresses    : 10.77.0.1/32 -> 10.77.0.10\n";
    assert!(iface.contains(status), "{iface}");
    let ipcp = text(&world, context, "show ipcp");
    assert!(ipcp.starts_with("[RW-0] IPCP [Opened]\nAllowed IP address ranges:\n"));
    assert!(ipcp.contains("Current addressing:\n\tSelf: 10.77.0.1\n\tPeer: 10.77.0.10\n"));
    assert!(ipcp.contains("DNS servers :      10.77.0.53       10.77.0.54\n"));
    let device = text(&world, context, "show device");
    assert!(device.starts_with("Device 'RWL-0' (instance)\n\tType         : l2tp\n"));
    assert!(
        device.contains("\tCurrent peer : 198.51.100.9, port 1701 (tanuki)\n"),
        "{device}"
    );
    let bundle = text(&world, context, "show bundle");
    assert!(bundle.starts_with("Bundle 'RW-0':\n\tLinks          : RWL-0[Opened/UP] \n"));
    assert!(bundle.contains(&format!("\tMultiSession Id: {id}-RW-0\n")));
    let customer = text(&world, context, "show customer");
    assert!(
        customer.starts_with("Interface:\n\tName            : ng0\n"),
        "{customer}"
    );
    assert!(
        customer.contains("Link RWL-0:\n\tDevice type     : l2tp\n\tStatus          : Opened/UP\n")
    );
}

/// Whatever is typed, the answer says something or does something.
#[test]
fn every_word_is_answered() {
    let world = world();
    let context = &mut Context::default();
    text(&world, context, "link RWL-0");
    for word in [
        "ccp", "mppc", "ecp", "eap", "events", "routes", "radius", "radsrv", "nat", "mem",
        "repeater", "netflow",
    ] {
        let outcome = run(&world, context, Role::User, &format!("show {word}"));
        assert_eq!(outcome.code, -7, "{word}: {outcome:?}");
        assert!(outcome.error.len() > 10);
    }
    for word in [
        "ipv6cp", "layers", "auth", "console", "web", "user", "global", "types", "version",
    ] {
        assert!(!text(&world, context, &format!("show {word}")).is_empty());
    }
    for line in [
        "set link mtu 3",
        "create link x",
        "load x",
        "log +all",
        "unset radius x",
    ] {
        let outcome = run(&world, context, Role::Admin, line);
        assert!(
            outcome.error.contains("l2tpctl reload"),
            "{line}: {outcome:?}"
        );
        let outcome = run(&world, context, Role::Operator, line);
        assert!(
            outcome.text.starts_with("Unknown command"),
            "{line}: {outcome:?}"
        );
    }
    let outcome = run(&world, context, Role::Admin, "show ip");
    assert_eq!(
        outcome.text,
        "Ambiguous command: 'show ip'. Try \"help\".\r\n"
    );
    let outcome = run(&world, context, Role::Admin, "link a b");
    assert_eq!(outcome.text, "Usage: link {name}\r\n");
    let outcome = run(&world, context, Role::User, "");
    assert!(
        outcome
            .text
            .starts_with("Available commands:\r\n authname : Choose link by auth name\t")
    );
    let outcome = run(&world, context, Role::Admin, "shutdown");
    assert_eq!(outcome.order, Some(Order::Shutdown));
    let outcome = run(&world, context, Role::User, "shutdown");
    assert_eq!(outcome.order, None);
}
