//! Conversations about nodes, names and hooks as such, and about what outlives a socket:
//! FreeBSD's `ng_base.c` and `ng_socket.c`.

use std::io;

use netgraph::generic::{
    Connect, GetNodeInfo, ListHooks, Mkpeer, Name, Rmhook, Shutdown, TextStatus,
};
use netgraph::node::{iface, ksocket, l2tp, ppp, tcpmss};

use super::netgraph::{Odd, Recorder};
use crate::Line;

const GENERIC: u32 = netgraph::generic::COOKIE;

/// What every node understands and refuses.
///
/// # Errors
/// A broken or forbidden socket.
pub async fn generic() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    r.open("a")?;
    r.heading("a socket is a node without name");
    r.call("a", ".:", GetNodeInfo).await?;
    r.call("a", ".:", ListHooks).await?;
    r.heading("mkpeer");
    r.call("a", ".:", Mkpeer::new(ppp::TYPE, "one", "bypass"))
        .await?;
    r.heading("mkpeer on a hook that exists");
    r.call("a", ".:", Mkpeer::new(ppp::TYPE, "one", "bypass"))
        .await?;
    r.heading("mkpeer of a type that does not exist");
    r.call("a", ".:", Mkpeer::new("nosuch", "two", "bypass"))
        .await?;
    r.heading("mkpeer with a hook that the type does not know");
    r.call("a", ".:", Mkpeer::new(ppp::TYPE, "two", "nosuch"))
        .await?;
    r.heading("the node has no name");
    r.call("a", ".:one", GetNodeInfo).await?;
    r.heading("name");
    r.call("a", ".:one", Name::new("tanuki-record")).await?;
    r.call("a", "tanuki-record:", GetNodeInfo).await?;
    r.heading("the same name for another node, and for the same");
    r.call("a", ".:", Mkpeer::new(ppp::TYPE, "two", "bypass"))
        .await?;
    r.call("a", ".:two", Name::new("tanuki-record")).await?;
    r.call("a", ".:one", Name::new("tanuki-record")).await?;
    r.heading("another name for a node that has one");
    r.call("a", ".:one", Name::new("tanuki-again")).await?;
    r.call("a", "tanuki-record:", GetNodeInfo).await?;
    r.call("a", "tanuki-again:", GetNodeInfo).await?;
    r.heading("names that are none");
    r.call("a", ".:two", Name::new("")).await?;
    r.call("a", ".:two", Name::new("with.dot")).await?;
    r.call("a", ".:two", Name::new("with:colon")).await?;
    r.call("a", ".:two", Name::new("[1]")).await?;
    r.heading("connect two nodes by names and by relative paths");
    r.call(
        "a",
        "tanuki-again:",
        Connect::new("bypass.two", "link0", "inet"),
    )
    .await?;
    r.call("a", ".:", Connect::new("tanuki-again:", "three", "inet"))
        .await?;
    r.call("a", ".:one", ListHooks).await?;
    r.heading("connect to a hook that is taken, unknown, or of no node");
    r.call("a", ".:", Connect::new("tanuki-again:", "four", "inet"))
        .await?;
    r.call("a", ".:", Connect::new("tanuki-again:", "three", "ipv6"))
        .await?;
    r.call("a", ".:", Connect::new("tanuki-again:", "four", "nosuch"))
        .await?;
    r.call("a", ".:", Connect::new("nosuch:", "four", "ipv6"))
        .await?;
    r.heading("paths that lead nowhere");
    r.call("a", "nosuch:", GetNodeInfo).await?;
    r.call("a", ".:nosuch", GetNodeInfo).await?;
    r.call("a", "[ffffff]:", GetNodeInfo).await?;
    r.call("a", "tanuki-again:inet.nosuch", GetNodeInfo).await?;
    r.heading("rmhook, of a hook that is there and of one that is not");
    r.call("a", ".:", Rmhook::new("three")).await?;
    r.call("a", ".:", Rmhook::new("three")).await?;
    r.heading("text status of a node that has none");
    r.call("a", ".:one", TextStatus).await?;
    r.heading("an unknown generic message, an unknown cookie, arguments too short");
    r.call("a", ".:one", Odd::<GENERIC, 99>(Vec::new())).await?;
    r.call("a", ".:one", Odd::<12345, 1>(Vec::new())).await?;
    r.call("a", ".:", Odd::<GENERIC, 2>(vec![0x70; 10])).await?;
    r.heading("shutdown, and the hook is gone with it");
    r.call("a", ".:one", Shutdown).await?;
    r.call("a", ".:one", GetNodeInfo).await?;
    r.call("a", ".:", ListHooks).await?;
    r.heading("data to a hook that is not there");
    r.data("a", "one", &[1, 2, 3]).await?;
    Ok(r.finish())
}

