//! Complete setups as public how-tos have them, with their own words and values, and what the
//! daemon makes of them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use ppp_proto::AuthMethod;

use super::{load, load_with};
use crate::config::profile::{InterfaceMtu, link_for};
use crate::config::{Config, UserLimit, UsersFile};
use crate::console::Role;
use crate::secret::Secret;

/// The configuration; as YAML it leads to the same.
fn accepted(text: &str) -> Config {
    let config = load(text).unwrap().config;
    let written = crate::config::write::yaml(&config, None, &|_| None);
    let source = tanuki_daemon::config::Source::new("/l2tpd.yaml", written.text.clone());
    let again = Config::from_source(&source).unwrap_or_else(|problems| {
        panic!("{problems}\n{}", written.text);
    });
    assert_eq!(again.listen, config.listen);
    assert_eq!(again.users, config.users);
    assert_eq!(again.l2tp, config.l2tp);
    for (name, ranges) in &config.pools {
        assert_eq!(again.pools.get(name), Some(ranges), "{}", written.text);
    }
    let left = |path: &str| written.left.iter().any(|(left, _)| left == path);
    for (name, bundle) in &config.bundles {
        if !left(&format!("bundles.{name}.mtu")) {
            assert_eq!(again.bundles.get(name), Some(bundle), "{}", written.text);
        }
    }
    if !config.links.is_empty() && !written.left.iter().any(|(path, _)| path.ends_with(".mtu")) {
        assert_eq!(again.links, config.links, "{}", written.text);
    }
    for (name, connection) in &config.connections {
        let again = &again.connections[name];
        assert_eq!(
            (
                again.server,
                again.local,
                &again.user,
                &again.password,
                again.attempts
            ),
            (
                connection.server,
                connection.local,
                &connection.user,
                &connection.password,
                connection.attempts
            )
        );
    }
    config
}

/// The road warriors' server that most how-tos for racoon end with.
#[test]
fn road_warriors() {
    let config = accepted(
        r#"startup:
	set user ops "Ops Secret" admin
	set user watch W4tch
	set console self 127.0.0.1 5005
	set console open
	set web self 127.0.0.1 5006
	set web open
	set global enable session-time

default:
	load l2tp_server

l2tp_server:
	set ippool add pool1 192.168.101.101 192.168.101.150
	create bundle template B
	set iface idle 1800
	set iface session 86400
	set iface enable proxy-arp
	set iface enable tcpmssfix
	set iface up-script /bin/true
	set iface description "%U at %O"
	set iface group vpn
	set ipcp yes vjcomp
	set ipcp ranges 192.168.101.1/32 ippool pool1
	set ipcp dns 192.168.101.1 9.9.9.9
	set ipcp nbns 192.168.101.2
	set bundle enable compression
	set ccp yes mppc
	set mppc yes e40 e128 stateless

	create link template L l2tp
	set link action bundle B
	set link enable multilink
	set link yes acfcomp protocomp
	set link no pap chap eap
	set link enable chap
	set link keep-alive 10 60
	set link mtu 1460
	set link max-children 500
	set l2tp self 0.0.0.0
	set l2tp disable dataseq
	set link enable incoming
	set auth max-logins 1 CI
	set auth timeout 60
	set global l2tptimeout 30
"#,
    );
    assert_eq!(config.listen, ["0.0.0.0:1701".parse().unwrap()]);
    let [link] = config.links.as_slice() else {
        panic!("{:?}", config.links)
    };
    assert_eq!(
        link.authentication,
        [AuthMethod::MsChapV2, AuthMethod::ChapMd5]
    );
    assert_eq!(
        (link.mtu, link.mru, link.max_sessions),
        (1460, 1500, Some(500))
    );
    assert_eq!(
        (link.echo_interval, link.echo_failures),
        (Some(Duration::from_secs(10)), 6)
    );
    assert_eq!(link.authentication_timeout, Duration::from_secs(60));
    assert!(!link.tunnel.sequencing && !link.tunnel.length && !link.tunnel.require_secret);
    let bundle = link.bundle_for("anybody").unwrap();
    assert_eq!(bundle.local_address, Ipv4Addr::new(192, 168, 101, 1));
    assert_eq!(
        config.pools[&bundle.pool][0].to_string(),
        "192.168.101.101-192.168.101.150"
    );
    assert_eq!(bundle.dns.len(), 2);
    assert_eq!(bundle.idle_timeout, Some(Duration::from_secs(1800)));
    assert_eq!(bundle.session_timeout, Some(Duration::from_secs(86_400)));
    assert_eq!(bundle.mtu, InterfaceMtu::AtMost(1500));
    assert!(bundle.interface.proxy_arp);
    assert_eq!(bundle.interface.group.as_deref(), Some("vpn"));
    assert_eq!(
        bundle.up.as_ref().unwrap().program.to_str(),
        Some("/bin/true")
    );
    assert!(matches!(&config.users, UsersFile::MpdSecret(path) if path.ends_with("mpd.secret")));
    assert_eq!(
        config.limits.sessions_per_user,
        Some(UserLimit {
            sessions: 1,
            refuse: true,
            ignore_case: true
        })
    );
    assert_eq!(config.l2tp.idle, Duration::from_secs(30));
    assert_eq!(
        config.console.listen,
        Some("127.0.0.1:5005".parse().unwrap())
    );
    assert_eq!(config.console.web, Some("127.0.0.1:5006".parse().unwrap()));
    assert!(config.console.login && config.console.session_time);
    assert_eq!(config.console.users[0].password, Secret::new("Ops Secret"));
    assert_eq!(config.console.users[1].role, Role::User);
}

