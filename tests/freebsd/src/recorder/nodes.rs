//! Conversations with nodes of one type each: `ng_l2tp.c`, `ng_ppp.c`, `ng_ksocket.c`,
//! `ng_iface.c`, `ng_tcpmss.c`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use netgraph::generic::{Connect, ListHooks, Mkpeer, Name, Shutdown};
use netgraph::node::{iface, ksocket, l2tp, ppp, tcpmss};
use pfkey::{Direction, Numbering, Policy, PolicyRequest, PolicyType};

use super::netgraph::{Odd, Recorder};
use crate::Line;

fn l2tp_config(enabled: bool) -> l2tp::Config {
    l2tp::Config {
        enabled,
        match_id: true,
        tunnel_id: 0x0101,
        peer_id: 0x0202,
        peer_window: 4,
        retransmit_max: 2,
        retransmit_max_timeout: 1,
    }
}

const fn sequence(ns: u16, nr: u16, rack: u16, xack: u16) -> l2tp::SetSequence {
    l2tp::SetSequence(l2tp::SequenceConfig {
        next_send: ns,
        next_receive: nr,
        received_ack: rack,
        sent_ack: xack,
    })
}

/// An L2TP control message: RFC 2661 section 3.1.
fn control(tunnel: u16, session: u16, ns: u16, nr: u16, avps: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + avps.len()).unwrap_or(u16::MAX);
    let mut out = Vec::new();
    for field in [0xc802, length, tunnel, session, ns, nr] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(avps);
    out
}

/// Session id 0 and a Message Type AVP, as they pass the `ctrl` hook.
fn on_ctrl(kind: u8) -> Vec<u8> {
    vec![0, 0, 0x80, 8, 0, 0, 0, 0, 0, kind]
}

fn message_type(kind: u8) -> Vec<u8> {
    on_ctrl(kind).split_off(2)
}

