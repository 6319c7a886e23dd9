//! Complete configurations as operators write them.

use std::net::{IpAddr, Ipv4Addr};

use crate::support::{notices, problems, run, run_with};
use mpd_conf::model::{Action, Addresses, Kind, PeerHost, Role};
use mpd_conf::options::{AuthOption, BundleOption, IfaceOption, L2tpOption, LinkOption};

/// An L2TP server with pool, scripts and RADIUS, console and web.
const TYPICAL: &str = r#"startup:
	set user ops S3cretOps admin
	set user watch W4tch operator
	set console self 127.0.0.1 5005
	set console open
	set web self 127.0.0.1 5006
	set web open
	set global enable session-time
	log -echo -radius2

default:
	load l2tp_rw

l2tp_rw:
	set ippool add roam 10.77.0.10 10.77.3.250

	create bundle template RW
	set iface enable proxy-arp tcpmssfix
	set iface idle 0
	set iface mtu 1400
	set iface up-script /usr/local/etc/mpd5/link-up.sh
	set iface down-script /usr/local/etc/mpd5/link-down.sh
	set ipcp no vjcomp
	set ipcp ranges 10.77.0.1/32 ippool roam
	set ipcp dns 10.77.0.53 10.77.0.54
	set bundle disable compression encryption

	create link template RWL l2tp
	set link action bundle RW
	set link disable multilink
	set link no pap chap-md5 chap-msv1 eap
	set link enable chap-msv2
	set link accept chap-msv2
	set link keep-alive 15 75
	set link mtu 1400
	set link mru 1400
	set link max-children 2000
	set link enable incoming
	set l2tp self 198.51.100.9
	set l2tp enable length
	set l2tp disable dataseq
	set auth disable internal
	load radius_rw

radius_rw:
	set radius server 10.77.0.40 "rad-secret" 1812 1813
	set radius server 10.77.0.41 "rad-secret" 1812 1813
	set radius timeout 4
	set radius retries 2
	set radius me 198.51.100.9
	set auth enable radius-auth radius-acct
	set auth acct-update 300
	set radsrv peer 10.77.0.40 coa-secret
	set radsrv open
	set radsrv enable coa disconnect
"#;

#[test]
fn the_typical_server_is_kept_whole_and_refused_for_radius_only() {
    let done = run(TYPICAL);
    let problems = problems(&done);
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, start) in problems.iter().zip([
        "51:18: 'set auth enable radius-auth' is refused: RADIUS is not served yet",
        "51:30: 'set auth enable radius-acct' is refused: RADIUS is not served yet",
        "54:13: 'set radsrv open' is refused: CoA and Disconnect requests",
    ]) {
        assert!(problem.starts_with(start), "{problem}");
    }
    let model = &done.model;
    assert_eq!(model.pools[0].name, "roam");
    assert_eq!(model.pools[0].ranges[0].last, Ipv4Addr::new(10, 77, 3, 250));
    assert_eq!(model.users[0].role, Role::Admin);
    assert_eq!(model.users[1].role, Role::Operator);
    assert_eq!(model.console.local.value.port, Some(5005));
    assert!(model.console.open.value);
    let bundle = model.bundle("RW").unwrap();
    assert_eq!(bundle.kind, Kind::Template);
    assert!(bundle.iface.options.enabled(IfaceOption::Tcpmssfix));
    assert_eq!(bundle.iface.mtu.value, 1400);
    assert_eq!(
        bundle
            .iface
            .up_script
            .value
            .as_ref()
            .map(|script| script.path.as_str()),
        Some("/usr/local/etc/mpd5/link-up.sh")
    );
    assert_eq!(bundle.ipcp.peer.value, Addresses::Pool("roam".to_owned()));
    assert_eq!(bundle.ipcp.dns.value.len(), 2);
    let link = model.link("RWL").unwrap();
    assert_eq!(link.actions[0].action, Action::Bundle("RW".to_owned()));
    assert!(link.options.enabled(LinkOption::ChapMsv2));
    assert!(!link.options.accepted(LinkOption::Pap));
    assert_eq!(
        (
            link.keep_alive.value.interval,
            link.keep_alive.value.maximum
        ),
        (15, 75)
    );
    assert_eq!(
        (link.mtu.value, link.mru.value, link.max_children.value),
        (1400, 1400, 2000)
    );
    assert!(!link.l2tp.options.enabled(L2tpOption::Dataseq));
    assert_eq!(
        link.l2tp.local.value.map(|local| local.address),
        Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)))
    );
    assert_eq!(link.radius.servers.len(), 2);
    assert_eq!(link.radius.servers[1].secret.expose(), "rad-secret");
    assert_eq!(
        (link.radius.timeout.value, link.radius.retries.value),
        (4, 2)
    );
    assert!(link.auth.options.enabled(AuthOption::RadiusAuth));
    assert_eq!(link.auth.acct_update.value, 300);
    assert_eq!(model.radsrv.peers.len(), 1);
}