/// An access server of a provider: IPv6, CHAP of any kind, a name of its own.
#[test]
fn a_lns() {
    let config = accepted(
        "default:
	set ippool add pool1 88.0.2.1 88.0.2.99
	create bundle template B
	set ipcp ranges 88.0.2.254/32 ippool pool1
	set ipcp dns 88.0.2.253
	set bundle enable ipv6cp
	create link template L l2tp
	set l2tp enable length
	set link action bundle B
	set link enable chap
	set auth authname lns
	set l2tp self 10.0.23.3
	set l2tp hostname lns1.example.net
	set link enable incoming
",
    );
    assert_eq!(config.listen, ["10.0.23.3:1701".parse().unwrap()]);
    let link = &config.links[0];
    assert_eq!(link.local_address, Some(IpAddr::from([10, 0, 23, 3])));
    assert!(
        link.tunnel.length && link.tunnel.sequencing,
        "mpd5's default is on"
    );
    assert_eq!(link.tunnel.host_name.as_deref(), Some("lns1.example.net"));
    assert!(link.bundle_for("x").unwrap().ipv6);
    assert!(config.connections.is_empty(), "a name alone calls nobody");
}

/// One server behind several lines, each with its address, made from one template; the lines share
/// a tunnel secret, and one partner has a link of his own.
#[test]
fn several_addresses() {
    let config = accepted(
        "default:
	set ippool add pool1 10.0.16.10 10.0.16.100
	create bundle template B
	set iface enable tcpmssfix
	set ipcp ranges 10.0.16.1/24 ippool pool1
	create bundle template partner B
	set ipcp ranges 10.0.17.1/32 10.0.17.2/32
	set iface route 10.200.0.0/16
	create link template L l2tp
	set link action bundle B
	set link enable pap chap-md5
	set link keep-alive 10 30
	set link mtu 1460
	set l2tp secret blah
	create link template sdsl1 L
	set l2tp self 10.0.56.62
	set link enable incoming
	create link template sdsl2 L
	set l2tp self 10.0.56.63 1702
	set link enable incoming
	create link static special L
	set l2tp self 10.0.56.62
	set l2tp peer 198.51.100.0/24
	set l2tp secret other
	set link action clear
	set link action bundle partner
	set link enable incoming
",
    );
    assert_eq!(
        config.listen,
        [
            "10.0.56.62:1701".parse().unwrap(),
            "10.0.56.63:1702".parse().unwrap()
        ]
    );
    let name = |local: &str, peer: &str| {
        let link = link_for(&config.links, local.parse().unwrap(), peer.parse().unwrap());
        link.map(|link| link.name.clone())
    };
    assert_eq!(
        name("10.0.56.62:1701", "203.0.113.4:1701").as_deref(),
        Some("sdsl1")
    );
    assert_eq!(
        name("10.0.56.62:1701", "198.51.100.4:1701").as_deref(),
        Some("special")
    );
    assert_eq!(
        name("10.0.56.63:1702", "203.0.113.4:1701").as_deref(),
        Some("sdsl2")
    );
    assert_eq!(name("10.0.56.63:1701", "203.0.113.4:1701"), None);
    let special = config
        .links
        .iter()
        .find(|link| link.name == "special")
        .unwrap();
    assert_eq!(special.max_sessions, Some(1));
    assert_eq!(special.tunnel.secret, Some(Secret::new("other")));
    assert!(special.tunnel.require_secret);
    let partner = special.bundle_for("x").unwrap();
    assert_eq!(partner.routes, ["10.200.0.0/16".parse::<IpNet>().unwrap()]);
    assert_eq!(config.pools[&partner.pool][0].to_string(), "10.0.17.2");
}

/// Groups by login: the first action that matches counts.
#[test]
fn groups() {
    let config = accepted(
        r#"default:
	set ippool add staff 10.0.1.10 10.0.1.99
	set ippool add guests 10.0.2.10 10.0.2.250
	create bundle template common
	set ipcp dns 10.0.0.53
	set iface mtu 1380 override
	create bundle template staff common
	set ipcp ranges 10.0.0.1 ippool staff
	create bundle template guests common
	set ipcp ranges 10.0.0.1 ippool guests
	set iface name guest
	create link template in l2tp
	set link action bundle staff "@staff$"
	set link action drop "^root"
	set link action bundle guests
	set link enable chap-msv2 incoming
"#,
    );
    let link = &config.links[0];
    let bundle = |user: &str| link.bundle_for(user).map(|bundle| bundle.name.clone());
    assert_eq!(bundle("ann@staff").as_deref(), Some("staff"));
    assert_eq!(bundle("root@staff").as_deref(), Some("staff"));
    assert_eq!(bundle("rooter"), None);
    assert_eq!(bundle("ann").as_deref(), Some("guests"));
    let guests = link.bundle_for("ann").unwrap();
    assert_eq!(guests.mtu, InterfaceMtu::Exactly(1380));
    assert_eq!(guests.interface.name.as_deref(), Some("guest"));
    assert!(
        !config.bundles.contains_key("common"),
        "only a template of templates"
    );
}