/// Configuration of an l2tp node, the hand-over of the first SCCRQ, its control channel.
///
/// # Errors
/// A broken or forbidden socket.
pub async fn l2tp_control() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    r.open("a")?;
    r.heading("an l2tp node between two hooks of the socket");
    r.call("a", ".:", Mkpeer::new(l2tp::TYPE, "c", "ctrl"))
        .await?;
    r.call("a", ".:c", Name::new("tanuki-t0101")).await?;
    r.call("a", ".:", Connect::new("tanuki-t0101:", "w", "lower"))
        .await?;
    r.heading("its configuration before there is one");
    r.call("a", "tanuki-t0101:", l2tp::GetConfig).await?;
    r.heading("a control message before it is enabled");
    r.data("a", "c", &on_ctrl(2)).await?;
    r.heading("numbers after an SCCRQ");
    r.call("a", "tanuki-t0101:", sequence(0, 1, 0, 1)).await?;
    r.heading("numbers that do not fit together");
    r.call("a", "tanuki-t0101:", sequence(0, 1, 0, 0)).await?;
    r.call("a", "tanuki-t0101:", sequence(1, 1, 0, 1)).await?;
    r.heading("configurations that are refused");
    let good = l2tp_config(true);
    let set = |change: &dyn Fn(&mut l2tp::Config)| {
        let mut config = good;
        change(&mut config);
        l2tp::SetConfig(config)
    };
    r.call("a", "tanuki-t0101:", set(&|c| c.peer_window = 0))
        .await?;
    r.call("a", "tanuki-t0101:", set(&|c| c.tunnel_id = 0))
        .await?;
    r.call(
        "a",
        "tanuki-t0101:",
        Odd::<{ l2tp::COOKIE }, 1>(vec![1; 11]),
    )
    .await?;
    r.heading("enabled");
    r.call("a", "tanuki-t0101:", l2tp::SetConfig(good)).await?;
    r.call("a", "tanuki-t0101:", l2tp::GetConfig).await?;
    r.heading("no limits to retransmission, which is not refused; another tunnel id, which is");
    r.call("a", "tanuki-t0101:", set(&|c| c.retransmit_max = 0))
        .await?;
    r.call("a", "tanuki-t0101:", set(&|c| c.retransmit_max_timeout = 0))
        .await?;
    r.call("a", "tanuki-t0101:", set(&|c| c.tunnel_id = 0x0109))
        .await?;
    r.call("a", "tanuki-t0101:", l2tp::SetConfig(good)).await?;
    r.heading("numbers when it is enabled");
    r.call("a", "tanuki-t0101:", sequence(0, 1, 0, 1)).await?;
    r.heading("another peer id and a larger window, then a smaller one");
    r.call(
        "a",
        "tanuki-t0101:",
        set(&|c| (c.peer_id, c.peer_window) = (0x0303, 8)),
    )
    .await?;
    r.call("a", "tanuki-t0101:", set(&|c| c.peer_window = 2))
        .await?;
    r.heading("SCCRP goes out with Nr 1; SCCCN acknowledges it");
    r.data("a", "c", &on_ctrl(2)).await?;
    r.data("a", "w", &control(0x0101, 0, 1, 1, &message_type(3)))
        .await?;
    r.heading("the acknowledgement follows by itself");
    r.wait(Duration::from_millis(300)).await?;
    r.heading("SCCCN again: acknowledged again, not shown again");
    r.data("a", "w", &control(0x0101, 0, 1, 1, &message_type(3)))
        .await?;
    r.wait(Duration::from_millis(300)).await?;
    r.heading("a message from the future, one for another tunnel, a runt");
    r.data("a", "w", &control(0x0101, 0, 5, 1, &message_type(6)))
        .await?;
    r.data("a", "w", &control(0x0109, 0, 2, 1, &message_type(6)))
        .await?;
    r.data("a", "w", &[0xc8, 2, 0]).await?;
    r.heading("an acknowledgement of what was never sent");
    r.data("a", "w", &control(0x0101, 0, 2, 9, &[])).await?;
    r.heading("a message with a session id");
    r.data("a", "w", &control(0x0101, 0x0777, 2, 1, &message_type(14)))
        .await?;
    r.heading("two messages out: the second waits for the window to open");
    r.data("a", "c", &on_ctrl(6)).await?;
    r.data("a", "c", &on_ctrl(10)).await?;
    r.heading("an acknowledgement without contents lets it go");
    r.data("a", "w", &control(0x0101, 0, 3, 2, &[])).await?;
    r.heading("statistics, read, then read and cleared, then read");
    r.call("a", "tanuki-t0101:", l2tp::GetStats).await?;
    r.call("a", "tanuki-t0101:", l2tp::GetClearStats).await?;
    r.call("a", "tanuki-t0101:", l2tp::GetStats).await?;
    r.heading("nobody acknowledges: retransmissions, then ACK_FAILURE");
    r.wait(Duration::from_millis(6000)).await?;
    r.heading("a message after that");
    r.data("a", "c", &on_ctrl(6)).await?;
    r.wait(Duration::from_millis(500)).await?;
    r.heading("disabled: numbers may be set again");
    r.call("a", "tanuki-t0101:", l2tp::SetConfig(l2tp_config(false)))
        .await?;
    r.call("a", "tanuki-t0101:", sequence(0, 1, 0, 1)).await?;
    r.heading("an initiator learns the peer's id later, once");
    r.call("a", "tanuki-t0101:", set(&|c| c.peer_id = 0))
        .await?;
    r.call("a", "tanuki-t0101:", set(&|c| c.peer_id = 0x0404))
        .await?;
    r.call("a", "tanuki-t0101:", set(&|c| c.peer_id = 0x0505))
        .await?;
    r.call("a", "tanuki-t0101:", Shutdown).await?;
    Ok(r.finish())
}