#[test]
fn the_typical_server_with_mpd_secret_is_accepted() {
    let text = TYPICAL.replace("\tset auth disable internal\n\tload radius_rw\n", "");
    let done = run(&text);
    assert_eq!(problems(&done), Vec::<String>::new());
    let notices = notices(&done);
    let about = |what: &str| {
        notices
            .iter()
            .filter(|notice| notice.contains(what))
            .count()
    };
    assert_eq!(about("'log'"), 1);
    assert_eq!(about("console"), 0, "it is served");
    assert_eq!(about("tcpmssfix"), 0, "what is always so needs no notice");
    assert_eq!(about("vjcomp"), 0);
}

/// The PPTP server of mpd's own sample turned into an L2TP one, as how-tos tell people to do.
#[test]
fn the_sample_turned_to_l2tp() {
    let done = run("
startup:
	# configure mpd users
	set user foo bar admin
	set user foo1 bar1
	# configure the console
	set console self 127.0.0.1 5005
	set console open

default:
	load l2tp_server

l2tp_server:
# Define dynamic IP address pool.
	set ippool add pool1 192.168.1.50 192.168.1.99

# Create clonable bundle template named B
	create bundle template B
	set iface enable proxy-arp
	set iface idle 1800
	set iface enable tcpmssfix
	set ipcp yes vjcomp
	set ipcp ranges 192.168.1.1/32 ippool pool1
	set ipcp dns 192.168.1.3
	set ipcp nbns 192.168.1.4
# The five lines below enable Microsoft Point-to-Point encryption
	set bundle enable compression
	set ccp yes mppc
	set mppc yes e40
	set mppc yes e128
	set mppc yes stateless

# Create clonable link template named L
	create link template L l2tp
	set link action bundle B
	set link enable multilink
	set link yes acfcomp protocomp
	set link no pap chap eap
	set link enable chap
	set link keep-alive 10 60
# We reducing link mtu to avoid GRE packet fragmentation.
	set link mtu 1460
	set l2tp self 1.2.3.4
	set link enable incoming
");
    assert_eq!(problems(&done), Vec::<String>::new());
    assert_eq!(done.model.bundle("B").unwrap().iface.idle.value, 1800);
    let link = done.model.link("L").unwrap();
    assert!(link.options.enabled(LinkOption::ChapMd5));
    assert!(link.options.enabled(LinkOption::ChapMsv2));
    assert!(!link.options.accepted(LinkOption::Pap));
    assert_eq!(link.auth.options.span(AuthOption::Internal), None);
    let notices = notices(&done);
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("CCP is not negotiated"))
    );
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("MS-CHAP version 1")),
        "{notices:?}"
    );
}

