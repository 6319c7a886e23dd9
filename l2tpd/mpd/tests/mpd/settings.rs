//! One small file per command and setting, and the value it leaves.

use mpd_conf::Model;
use mpd_conf::model::{Addresses, KeepAlive, Kind, Link, PeerHost};
use mpd_conf::options::{LinkOption, RadsrvOption};

use crate::support::{problems, run};

fn accepted(line: &str) -> Model {
    let done = run(&format!(
        "default:\n create bundle template B\n create link template L l2tp\n {line}\n"
    ));
    assert_eq!(problems(&done), Vec::<String>::new(), "{line}");
    done.model
}

fn link(line: &str) -> Link {
    accepted(line).links.remove(0)
}

#[test]
fn defaults_are_mpds() {
    let link = link("");
    assert_eq!(
        (link.mru.value, link.mtu.value, link.mrru.value),
        (1500, 1500, 2048)
    );
    assert_eq!(
        link.keep_alive.value,
        KeepAlive {
            interval: 5,
            maximum: 40
        }
    );
    assert_eq!(
        (link.max_children.value, link.max_redial.value),
        (10_000, -1)
    );
    assert_eq!((link.bandwidth.value, link.latency.value), (64_000, 2000));
    assert_eq!(
        (link.fsm_timeout.value, link.accmap.value),
        (2, 0x000a_0000)
    );
    assert_eq!(link.auth.timeout.value, 40);
    assert_eq!(
        (link.radius.timeout.value, link.radius.retries.value),
        (5, 3)
    );
    assert!(link.options.accepted(LinkOption::ChapMsv2));
    assert!(!link.options.enabled(LinkOption::ChapMsv2));
    assert!(!link.options.accepted(LinkOption::ChapMsv1));
    let model = accepted("");
    assert_eq!(model.console.local.value.port, Some(5005));
    assert_eq!(model.web.local.value.port, Some(5006));
    assert_eq!(model.radsrv.local.value.port, Some(3799));
    assert!(model.radsrv.options.enabled(RadsrvOption::Coa));
    assert_eq!(
        (
            model.global.l2tp_timeout.value,
            model.global.l2tp_limit.value
        ),
        (10, 100)
    );
    assert_eq!(model.global.qthreshold.value, (64, 256));
    let bundle = model.bundle("B").unwrap();
    assert_eq!((bundle.iface.mtu.value, bundle.iface.idle.value), (1500, 0));
}

#[test]
fn values_have_places() {
    let link = link("set link mtu 1400");
    assert_eq!(link.mtu.value, 1400);
    let span = link.mtu.span.unwrap();
    assert_eq!((&*span.file, span.line, span.column), ("mpd.conf", 4, 15));
    assert_eq!(link.span.to_string(), "mpd.conf:3:23");
}

#[test]
fn actions() {
    assert_eq!(
        link("set link action bundle B \"^a|b$\"").actions[0]
            .regex
            .as_deref(),
        Some("^a|b$")
    );
    assert_eq!(link("set link action drop \"\"").actions[0].regex, None);
    assert_eq!(
        link("set link action drop\n set link action clear").actions,
        []
    );
}

#[test]
fn peers() {
    let host = |line: &str| link(line).l2tp.peer.value.unwrap().host;
    let network = |text: &str| PeerHost::Network(text.parse().unwrap());
    assert_eq!(host("set l2tp peer 192.0.2.7"), network("192.0.2.7/32"));
    assert_eq!(
        host("set l2tp peer 192.0.2.0/24 1701"),
        network("192.0.2.0/24")
    );
    assert_eq!(
        host("set l2tp peer 2001:db8::/32"),
        network("2001:db8::/32")
    );
    assert_eq!(
        host("set l2tp peer lns.example.org"),
        PeerHost::Name("lns.example.org".to_owned())
    );
}

#[test]
fn scripts() {
    let model = accepted("bundle B\n set iface up-script \"/bin/up -v now\"");
    let script = model
        .bundles
        .first()
        .and_then(|bundle| bundle.iface.up_script.value.as_ref());
    assert_eq!(script.map(|script| script.path.as_str()), Some("/bin/up"));
    assert_eq!(script.map(|script| script.arguments.len()), Some(2));
    let model = accepted("bundle B\n set iface up-script /bin/up\n set iface up-script");
    assert_eq!(
        model
            .bundles
            .first()
            .and_then(|b| b.iface.up_script.value.clone()),
        None
    );
}