/// Sessions of an l2tp node.
///
/// # Errors
/// See [`l2tp_control`].
pub async fn l2tp_sessions() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    r.open("a")?;
    r.heading("an l2tp node, enabled");
    r.call("a", ".:", Mkpeer::new(l2tp::TYPE, "c", "ctrl"))
        .await?;
    r.call("a", ".:c", Name::new("tanuki-t0101")).await?;
    r.call("a", ".:", Connect::new("tanuki-t0101:", "w", "lower"))
        .await?;
    r.call("a", "tanuki-t0101:", l2tp::SetConfig(l2tp_config(true)))
        .await?;
    r.heading("hooks of sessions");
    r.call(
        "a",
        ".:",
        Connect::new("tanuki-t0101:", "s", "session_00ab"),
    )
    .await?;
    for bad in [
        "session_ab",
        "session_00AB",
        "session_00abc",
        "session_",
        "session_0000",
    ] {
        r.call("a", ".:", Connect::new("tanuki-t0101:", "x", bad))
            .await?;
    }
    r.call(
        "a",
        ".:",
        Connect::new("tanuki-t0101:", "y", "session_00ab"),
    )
    .await?;
    r.heading("a session's configuration before there is one");
    r.call(
        "a",
        "tanuki-t0101:",
        l2tp::GetSessionConfig(l2tp::SessionId(0x00ab)),
    )
    .await?;
    r.heading("data without configuration");
    r.data("a", "s", &[0xff, 3, 0xc0, 0x21, 1]).await?;
    let session = l2tp::SessionConfig {
        session_id: 0x00ab,
        peer_id: 0x0909,
        control_sequencing: false,
        enable_sequencing: false,
        include_length: true,
    };
    r.heading("configured: with length");
    r.call("a", "tanuki-t0101:", l2tp::SetSessionConfig(session))
        .await?;
    r.call(
        "a",
        "tanuki-t0101:",
        l2tp::GetSessionConfig(l2tp::SessionId(0x00ab)),
    )
    .await?;
    r.data("a", "s", &[0xff, 3, 0xc0, 0x21, 1]).await?;
    r.heading("with sequence numbers and without length");
    let sequenced = l2tp::SessionConfig {
        enable_sequencing: true,
        include_length: false,
        ..session
    };
    r.call("a", "tanuki-t0101:", l2tp::SetSessionConfig(sequenced))
        .await?;
    r.data("a", "s", &[0xff, 3, 0xc0, 0x21, 2]).await?;
    r.data("a", "s", &[0xff, 3, 0xc0, 0x21, 3]).await?;
    r.heading("a session that does not exist");
    let unknown = l2tp::SessionConfig {
        session_id: 0x0bbb,
        ..session
    };
    r.call("a", "tanuki-t0101:", l2tp::SetSessionConfig(unknown))
        .await?;
    r.call(
        "a",
        "tanuki-t0101:",
        l2tp::GetSessionConfig(l2tp::SessionId(0x0bbb)),
    )
    .await?;
    r.call(
        "a",
        "tanuki-t0101:",
        l2tp::GetSessionStats(l2tp::SessionId(0x0bbb)),
    )
    .await?;
    r.call(
        "a",
        "tanuki-t0101:",
        Odd::<{ l2tp::COOKIE }, 3>(vec![0xab, 0]),
    )
    .await?;
    r.heading("data in: plain, with length, with offset, with sequence numbers");
    r.data("a", "w", &[0x00, 2, 1, 1, 0, 0xab, 0x61]).await?;
    r.data("a", "w", &[0x40, 2, 0, 9, 1, 1, 0, 0xab, 0x62])
        .await?;
    r.data("a", "w", &[0x02, 2, 1, 1, 0, 0xab, 0, 2, 0xee, 0xee, 0x63])
        .await?;
    r.data("a", "w", &[0x08, 2, 1, 1, 0, 0xab, 0, 5, 0, 0, 0x64])
        .await?;
    r.heading("an older one, the same one, the next one");
    r.data("a", "w", &[0x08, 2, 1, 1, 0, 0xab, 0, 3, 0, 0, 0x65])
        .await?;
    r.data("a", "w", &[0x08, 2, 1, 1, 0, 0xab, 0, 5, 0, 0, 0x66])
        .await?;
    r.data("a", "w", &[0x08, 2, 1, 1, 0, 0xab, 0, 6, 0, 0, 0x67])
        .await?;
    r.heading("length too large, length too small, other version, other tunnel, other session");
    r.data("a", "w", &[0x40, 2, 0, 99, 1, 1, 0, 0xab, 0x62])
        .await?;
    r.data("a", "w", &[0x40, 2, 0, 8, 1, 1, 0, 0xab, 0x62, 0x63])
        .await?;
    r.data("a", "w", &[0x00, 3, 1, 1, 0, 0xab, 0x61]).await?;
    r.data("a", "w", &[0x00, 2, 9, 1, 0, 0xab, 0x61]).await?;
    r.data("a", "w", &[0x00, 2, 1, 1, 0, 0xac, 0x61]).await?;
    r.heading("statistics");
    r.call(
        "a",
        "tanuki-t0101:",
        l2tp::GetSessionStats(l2tp::SessionId(0x00ab)),
    )
    .await?;
    r.call(
        "a",
        "tanuki-t0101:",
        l2tp::GetClearSessionStats(l2tp::SessionId(0x00ab)),
    )
    .await?;
    r.call(
        "a",
        "tanuki-t0101:",
        l2tp::GetSessionStats(l2tp::SessionId(0x00ab)),
    )
    .await?;
    r.call("a", "tanuki-t0101:", l2tp::GetStats).await?;
    r.heading("disabled: no data");
    r.call("a", "tanuki-t0101:", l2tp::SetConfig(l2tp_config(false)))
        .await?;
    r.data("a", "s", &[0xff, 3, 0xc0, 0x21, 4]).await?;
    r.data("a", "w", &[0x00, 2, 1, 1, 0, 0xab, 0x61]).await?;
    r.call("a", "tanuki-t0101:", Shutdown).await?;
    Ok(r.finish())
}

