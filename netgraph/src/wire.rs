//! Reading and writing the kernel's fixed layouts: host byte order, NUL-padded names.

use crate::error::WireError;

/// `NG_NODESIZ`, `NG_TYPESIZ`, `NG_CMDSTRSIZ`: bytes of a name field including the final NUL.
pub const NAME_SIZE: usize = 32;
/// `NG_HOOKSIZ`: bytes of a hook name field including the final NUL.
pub const HOOK_SIZE: usize = 32;
/// `NG_PATHSIZ`: bytes of a path field including the final NUL.
pub const PATH_SIZE: usize = 512;

/// A cursor over a structure; every read is checked.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, left: bytes }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.left.split_at_checked(count).ok_or(WireError::Short {
            what: self.what,
            need: count,
            got: self.left.len(),
        })?;
        self.left = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, WireError> {
        self.u8().map(|byte| byte != 0)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(crate) fn u16_be(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_ne_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_ne_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_ne_bytes)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), WireError> {
        self.bytes(count).map(|_| ())
    }

    /// A NUL-terminated name in a field of `size` bytes; may be empty.
    pub(crate) fn name(&mut self, size: usize) -> Result<String, WireError> {
        let what = self.what;
        let field = self.bytes(size)?;
        let end = field
            .iter()
            .position(|&byte| byte == 0)
            .ok_or(WireError::Name { what })?;
        let text = field.get(..end).unwrap_or_default();
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(WireError::Name { what });
        }
        String::from_utf8(text.to_vec()).map_err(|_| WireError::Name { what })
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.left
    }

    /// The structure ends here.
    pub(crate) fn end(self) -> Result<(), WireError> {
        match self.left.len() {
            0 => Ok(()),
            extra => Err(WireError::Trailing {
                what: self.what,
                extra,
            }),
        }
    }
}

/// Appends the fields of a structure.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn flag(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(crate) fn u16_be(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    /// A name in a field of `size` bytes. A name that is too long is cut: no kernel object can
    /// have it, so the request is refused by the kernel with ENOENT or EINVAL.
    pub(crate) fn name(&mut self, name: &str, size: usize) -> &mut Self {
        let text: Vec<u8> = name.bytes().take(size - 1).collect();
        let padding = size - text.len();
        self.bytes(&text).zeros(padding)
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}
