//! Text a peer sent, made fit for logs, scripts and terminals.

/// Longest text kept, in characters.
const LONGEST: usize = 128;

/// The printable part of peer text: trailing NULs cut (Apple's host name ends in one), everything
/// that is no printable ASCII or UTF-8 letter replaced, at most 128 characters.
#[must_use]
pub fn printable(octets: &[u8]) -> String {
    let end = octets
        .iter()
        .rposition(|&octet| octet != 0)
        .map_or(0, |last| last + 1);
    let octets = octets.get(..end).unwrap_or_default();
    String::from_utf8_lossy(octets)
        .chars()
        .take(LONGEST)
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() {
                c
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_characters_do_not_get_through() {
        assert_eq!(printable(b"anonymous"), "anonymous");
        assert_eq!(printable(b"mac\0"), "mac");
        assert_eq!(printable(b"a\nb\x1b[2J"), "a?b?[2J");
        assert_eq!(printable(b"\0\0"), "");
        assert_eq!(printable(&[b'x'; 1000]).len(), 128);
        assert_eq!(printable("Jörg".as_bytes()), "Jörg");
        assert_eq!(printable(b"\xff\xfe"), "??");
        assert_eq!(printable("a\u{202e}b".as_bytes()), "a?b");
    }
}