/// A small office behind racoon: two bundles chosen by the login, shared link settings in a
/// template, shared commands in a label of their own.
#[test]
fn two_groups_by_login() {
    let done = run(r#"
startup:
	log +auth +link -fsm
default:
	load pools
	create bundle template common
	set ipcp dns 10.0.0.53
	set iface mtu 1380
	set iface enable tcpmssfix
	create bundle template staff common
	set ipcp ranges 10.0.0.1 ippool staff
	create bundle template guests common
	set ipcp ranges 10.0.0.1 ippool guests
	set iface route 10.9.0.0/16
	create link template base l2tp
	load security
	create link template in base
	set link action bundle staff "@staff$"
	set link action drop "^root"
	set link action bundle guests
	set link enable incoming
pools:
	set ippool add staff 10.0.1.10 10.0.1.99
	set ippool add staff 10.0.1.120 10.0.1.199
	set ippool add guests 10.0.2.10 10.0.2.250
security:
	set link deny pap eap
	set link enable chap-msv2
	set auth max-logins 2 CI
"#);
    assert_eq!(problems(&done), Vec::<String>::new());
    let model = &done.model;
    assert_eq!(model.pool("staff").unwrap().ranges.len(), 2);
    assert_eq!(model.bundle("staff").unwrap().iface.mtu.value, 1380);
    assert_eq!(model.bundle("staff").unwrap().iface.routes.len(), 0);
    assert_eq!(model.bundle("guests").unwrap().iface.routes.len(), 1);
    let link = model.link("in").unwrap();
    assert!(link.options.enabled(LinkOption::ChapMsv2));
    assert!(
        !model
            .link("base")
            .unwrap()
            .options
            .enabled(LinkOption::Incoming)
    );
    let actions: Vec<_> = link
        .actions
        .iter()
        .map(|a| (a.action.clone(), a.regex.as_deref()))
        .collect();
    assert_eq!(
        actions,
        [
            (Action::Bundle("staff".to_owned()), Some("@staff$")),
            (Action::Drop, Some("^root")),
            (Action::Bundle("guests".to_owned()), None),
        ]
    );
    assert_eq!(model.max_logins.value.count, 2);
    assert!(model.max_logins.value.ignore_case);
}

/// A client that dials a provider and keeps the connection up.
#[test]
fn a_client() {
    let done = run(r#"
default:
	create bundle static uplink
	set iface route default
	set iface addrs 10.1.1.1 10.1.1.2
	set ipcp ranges 0.0.0.0/0 0.0.0.0/0
	create link static dial l2tp
	set link action bundle uplink
	set auth authname "branch office"
	set auth password "pass\"word"
	set link max-redial 0
	set link redial-delay 30
	set link disable incoming
	set l2tp peer lns.example.net 1701
	set l2tp secret tunnel
	set l2tp hostname branch
	open
"#);
    assert_eq!(problems(&done), Vec::<String>::new());
    let link = done.model.link("dial").unwrap();
    assert_eq!(link.kind, Kind::Static);
    assert_eq!(link.auth.authname.value.as_deref(), Some("branch office"));
    assert_eq!(
        link.auth.password.value.as_ref().map(|p| p.expose()),
        Some("pass\"word")
    );
    assert_eq!((link.max_redial.value, link.redial_delay.value), (0, 30));
    let peer = link.l2tp.peer.value.clone().unwrap();
    assert_eq!(peer.host, PeerHost::Name("lns.example.net".to_owned()));
    assert_eq!(peer.port, Some(1701));
    assert_eq!(
        link.l2tp.secret.value.as_ref().map(|s| s.expose()),
        Some("tunnel")
    );
    assert_eq!(link.opened.as_ref().map(|span| span.line), Some(17));
    assert_eq!(
        done.model.bundle("uplink").unwrap().iface.routes[0]
            .value
            .prefix_len(),
        0
    );
}

const MIXED: &str = "
startup:
default:
	create bundle template B
	set ipcp ranges 172.16.0.1 172.16.0.0/24
	create link template P pptp
	set link action bundle B
	set link enable incoming
	set pptp self 192.0.2.1
	create link template P2 P
	set link mtu 1400
	create link template O pppoe
	set pppoe iface em0
	create link template L l2tp
	set link action bundle B
	set link enable incoming
	set l2tp self 192.0.2.1
	link P
	set link keep-alive 10 60
";

/// PPTP and L2TP side by side on an old server.
#[test]
fn mixed_link_types_are_refused_by_name() {
    assert_eq!(
        problems(&run(MIXED)),
        [
            "6:25: PPTP links are not served, only l2tp ones are",
            "10:26: such links are not served, only l2tp ones are",
            "12:25: PPPoE links are not served, only l2tp ones are",
        ]
    );
}

#[test]
fn mixed_link_types_are_passed_over_on_request() {
    let done = run_with(MIXED, true);
    assert_eq!(problems(&done), Vec::<String>::new());
    assert_eq!(done.model.links.len(), 1);
    assert_eq!(done.model.links[0].name, "L");
    assert_eq!(
        done.model.links[0].keep_alive.span, None,
        "what P gets does not reach L"
    );
    assert_eq!(notices(&done).len(), 3);
    assert!(done.model.bundle("B").is_some(), "L uses it too");
}

/// What is refused about a bundle that PPTP alone uses does not matter where PPTP is passed over.
#[test]
fn bundles_of_links_passed_over_are_passed_over() {
    let text = "
default:
	create bundle template PB
	set iface enable netflow-in
	set iface enable nat
	create link template P pptp
	set link action bundle PB
	create bundle template LB
	set ipcp ranges 172.16.0.1 172.16.0.0/24
	create link template L l2tp
	set link action bundle LB
	set link enable incoming
";
    assert_eq!(problems(&run(text)).len(), 3);
    let done = run_with(text, true);
    assert_eq!(problems(&done), Vec::<String>::new());
    assert_eq!(
        notices(&done),
        [
            "6:25: link 'P' is left out: PPTP links are not served",
            "3:25: bundle 'PB' is left out: only links left out use it",
        ]
    );
    let shared = text.replace("bundle LB", "bundle PB");
    assert_eq!(
        problems(&run_with(&shared, true)).len(),
        2,
        "L would miss what is refused"
    );
    let derived = text.replace("template LB", "template LB PB");
    assert_eq!(
        problems(&run_with(&derived, true)).len(),
        2,
        "LB inherits what is refused"
    );
}

/// IPv6 inside, IPv6 outside, sequence numbers off, every word shortened as far as mpd allows.
#[test]
fn abbreviated() {
    let done = run("
default:
 cr b template V6
 set bu en ipv6cp
 set ipc r 10.3.0.1 10.3.0.2/31
 set ipc dn 10.3.0.53
 set if mt 1280
 cr l template v6in l2tp
 set li act b V6
 set li en inc chap-msv2
 set li ke 20 60
 set li mt 1300
 set l2 se 2001:db8::9 1701
 set l2 di data
 set au ti 60
");
    assert_eq!(
        problems(&done),
        ["13:9: 'se' is ambiguous after 'set l2tp'"]
    );
    let done = done.model;
    assert!(
        done.bundle("V6")
            .unwrap()
            .options
            .enabled(BundleOption::Ipv6cp)
    );
    assert_eq!(done.bundle("V6").unwrap().iface.mtu.value, 1280);
    let link = done.link("v6in").unwrap();
    assert_eq!(link.mtu.value, 1300);
    assert_eq!(link.keep_alive.value.interval, 20);
    assert_eq!(link.auth.timeout.value, 60);
    assert!(link.options.enabled(LinkOption::Incoming));
    assert!(!link.l2tp.options.enabled(L2tpOption::Dataseq));
}