/// A ppp node: configuration, framing, the bypass hook.
///
/// # Errors
/// See [`l2tp_control`].
pub async fn ppp() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    r.open("a")?;
    r.heading("a ppp node");
    r.call("a", ".:", Mkpeer::new(ppp::TYPE, "b", "bypass"))
        .await?;
    r.call("a", ".:b", Name::new("tanuki-p0101-00ab")).await?;
    let node = "tanuki-p0101-00ab:";
    r.call("a", ".:", Connect::new(node, "l", "link0")).await?;
    r.call("a", ".:", Connect::new(node, "i4", "inet")).await?;
    r.call("a", ".:", Connect::new(node, "i6", "ipv6")).await?;
    r.heading("hooks it does not have");
    for bad in ["link16", "link00", "link", "ip", "link-1"] {
        r.call("a", ".:", Connect::new(node, "x", bad)).await?;
    }
    r.heading("its configuration before there is one");
    r.call("a", node, ppp::GetConfig).await?;
    r.heading("before it is configured: LCP and IPCP in, LCP and IPCP out");
    r.data("a", "l", &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4]).await?;
    r.data("a", "l", &[0xff, 3, 0x80, 0x21, 1, 1, 0, 4]).await?;
    r.data("a", "b", &[0, 0, 0xc0, 0x21, 1, 2, 0, 4]).await?;
    r.data("a", "b", &[0, 0, 0x80, 0x21, 1, 2, 0, 4]).await?;
    r.data("a", "b", &[0xff, 0xff, 0x80, 0x21, 1, 3, 0, 4])
        .await?;
    r.heading("configurations that are refused");
    let good = ppp::NodeConfig::single_link(ppp::BundleConfig::default(), 1400, false, false);
    let set = |change: &dyn Fn(&mut ppp::NodeConfig)| {
        let mut config = good;
        change(&mut config);
        ppp::SetConfig(config)
    };
    r.call("a", node, set(&|c| c.links[0].mru = 31)).await?;
    r.call("a", node, set(&|c| c.links[0].bandwidth = 0))
        .await?;
    r.call(
        "a",
        node,
        set(&|c| c.links[0].bandwidth = ppp::MAX_BANDWIDTH + 1),
    )
    .await?;
    r.call(
        "a",
        node,
        set(&|c| c.links[0].latency = ppp::MAX_LATENCY + 1),
    )
    .await?;
    r.call("a", node, Odd::<{ ppp::COOKIE }, 1>(vec![0; 271]))
        .await?;
    r.heading("link enabled, no network protocol");
    r.call("a", node, ppp::SetConfig(good)).await?;
    r.call("a", node, ppp::GetConfig).await?;
    frames(&mut r).await?;
    r.heading("IP and IPv6 enabled, field compressions, MRU 1400");
    let bundle = ppp::BundleConfig {
        ip: true,
        ipv6: true,
        ..ppp::BundleConfig::default()
    };
    let open = ppp::NodeConfig::single_link(bundle, 1400, true, true);
    r.call("a", node, ppp::SetConfig(open)).await?;
    frames(&mut r).await?;
    r.heading("a packet as long as the MRU, and a longer one");
    r.data("a", "i4", &[0x45; 1400]).await?;
    r.data("a", "i4", &[0x45; 1401]).await?;
    r.data(
        "a",
        "b",
        &[[0, 0, 0xc0, 0x21].as_slice(), &[0x55; 1401]].concat(),
    )
    .await?;
    r.heading("statistics of the link, of the bundle, of no link");
    for link in [0, ppp::BUNDLE_LINK, 16] {
        r.call("a", node, ppp::GetLinkStats(ppp::LinkNumber(link)))
            .await?;
    }
    r.call("a", node, ppp::GetClearLinkStats(ppp::LinkNumber(0)))
        .await?;
    r.call("a", node, ppp::GetLinkStats(ppp::LinkNumber(0)))
        .await?;
    r.heading("frames that are none");
    for bad in [
        &[][..],
        &[0xff, 3],
        &[0xff, 3, 0xc0],
        &[0xff, 3, 0xc0, 0x22, 1],
        &[0x45],
    ] {
        r.data("a", "l", bad).await?;
    }
    for bad in [
        &[0, 0, 0xc0][..],
        &[0, 16, 0xc0, 0x21, 1],
        &[0, 1, 0xc0, 0x21, 1],
    ] {
        r.data("a", "b", bad).await?;
    }
    r.heading("an interface instead of our hook");
    r.call("a", node, netgraph::generic::Rmhook::new("inet"))
        .await?;
    r.call("a", node, Mkpeer::new(iface::TYPE, "inet", "inet"))
        .await?;
    r.call("a", "tanuki-p0101-00ab:inet", iface::GetIfName)
        .await?;
    r.call("a", "tanuki-p0101-00ab:inet", Shutdown).await?;
    r.call("a", node, ListHooks).await?;
    r.call("a", node, Shutdown).await?;
    Ok(r.finish())
}

