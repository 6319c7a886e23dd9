//! Node paths of netgraph(4): `name:hook.hook`, `[id]:hook`, `.:hook`, or `hook.hook` alone,
//! which starts at the asking node.

use netgraph::{Errno, NAME_SIZE};

use super::NodeId;

/// Where a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// The node that asks.
    Here,
    /// A node by number.
    Id(NodeId),
    /// A node by name.
    Name(&'a str),
}

/// A path taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'a> {
    /// Where it starts.
    pub start: Start<'a>,
    hooks: &'a str,
}

impl<'a> Path<'a> {
    /// Takes a path apart.
    ///
    /// # Errors
    /// EINVAL for a path that cannot be one.
    pub fn parse(path: &'a str) -> Result<Self, Errno> {
        let (start, hooks) = match path.split_once(':') {
            None => (Start::Here, path),
            Some(("" | ".", hooks)) => (Start::Here, hooks),
            Some((name, hooks)) => match id_name(name) {
                Some(id) => (Start::Id(NodeId(id)), hooks),
                None => (Start::Name(name), hooks),
            },
        };
        let empty_hook = !hooks.is_empty() && hooks.split('.').any(str::is_empty);
        if hooks.contains(':') || empty_hook {
            return Err(Errno::EINVAL);
        }
        Ok(Self { start, hooks })
    }

    /// The hooks to follow.
    pub fn hooks(&self) -> impl Iterator<Item = &'a str> {
        self.hooks.split('.').filter(|hook| !hook.is_empty())
    }
}

/// Checks a name for a node: no separators, not the form of a number.
///
/// # Errors
/// EINVAL.
pub fn check_node_name(name: &str) -> Result<(), Errno> {
    let usable = !name.is_empty()
        && name.len() < NAME_SIZE
        && !name.contains(['.', ':'])
        && id_name(name).is_none();
    if usable { Ok(()) } else { Err(Errno::EINVAL) }
}

/// The number in `[1f]`.
fn id_name(name: &str) -> Option<u32> {
    let digits = name.strip_prefix('[')?.strip_suffix(']')?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> (Start<'_>, Vec<&str>) {
        let path = Path::parse(path).unwrap();
        (path.start, path.hooks().collect())
    }

    #[test]
    fn forms_of_a_path() {
        assert_eq!(
            parsed("tanuki-t0001:"),
            (Start::Name("tanuki-t0001"), vec![])
        );
        assert_eq!(
            parsed("tanuki-t0001:lower"),
            (Start::Name("tanuki-t0001"), vec!["lower"])
        );
        assert_eq!(
            parsed("[1f]:inet.out"),
            (Start::Id(NodeId(0x1f)), vec!["inet", "out"])
        );
        assert_eq!(parsed(".:"), (Start::Here, vec![]));
        assert_eq!(parsed("c0001"), (Start::Here, vec!["c0001"]));
        assert_eq!(parsed(""), (Start::Here, vec![]));
        for wrong in ["a:b:c", "a:.b", "a:b..c", "a:b."] {
            assert_eq!(Path::parse(wrong), Err(Errno::EINVAL), "{wrong}");
        }
        assert_eq!(check_node_name("tanuki-p1-2"), Ok(()));
        for wrong in ["", "a.b", "a:", "[1f]", "12345678901234567890123456789012"] {
            assert_eq!(check_node_name(wrong), Err(Errno::EINVAL), "{wrong}");
        }
    }
}