/// The nodes of a tunnel and a session, made by socket "a".
async fn tunnel(r: &mut Recorder) -> io::Result<()> {
    r.open("a")?;
    r.heading("a tunnel with one session");
    r.call("a", ".:", Mkpeer::new(l2tp::TYPE, "c0001", "ctrl"))
        .await?;
    r.call("a", ".:c0001", Name::new("tanuki-t0001")).await?;
    r.call(
        "a",
        "tanuki-t0001:",
        Mkpeer::new(ksocket::TYPE, "lower", ksocket::HOOK_UDP4),
    )
    .await?;
    r.call(
        "a",
        "tanuki-t0001:",
        Mkpeer::new(ppp::TYPE, "session_0002", "link0"),
    )
    .await?;
    r.call(
        "a",
        "tanuki-t0001:session_0002",
        Name::new("tanuki-p0001-0002"),
    )
    .await?;
    r.call(
        "a",
        ".:",
        Connect::new("tanuki-p0001-0002:", "b0001-0002", "bypass"),
    )
    .await?;
    r.heading("with an interface");
    r.call(
        "a",
        "tanuki-p0001-0002:",
        Mkpeer::new(tcpmss::TYPE, "inet", "ppp"),
    )
    .await?;
    r.call(
        "a",
        "tanuki-p0001-0002:inet",
        Name::new("tanuki-m0001-0002"),
    )
    .await?;
    r.call(
        "a",
        "tanuki-m0001-0002:",
        Mkpeer::new(iface::TYPE, "iface", "inet"),
    )
    .await?;
    r.call(
        "a",
        "tanuki-m0001-0002:iface",
        Name::new("tanuki-i0001-0002"),
    )
    .await?;
    r.call(
        "a",
        "tanuki-p0001-0002:",
        Connect::new("tanuki-i0001-0002:", "ipv6", "inet6"),
    )
    .await?;
    Ok(())
}

/// What is left when the socket that made the nodes closes, and how the next one takes them over.
///
/// # Errors
/// See [`generic`].
pub async fn adoption() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    tunnel(&mut r).await?;
    r.call("a", "tanuki-i0001-0002:", iface::GetIfName).await?;
    r.call("a", "tanuki-t0001:", ListHooks).await?;
    r.call("a", "tanuki-p0001-0002:", ListHooks).await?;
    r.heading("the socket closes; all nodes live on");
    r.close("a").await?;
    r.open("b")?;
    r.call("b", "tanuki-t0001:", ListHooks).await?;
    r.call("b", "tanuki-p0001-0002:", ListHooks).await?;
    r.call("b", "tanuki-m0001-0002:", ListHooks).await?;
    r.call("b", "tanuki-i0001-0002:", ListHooks).await?;
    r.heading("another socket takes over the free hooks");
    r.call("b", ".:", Connect::new("tanuki-t0001:", "c0001", "ctrl"))
        .await?;
    r.call(
        "b",
        ".:",
        Connect::new("tanuki-p0001-0002:", "b0001-0002", "bypass"),
    )
    .await?;
    r.heading("a third one finds them taken");
    r.open("c")?;
    r.call("c", ".:", Connect::new("tanuki-t0001:", "c0001", "ctrl"))
        .await?;
    r.call(
        "c",
        ".:",
        Connect::new("tanuki-p0001-0002:", "b0001-0002", "bypass"),
    )
    .await?;
    r.heading("what goes with what: the l2tp node");
    r.call("b", "tanuki-t0001:", Shutdown).await?;
    r.call("b", "tanuki-t0001:", GetNodeInfo).await?;
    r.call("b", "tanuki-p0001-0002:", ListHooks).await?;
    r.heading("the ppp node");
    r.call("b", "tanuki-p0001-0002:", Shutdown).await?;
    r.call("b", "tanuki-m0001-0002:", ListHooks).await?;
    r.call("b", "tanuki-i0001-0002:", ListHooks).await?;
    r.heading("the tcpmss node; the interface stays without hooks");
    r.call("b", "tanuki-m0001-0002:", Shutdown).await?;
    r.call("b", "tanuki-i0001-0002:", ListHooks).await?;
    r.heading("the interface");
    r.call("b", "tanuki-i0001-0002:", Shutdown).await?;
    r.call("b", "tanuki-i0001-0002:", GetNodeInfo).await?;
    r.call("b", ".:", ListHooks).await?;
    Ok(r.finish())
}

/// Which nodes vanish with their last hook.
///
/// # Errors
/// See [`generic`].
pub async fn orphans() -> io::Result<Vec<Line>> {
    let mut r = Recorder::default();
    tunnel(&mut r).await?;
    r.heading("a tunnel without a transport has but one hook");
    r.call("a", "tanuki-t0001:lower", Shutdown).await?;
    r.call("a", "tanuki-t0001:", Rmhook::new("session_0002"))
        .await?;
    r.call("a", "tanuki-t0001:", ListHooks).await?;
    r.call("a", "tanuki-p0001-0002:", ListHooks).await?;
    r.heading("the socket closes");
    r.close("a").await?;
    r.open("b")?;
    r.call("b", "tanuki-t0001:", GetNodeInfo).await?;
    r.call("b", "tanuki-p0001-0002:", ListHooks).await?;
    r.heading("the interface goes first");
    r.call("b", "tanuki-i0001-0002:", Shutdown).await?;
    r.call("b", "tanuki-m0001-0002:", ListHooks).await?;
    r.call("b", "tanuki-p0001-0002:", ListHooks).await?;
    r.heading("then the tcpmss node: nothing is left");
    r.call("b", "tanuki-m0001-0002:", Shutdown).await?;
    r.call("b", "tanuki-p0001-0002:", GetNodeInfo).await?;
    Ok(r.finish())
}
