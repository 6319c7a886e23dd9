//! Messages in words, without what is one machine's or one moment's: two kernels that do the same
//! say the same words.

use netgraph::NgMessage;
use netgraph::generic::{GetNodeInfo, HookList, ListHooks, NodeInfo};
use netgraph::node::iface;
use pfkey::{Extension, Lifetime, Message, MessageType};

use crate::Hex;

/// A PF_KEY message.
#[must_use]
pub fn pfkey(socket: &str, mut message: Message) -> String {
    message.reserved = 0;
    if matches!(message.kind, MessageType::DUMP | MessageType::X_SPDDUMP) {
        // Counts down in an order that is the kernel's own.
        message.sequence = 0;
    }
    for extension in &mut message.extensions {
        match extension {
            Extension::LifetimeCurrent(current) => *current = Lifetime::default(),
            Extension::Sa2(sa2) => sa2.sequence = 0,
            _ => {}
        }
    }
    let mut extensions: Vec<String> = message.extensions.iter().map(extension).collect();
    extensions.sort();
    format!(
        "{socket}: {} errno {} satype {} seq {} pid {}\n      {}",
        message.kind.name().unwrap_or("?"),
        message.errno,
        message.sa_type.0,
        message.sequence,
        message.pid,
        extensions.join("\n      "),
    )
}

fn extension(extension: &Extension) -> String {
    match extension {
        Extension::KeyAuthentication(key) | Extension::KeyEncryption(key) => {
            format!("{:?} {:02x?}", extension.kind(), key.bytes())
        }
        other => format!("{other:?}"),
    }
}

/// A netgraph message; its text form is for people, and differs. Bytes that are none stay bytes.
#[must_use]
pub fn netgraph(socket: &str, bytes: &[u8]) -> String {
    let Ok(message) = NgMessage::parse(bytes) else {
        return format!("{socket} < {}", Hex(bytes));
    };
    let node = |mut node: NodeInfo| {
        node.id = 0;
        node
    };
    let data = if message.is::<GetNodeInfo>() {
        NodeInfo::parse(&message.data).map(|info| format!("{:?}", node(info)))
    } else if message.is::<ListHooks>() {
        HookList::parse(&message.data).map(|mut list| {
            list.node = node(list.node);
            list.links.sort_by(|a, b| a.our_hook.cmp(&b.our_hook));
            for link in &mut list.links {
                link.peer.id = 0;
            }
            format!("{list:?}")
        })
    } else if message.is::<iface::GetIfIndex>() {
        Ok("an index".to_owned())
    } else {
        Ok(format!("{:02x?}", message.data))
    };
    let data = data.unwrap_or_else(|_| format!("not understood {:02x?}", message.data));
    let (cookie, command) = (message.cookie, message.command & 0xffff);
    format!(
        "{socket} < {cookie}/{command} flags {} {data}",
        message.flags
    )
}
