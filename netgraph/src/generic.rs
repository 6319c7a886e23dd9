//! Messages that every node understands: `NGM_GENERIC_COOKIE` of `<netgraph/ng_message.h>`.

use crate::command::{plain_command, reply, struct_command};
use crate::error::WireError;
use crate::message::{HASREPLY, READONLY};
use crate::wire::{HOOK_SIZE, NAME_SIZE, PATH_SIZE, Reader, Writer};

/// `NGM_GENERIC_COOKIE`.
pub const COOKIE: u32 = 1_137_070_366;

const QUERY: u32 = READONLY | HASREPLY;

plain_command! {
    /// Removes the node: its hooks break, persistent state is lost.
    Shutdown, COOKIE, 1, "shutdown", ()
}
struct_command! {
    /// Makes a new node and connects it to the addressed one.
    Mkpeer(MkpeerArguments), COOKIE, 2, "mkpeer", ()
}
struct_command! {
    /// Connects the addressed node with another one that exists.
    Connect(ConnectArguments), COOKIE, 3, "connect", ()
}
struct_command! {
    /// Names the addressed node.
    Name(NodeName), COOKIE, 4, "name", ()
}
struct_command! {
    /// Breaks one hook of the addressed node.
    Rmhook(HookName), COOKIE, 5, "rmhook", ()
}
plain_command! {
    /// Asks for the node's name, type, id and number of hooks.
    GetNodeInfo, COOKIE, 6 | QUERY, "nodeinfo", NodeInfo
}
plain_command! {
    /// Asks for the node's hooks and what they lead to.
    ListHooks, COOKIE, 7 | QUERY, "listhooks", HookList
}
plain_command! {
    /// Lists the nodes that have names.
    ListNames, COOKIE, 8 | QUERY, "listnames", NameList
}
plain_command! {
    /// Lists all nodes.
    ListNodes, COOKIE, 9 | QUERY, "listnodes", NameList
}
plain_command! {
    /// Lists the node types there are.
    ListTypes, COOKIE, 10 | QUERY, "listtypes", TypeList
}
plain_command! {
    /// Asks a node that has one for its state in words.
    TextStatus, COOKIE, 11 | QUERY, "textstatus", Text
}

impl Mkpeer {
    /// A node of type `kind` whose `peer_hook` is connected to the asked node's `our_hook`.
    pub fn new(kind: &str, our_hook: &str, peer_hook: &str) -> Self {
        Self(MkpeerArguments {
            kind: kind.to_owned(),
            our_hook: our_hook.to_owned(),
            peer_hook: peer_hook.to_owned(),
        })
    }
}

impl Connect {
    /// Connects the asked node's `our_hook` with `peer_hook` of the node at `path`.
    pub fn new(path: &str, our_hook: &str, peer_hook: &str) -> Self {
        Self(ConnectArguments {
            path: path.to_owned(),
            our_hook: our_hook.to_owned(),
            peer_hook: peer_hook.to_owned(),
        })
    }
}

impl Name {
    /// The name to give.
    pub fn new(name: &str) -> Self {
        Self(NodeName(name.to_owned()))
    }
}

impl Rmhook {
    /// The hook to break.
    pub fn new(hook: &str) -> Self {
        Self(HookName(hook.to_owned()))
    }
}

/// `struct ngm_mkpeer`, 96 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MkpeerArguments {
    /// Type of the new node.
    pub kind: String,
    /// Hook of the asked node.
    pub our_hook: String,
    /// Hook of the new node.
    pub peer_hook: String,
}

impl MkpeerArguments {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ngm_mkpeer", bytes);
        let out = Self {
            kind: reader.name(NAME_SIZE)?,
            our_hook: reader.name(HOOK_SIZE)?,
            peer_hook: reader.name(HOOK_SIZE)?,
        };
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .name(&self.kind, NAME_SIZE)
            .name(&self.our_hook, HOOK_SIZE)
            .name(&self.peer_hook, HOOK_SIZE)
            .finish()
    }
}

/// `struct ngm_connect`, 576 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectArguments {
    /// Path of the other node.
    pub path: String,
    /// Hook of the asked node.
    pub our_hook: String,
    /// Hook of the other node.
    pub peer_hook: String,
}

impl ConnectArguments {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ngm_connect", bytes);
        let out = Self {
            path: reader.name(PATH_SIZE)?,
            our_hook: reader.name(HOOK_SIZE)?,
            peer_hook: reader.name(HOOK_SIZE)?,
        };
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new()
            .name(&self.path, PATH_SIZE)
            .name(&self.our_hook, HOOK_SIZE)
            .name(&self.peer_hook, HOOK_SIZE)
            .finish()
    }
}