/// Each kind of frame in, each kind of packet out.
async fn frames(r: &mut Recorder) -> io::Result<()> {
    r.heading(
        "in: LCP, PAP, IPCP, IPv6CP, CCP, IP, IPv6, an unknown protocol, then without \
               address and control, then with a short protocol field",
    );
    for frame in [
        &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4][..],
        &[0xff, 3, 0xc0, 0x23, 1, 1, 0, 4],
        &[0xff, 3, 0x80, 0x21, 1, 1, 0, 4],
        &[0xff, 3, 0x80, 0x57, 1, 1, 0, 4],
        &[0xff, 3, 0x80, 0xfd, 1, 1, 0, 4],
        &[0xff, 3, 0x00, 0x21, 0x45, 0, 0, 4],
        &[0xff, 3, 0x00, 0x57, 0x60, 0, 0, 4],
        &[0xff, 3, 0x00, 0x2b, 0x60, 0, 0, 4],
        &[0xc0, 0x21, 1, 1, 0, 4],
        &[0x21, 0x45, 0, 0, 4],
        &[0xff, 3, 0x21, 0x45, 0, 0, 4],
        &[0x57, 0x60, 0, 0, 4],
    ] {
        r.data("a", "l", frame).await?;
    }
    r.heading("out: LCP, IPCP by link and by bundle, IP by link and by bundle, packets");
    for frame in [
        &[0, 0, 0xc0, 0x21, 1, 2, 0, 4][..],
        &[0, 0, 0x80, 0x21, 1, 2, 0, 4],
        &[0xff, 0xff, 0x80, 0x21, 1, 2, 0, 4],
        &[0, 0, 0x00, 0x21, 0x45, 0, 0, 4],
        &[0xff, 0xff, 0x00, 0x21, 0x45, 0, 0, 4],
    ] {
        r.data("a", "b", frame).await?;
    }
    r.data("a", "i4", &[0x45, 0, 0, 4]).await?;
    r.data("a", "i6", &[0x60, 0, 0, 4]).await
}