/// A client of a provider, kept up for ever, and one that is opened by hand.
#[test]
fn clients() {
    let config = accepted(
        r#"default:
	create bundle static B1
	set bundle links L1
	set iface up-script /bin/true
	set iface enable tcpmssfix
	set iface route default
	set ipcp yes vjcomp
	set ipcp ranges 0.0.0.0/0 0.0.0.0/0
	set ccp yes mppc
	create link static L1 l2tp
	set link action bundle B1
	set link max-redial 0
	set link redial-delay 20
	set link mtu 1460
	set link accept chap-msv2
	set l2tp peer 198.51.100.9
	set l2tp callingnum 12345
	set auth authname "me@example.net"
	set auth password "pass word"
	bundle B1
	open
	create bundle static B2
	set ipcp ranges 10.8.0.2/32 10.8.0.1/32
	create link static L2 l2tp
	set link action bundle B2
	set l2tp peer 203.0.113.7 1702
	set l2tp self 192.0.2.1
	set l2tp secret tunnel
	set auth authname other
	set auth password x
"#,
    );
    assert!(config.listen.is_empty() && config.links.is_empty());
    assert_eq!(config.users, UsersFile::None);
    let first = &config.connections["L1"];
    assert_eq!(first.server, "198.51.100.9:1701".parse().unwrap());
    assert_eq!((first.automatic, first.attempts), (true, None));
    assert_eq!(first.retry, Duration::from_secs(20));
    assert_eq!((first.mtu, first.mru), (1460, 1500));
    assert_eq!(first.password, Secret::new("pass word"));
    assert_eq!(first.calling_number, "12345");
    assert_eq!(first.bundle.routes, ["0.0.0.0/0".parse::<IpNet>().unwrap()]);
    assert!(first.bundle.up.is_some());
    let second = &config.connections["L2"];
    assert_eq!((second.automatic, second.attempts), (false, Some(1)));
    assert_eq!(second.local, "192.0.2.1:1701".parse().unwrap());
    assert_eq!(second.server, "203.0.113.7:1702".parse().unwrap());
    assert_eq!(second.bundle.local_address, Ipv4Addr::new(10, 8, 0, 2));
    assert!(second.tunnel.require_secret);
}

/// A LAC that hands PPPoE on to an LNS, and an old PPTP server beside L2TP: refused by name, and the
/// rest served on request.
#[test]
fn other_kinds_of_links() {
    let text = "default:
	create link template L1 pppoe
	set pppoe iface vtnet0
	set link action forward L2
	set link enable incoming
	create link template P pptp
	set link action bundle B
	set pptp self 192.0.2.1
	create bundle template B
	set ipcp ranges 10.0.0.1 10.0.0.128/25
	create link template L l2tp
	set link action bundle B
	set link enable chap-msv2 incoming
";
    let problems = load(text).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("mpd.conf:2:26: PPPoE links are not served"));
    assert!(problems[1].starts_with("mpd.conf:6:25: PPTP links are not served"));
    let loaded = load_with(text, "", true).unwrap();
    assert_eq!(loaded.config.links.len(), 1);
    let left_out = loaded
        .notices
        .iter()
        .filter(|notice| notice.contains("left out"));
    assert_eq!(left_out.count(), 2, "{:?}", loaded.notices);
    let bundle = loaded.config.links[0].bundle_for("x").unwrap();
    assert_eq!(
        loaded.config.pools[&bundle.pool][0].to_string(),
        "10.0.0.129-10.0.0.254"
    );
}

/// Labels of other files, and the label of the command line.
#[test]
fn files_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    write("secure.conf", "auth:\n set link enable chap-msv2\n");
    let path = write(
        "mpd.conf",
        "default:\n load nowhere\nserver:\n create bundle template B\n \
         set ipcp ranges 10.0.0.1 10.0.0.2\n create link template L l2tp\n \
         load secure.conf auth\n set link action bundle B\n set link enable incoming\n",
    );
    let mut file = crate::config::ConfigFile {
        path,
        label: Some("server".to_owned()),
        skip_unsupported: false,
    };
    let config = file.read().unwrap().config;
    assert_eq!(config.links[0].authentication, [AuthMethod::MsChapV2]);
    file.label = None;
    let problems = file.read().unwrap_err().to_string();
    assert!(
        problems.contains("mpd.conf:2:7: there is no label 'nowhere'"),
        "{problems}"
    );
    file.label = Some("other".to_owned());
    let problems = file.read().unwrap_err().to_string();
    assert!(problems.contains("there is no label 'other'"), "{problems}");
}