/// `struct ngm_name`, 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(pub String);

impl NodeName {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ngm_name", bytes);
        let name = reader.name(NAME_SIZE)?;
        reader.end()?;
        Ok(Self(name))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().name(&self.0, NAME_SIZE).finish()
    }
}

/// `struct ngm_rmhook`, 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookName(pub String);

impl HookName {
    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ngm_rmhook", bytes);
        let name = reader.name(HOOK_SIZE)?;
        reader.end()?;
        Ok(Self(name))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().name(&self.0, HOOK_SIZE).finish()
    }
}

/// `struct nodeinfo`, 72 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's name, empty if it has none.
    pub name: String,
    /// The node's type.
    pub kind: String,
    /// Its number, usable as the path `[%x]:`.
    pub id: u32,
    /// Connected hooks.
    pub hooks: u32,
}

impl NodeInfo {
    const SIZE: usize = 72;

    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("nodeinfo", bytes);
        let out = Self::read(&mut reader)?;
        reader.end()?;
        Ok(out)
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            name: reader.name(NAME_SIZE)?,
            kind: reader.name(NAME_SIZE)?,
            id: reader.u32()?,
            hooks: reader.u32()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer
            .name(&self.name, NAME_SIZE)
            .name(&self.kind, NAME_SIZE)
            .u32(self.id)
            .u32(self.hooks);
    }
}

/// `struct linkinfo`, 136 bytes: one hook of a node and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// The node's own hook.
    pub our_hook: String,
    /// The hook at the other end.
    pub peer_hook: String,
    /// The node at the other end.
    pub peer: NodeInfo,
}

/// `struct hooklist`: a node and all its hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookList {
    /// The node.
    pub node: NodeInfo,
    /// Its hooks.
    pub links: Vec<LinkInfo>,
}

impl HookList {
    const LINK_SIZE: usize = 2 * HOOK_SIZE + NodeInfo::SIZE;

    /// Reads the structure.
    ///
    /// # Errors
    /// Wrong size or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("hooklist", bytes);
        let node = NodeInfo::read(&mut reader)?;
        let rest = reader.rest();
        let mut links = Vec::new();
        for chunk in rest.chunks(Self::LINK_SIZE) {
            let mut reader = Reader::new("linkinfo", chunk);
            links.push(LinkInfo {
                our_hook: reader.name(HOOK_SIZE)?,
                peer_hook: reader.name(HOOK_SIZE)?,
                peer: NodeInfo::read(&mut reader)?,
            });
        }
        Ok(Self { node, links })
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.node.write(&mut writer);
        for link in &self.links {
            writer
                .name(&link.our_hook, HOOK_SIZE)
                .name(&link.peer_hook, HOOK_SIZE);
            link.peer.write(&mut writer);
        }
        writer.finish()
    }
}

/// `struct namelist`: a count and that many `struct nodeinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameList(pub Vec<NodeInfo>);

impl NameList {
    /// Reads the structure.
    ///
    /// # Errors
    /// Fewer entries than the count says, or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("namelist", bytes);
        let count = reader.u32()?;
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(NodeInfo::read(&mut reader)?);
        }
        Ok(Self(nodes))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for node in &self.0 {
            node.write(&mut writer);
        }
        writer.finish()
    }
}

/// `struct typelist`: the types and how many nodes of each are alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeList(pub Vec<(String, u32)>);

impl TypeList {
    /// Reads the structure.
    ///
    /// # Errors
    /// Fewer entries than the count says, or an unusable name.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("typelist", bytes);
        let count = reader.u32()?;
        let mut types = Vec::new();
        for _ in 0..count {
            types.push((reader.name(NAME_SIZE)?, reader.u32()?));
        }
        Ok(Self(types))
    }

    /// Its bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for (name, count) in &self.0 {
            writer.name(name, NAME_SIZE).u32(*count);
        }
        writer.finish()
    }
}

/// A node's state in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl Text {
    /// Reads text up to the first NUL; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// None; the signature is that of every reply.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Self(String::from_utf8_lossy(text).into_owned()))
    }

    /// Its bytes, NUL at the end.
    pub fn emit(&self) -> Vec<u8> {
        Writer::new().bytes(self.0.as_bytes()).u8(0).finish()
    }
}

reply!(NodeInfo);
reply!(HookList);
reply!(NameList);
reply!(TypeList);
reply!(Text);