#[test]
fn interface_addresses_and_routes() {
    let model = accepted(
        "bundle B\n set iface addrs !10.0.0.1 10.0.0.2!\n set iface addrs fe80::1 fe80::2\n \
         set iface route default\n set iface route 10.2.3.4/16\n set iface mtu 1400 override",
    );
    let iface = &model.bundle("B").unwrap().iface;
    let addresses = iface.addresses.value.as_ref().unwrap();
    assert!(addresses.local_forced && addresses.peer_forced);
    assert!(!iface.addresses6.value.as_ref().unwrap().local_forced);
    let routes: Vec<_> = iface
        .routes
        .iter()
        .map(|route| route.value.to_string())
        .collect();
    assert_eq!(routes, ["0.0.0.0/0", "10.2.0.0/16"]);
    assert_eq!(iface.mtu_override.value, Some(1400));
}

#[test]
fn ranges() {
    let model = accepted(
        "set ippool add a 10.0.0.1 10.0.0.9\n set ippool add b 10.1.0.1 10.1.0.9\n \
         bundle B\n set ipcp ranges ippool a ippool b",
    );
    let ipcp = &model.bundle("B").unwrap().ipcp;
    assert_eq!(ipcp.local.value, Addresses::Pool("a".to_owned()));
    assert_eq!(ipcp.peer.value, Addresses::Pool("b".to_owned()));
    let model = accepted("bundle B\n set ipcp ranges 10.0.0.1/24 10.0.0.8/29");
    let peer = &model.bundle("B").unwrap().ipcp.peer.value;
    assert_eq!(*peer, Addresses::Range("10.0.0.8/29".parse().unwrap()));
}

#[test]
fn switches() {
    let state = |line: &str, option| {
        let link = link(line);
        (link.options.enabled(option), link.options.accepted(option))
    };
    assert_eq!(state("set link enable pap", LinkOption::Pap), (true, true));
    assert_eq!(state("set link yes pap", LinkOption::Pap), (true, true));
    assert_eq!(state("set link no pap", LinkOption::Pap), (false, false));
    assert_eq!(state("set link deny pap", LinkOption::Pap), (false, false));
    assert_eq!(
        state("set link enable PAP\n set link deny Pap\n", LinkOption::Pap),
        (true, false)
    );
}

#[test]
fn removal() {
    let servers = |line: &str| link(line).radius.servers.len();
    let two = "set radius server a s\n set radius server a s 1645 1646\n ";
    assert_eq!(servers(two), 2);
    assert_eq!(servers(&format!("{two} unset radius server a 1645")), 1);
    assert_eq!(servers(&format!("{two} unset radius server a")), 0);
    assert_eq!(servers(&format!("{two} unset radius server b")), 2);
    assert!(accepted("destroy link").links.is_empty());
    assert!(accepted("destroy bundle B").bundles.is_empty());
}

#[test]
fn created_objects() {
    let model = accepted(
        "set link mtu 1300\n create link static S L\n open link\n create link D l2tp\n open\n \
         close\n create bundle X B",
    );
    assert_eq!(model.link("S").unwrap().kind, Kind::Static);
    assert_eq!(model.link("S").unwrap().mtu.value, 1300);
    assert!(model.link("S").unwrap().opened.is_some());
    assert_eq!(model.link("D").unwrap().kind, Kind::Dynamic);
    assert_eq!(model.link("D").unwrap().opened, None);
    assert_eq!(model.bundle("X").unwrap().kind, Kind::Dynamic);
}

#[test]
fn quotes_and_escapes() {
    let name = |text: &str| {
        link(&format!("set auth authname {text}"))
            .auth
            .authname
            .value
            .unwrap()
    };
    assert_eq!(name(r#""a b""#), "a b");
    assert_eq!(name(r#"a\sb\tc"#), "a b\tc");
    assert_eq!(name(r#""q\"q\\""#), "q\"q\\");
    assert_eq!(name(r"\x41\102\q"), "ABq");
    assert_eq!(name("\\\n   joined"), "joined");
    assert_eq!(name("a#b"), "a#b");
}

#[test]
fn notices_come_once() {
    let done = run(
        "default:\n set global startrule 1\n set global startrule 2\n set global startpipe 3\n",
    );
    assert_eq!(done.notices.len(), 2);
    assert_eq!(done.model.global.start_rule.value, 2);
}

#[test]
fn secrets_are_not_printed() {
    let link =
        link("set auth password hunter2\n set l2tp secret hunter3\n set radius server h hunter4");
    let printed = format!("{link:?}");
    assert!(!printed.contains("hunter"));
}

#[test]
fn log_words() {
    let model = accepted("log -all +auth lcp\n log -lcp");
    let words: Vec<_> = model
        .log
        .iter()
        .map(|w| (w.value.0.as_str(), w.value.1))
        .collect();
    assert_eq!(words, [("all", false), ("auth", true), ("lcp", false)]);
}