/// Kernel sockets.
///
/// # Errors
/// See [`l2tp_control`].
pub async fn ksocket() -> io::Result<Vec<Line>> {
    let at = |port| ksocket::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let any = |port| ksocket::Address(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    let mut r = Recorder::default();
    r.open("a")?;
    r.heading("a UDP socket");
    r.call(
        "a",
        ".:",
        Mkpeer::new(ksocket::TYPE, "k", ksocket::HOOK_UDP4),
    )
    .await?;
    r.heading("sockets that do not exist");
    r.call(
        "a",
        ".:",
        Mkpeer::new(ksocket::TYPE, "x", "inet/dgram/nosuch"),
    )
    .await?;
    r.call("a", ".:", Mkpeer::new(ksocket::TYPE, "x", "lower"))
        .await?;
    r.heading("names before it has any");
    r.call("a", ".:k", ksocket::GetName).await?;
    r.call("a", ".:k", ksocket::GetPeerName).await?;
    r.heading("options");
    for name in [ksocket::SO_REUSEADDR, ksocket::SO_REUSEPORT] {
        let option = ksocket::SocketOption::integer(ksocket::SOL_SOCKET, name, 1);
        r.call("a", ".:k", ksocket::SetOption(option)).await?;
    }
    let get = ksocket::GetOption {
        level: ksocket::SOL_SOCKET,
        name: ksocket::SO_REUSEPORT,
    };
    r.call("a", ".:k", get).await?;
    let option = ksocket::SocketOption::integer(ksocket::SOL_SOCKET, 0x7777, 1);
    r.call("a", ".:k", ksocket::SetOption(option)).await?;
    r.heading("bind, again, names");
    r.call("a", ".:k", ksocket::Bind(at(17010))).await?;
    r.call("a", ".:k", ksocket::Bind(at(17011))).await?;
    r.call("a", ".:k", ksocket::GetName).await?;
    r.heading("connect to a port where nobody is, names");
    r.call("a", ".:k", ksocket::Connect(at(17020))).await?;
    r.call("a", ".:k", ksocket::GetName).await?;
    r.call("a", ".:k", ksocket::GetPeerName).await?;
    r.heading("a datagram for nobody, and another one after the ICMP error");
    r.data("a", "k", &[1, 2, 3]).await?;
    r.data("a", "k", &[1, 2, 4]).await?;
    r.heading("the peer: bound, not connected");
    r.call(
        "a",
        ".:",
        Mkpeer::new(ksocket::TYPE, "p", ksocket::HOOK_UDP4),
    )
    .await?;
    r.call("a", ".:p", ksocket::Bind(any(17020))).await?;
    r.data("a", "k", &[1, 2, 5]).await?;
    r.heading("it answers only when it is connected");
    r.data("a", "p", &[9, 9, 9]).await?;
    r.call("a", ".:p", ksocket::Connect(at(17010))).await?;
    r.call("a", ".:p", ksocket::GetName).await?;
    r.data("a", "p", &[9, 9, 8]).await?;
    r.heading("connect of a connected socket");
    r.call("a", ".:k", ksocket::Connect(at(17030))).await?;
    r.call("a", ".:k", ksocket::GetPeerName).await?;
    r.call("a", ".:k", ksocket::Connect(at(17020))).await?;
    r.heading("a second socket with the same addresses and ports");
    r.call(
        "a",
        ".:",
        Mkpeer::new(ksocket::TYPE, "k2", ksocket::HOOK_UDP4),
    )
    .await?;
    r.call("a", ".:k2", ksocket::Bind(at(17010))).await?;
    for name in [ksocket::SO_REUSEADDR, ksocket::SO_REUSEPORT] {
        let option = ksocket::SocketOption::integer(ksocket::SOL_SOCKET, name, 1);
        r.call("a", ".:k2", ksocket::SetOption(option)).await?;
    }
    r.call("a", ".:k2", ksocket::Bind(at(17010))).await?;
    r.call("a", ".:k2", ksocket::Connect(at(17020))).await?;
    r.call("a", ".:k2", ksocket::Connect(at(17021))).await?;
    policies(&mut r).await?;
    r.call("a", ".:k", Shutdown).await?;
    Ok(r.finish())
}

/// Per-socket IPsec policies.
async fn policies(r: &mut Recorder) -> io::Result<()> {
    let blob = |direction, reqid| {
        Policy::ipsec(direction, PolicyRequest::esp_transport_unique(reqid))
            .to_blob(Numbering::FreeBsd)
    };
    let option = |value| {
        ksocket::SetOption(ksocket::SocketOption {
            level: ksocket::IPPROTO_IP,
            name: ksocket::IP_IPSEC_POLICY,
            value,
        })
    };
    let bypass =
        |direction| Policy::plain(PolicyType::BYPASS, direction).to_blob(Numbering::FreeBsd);
    r.heading("IP_IPSEC_POLICY: unique, out and in");
    r.call("a", ".:k", option(blob(Direction::OUTBOUND, 12)))
        .await?;
    r.call("a", ".:k", option(blob(Direction::INBOUND, 12)))
        .await?;
    r.heading("with the largest manual request id, and a larger one");
    r.call("a", ".:k", option(blob(Direction::OUTBOUND, 0x3fff)))
        .await?;
    r.call("a", ".:k", option(blob(Direction::OUTBOUND, 0x4001)))
        .await?;
    r.heading("bypass, no direction, too short");
    r.call("a", ".:k", option(bypass(Direction::OUTBOUND)))
        .await?;
    r.call("a", ".:k", option(bypass(Direction::INBOUND)))
        .await?;
    r.call("a", ".:k", option(blob(Direction::ANY, 12))).await?;
    r.call("a", ".:k", option(vec![2, 0])).await?;
    r.heading("cleartext with bypass arrives, with unique in it does not, and does not leave");
    r.data("a", "p", &[7, 1]).await?;
    r.call("a", ".:k", option(blob(Direction::INBOUND, 12)))
        .await?;
    r.data("a", "p", &[7, 2]).await?;
    r.call("a", ".:k", option(blob(Direction::OUTBOUND, 12)))
        .await?;
    r.data("a", "k", &[7, 3]).await
}

/// Interfaces and the node that lowers the MSS.
///
/// # Errors
/// See [`l2tp_control`].
pub async fn interfaces() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    r.open("a")?;
    r.heading("an interface");
    r.call("a", ".:", Mkpeer::new(iface::TYPE, "i", "inet"))
        .await?;
    r.call("a", ".:i", iface::GetIfName).await?;
    r.call("a", ".:i", iface::GetIfIndex).await?;
    r.call("a", ".:i", iface::PointToPoint).await?;
    r.call("a", ".:i", iface::Broadcast).await?;
    r.heading("hooks");
    r.call("a", ".:", Connect::new("i", "i6", "inet6")).await?;
    r.call("a", ".:", Connect::new("i", "x", "inet")).await?;
    r.call("a", ".:", Connect::new("i", "x", "nosuch")).await?;
    r.heading("messages of softkernel's interfaces");
    r.call(
        "a",
        ".:i",
        Odd::<{ netgraph::node::soft_iface::COOKIE }, 2>(vec![0, 5, 0, 0]),
    )
    .await?;
    r.heading("it stays when its hooks are gone");
    r.call("a", ".:i", Name::new("tanuki-i0101-00ab")).await?;
    r.call("a", ".:", netgraph::generic::Rmhook::new("i"))
        .await?;
    r.call("a", ".:", netgraph::generic::Rmhook::new("i6"))
        .await?;
    r.call("a", "tanuki-i0101-00ab:", ListHooks).await?;
    r.call("a", "tanuki-i0101-00ab:", Shutdown).await?;
    mss(&mut r).await?;
    Ok(r.finish())
}

/// A TCP SYN with an MSS of 1460, checksum correct: 10.0.0.1:1000 to 10.0.0.2:80.
fn syn() -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 44, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
        3, 0xe8, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0x20, 0, 0, 0, 0, 0, // TCP
        2, 4, 5, 0xb4, // MSS
    ];
    let sum = |bytes: &[u8], start: u32| {
        let mut sum = bytes.chunks(2).fold(start, |sum, pair| {
            let low = pair.get(1).copied().unwrap_or_default();
            sum + u32::from(u16::from_be_bytes([
                pair.first().copied().unwrap_or_default(),
                low,
            ]))
        });
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    };
    let header = sum(packet.get(..20).unwrap_or_default(), 0);
    let pseudo = 0x0a00 + 1 + 0x0a00 + 2 + 6 + 24;
    let tcp = sum(packet.get(20..).unwrap_or_default(), pseudo);
    for (at, value) in [(10, header), (36, tcp)] {
        if let Some(place) = packet.get_mut(at..at + 2) {
            place.copy_from_slice(&value);
        }
    }
    packet
}

async fn mss(r: &mut Recorder) -> io::Result<()> {
    r.heading("a tcpmss node between two hooks of the socket");
    r.call("a", ".:", Mkpeer::new(tcpmss::TYPE, "in", "ppp"))
        .await?;
    r.call("a", ".:", Connect::new("in", "out", "iface"))
        .await?;
    let config = tcpmss::Config {
        in_hook: "ppp".to_owned(),
        out_hook: "iface".to_owned(),
        max_mss: 1360,
    };
    r.call("a", ".:in", tcpmss::SetConfig(config.clone()))
        .await?;
    r.heading("configurations that are refused");
    let unknown = tcpmss::Config {
        in_hook: "nosuch".to_owned(),
        ..config.clone()
    };
    r.call("a", ".:in", tcpmss::SetConfig(unknown)).await?;
    r.heading("a SYN this way is changed, that way it does not even get through");
    r.data("a", "in", &syn()).await?;
    r.data("a", "out", &syn()).await?;
    let back = tcpmss::Config {
        in_hook: "iface".to_owned(),
        out_hook: "ppp".to_owned(),
        max_mss: 1400,
    };
    r.call("a", ".:in", tcpmss::SetConfig(back)).await?;
    r.data("a", "out", &syn()).await?;
    r.heading("what is no TCP SYN passes as it is");
    r.data("a", "in", &[0x45, 0, 0, 4]).await?;
    r.call("a", ".:in", Shutdown).await.map(drop)
}
