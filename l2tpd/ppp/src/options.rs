//! Configuration options (RFC 1661 section 6): `Type, Length, Data`, and the judgement of a list.

use crate::packet::{HEADER, MAX_FRAME};

/// One option as it stands in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opt<'a> {
    pub(crate) kind: u8,
    /// Without Type and Length.
    pub(crate) data: &'a [u8],
    /// With Type and Length.
    pub(crate) whole: &'a [u8],
    /// A second option of this type: section 5.1 forbids them unless specified, clients send them.
    pub(crate) repeat: Repeat,
}

/// How an option relates to an earlier one of its type in the same packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// There is no earlier one.
    First,
    /// It says the same again: harmless, ignored.
    Same,
    /// It says something else: cannot be agreed to.
    Different,
}

impl Opt<'_> {
    /// The data as a fixed-size array.
    pub(crate) fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.data.try_into().ok()
    }
}

/// Splits a list of options. `None` if a Length is below 2 or runs over the end: such a packet is
/// invalid as a whole.
pub(crate) fn parse(mut data: &[u8]) -> Option<Vec<Opt<'_>>> {
    let mut first: [Option<&[u8]>; 256] = [None; 256];
    let mut options = Vec::new();
    while !data.is_empty() {
        let [kind, length, ..] = *data else {
            return None;
        };
        let (whole, rest) = data.split_at_checked(usize::from(length))?;
        let value = whole.get(2..)?;
        let slot = first.get_mut(usize::from(kind))?;
        let repeat = match *slot {
            None => {
                *slot = Some(value);
                Repeat::First
            }
            Some(earlier) if earlier == value => Repeat::Same,
            Some(_) => Repeat::Different,
        };
        options.push(Opt {
            kind,
            data: value,
            whole,
            repeat,
        });
        data = rest;
    }
    Some(options)
}

/// Appends an option; `value` is at most 253 octets everywhere in this crate.
pub(crate) fn put(list: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let value = value.get(..253).unwrap_or(value);
    list.push(kind);
    list.push(u8::try_from(value.len() + 2).unwrap_or(u8::MAX));
    list.extend_from_slice(value);
}

/// What to answer a Configure-Request with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ack,
    Nak(Vec<u8>),
    Reject(Vec<u8>),
}

/// Collects objections to a Configure-Request. Rejects go before Naks (section 5.4).
#[derive(Debug)]
pub(crate) struct Judge {
    naks: Vec<u8>,
    rejects: Vec<u8>,
    /// Max-Failure Naks have been sent: object by Reject from now on (section 4.6).
    exhausted: bool,
}

impl Judge {
    pub(crate) fn new(exhausted: bool) -> Self {
        Self {
            naks: Vec::new(),
            rejects: Vec::new(),
            exhausted,
        }
    }

    /// The option is not wanted at all.
    pub(crate) fn reject(&mut self, option: &Opt<'_>) {
        if self.rejects.len() + option.whole.len() <= MAX_FRAME - HEADER {
            self.rejects.extend_from_slice(option.whole);
        }
    }

    /// The option is known; `value` would be acceptable.
    pub(crate) fn nak(&mut self, option: &Opt<'_>, value: &[u8]) {
        if self.exhausted {
            self.reject(option)
        } else {
            self.insist(option.kind, value)
        }
    }

    /// The option must be there with `value`, however often it takes.
    pub(crate) fn insist(&mut self, kind: u8, value: &[u8]) {
        // One entry a type is enough, and keeps a long request from growing a longer answer.
        let named = parse(&self.naks).is_some_and(|naks| naks.iter().any(|nak| nak.kind == kind));
        if !named {
            put(&mut self.naks, kind, value);
        }
    }

    pub(crate) fn verdict(self) -> Verdict {
        if !self.rejects.is_empty() {
            Verdict::Reject(self.rejects)
        } else if !self.naks.is_empty() {
            Verdict::Nak(self.naks)
        } else {
            Verdict::Ack
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_lie() {
        for bad in [
            &[1u8][..],
            &[1, 0],
            &[1, 1],
            &[1, 3],
            &[7, 2, 1],
            &[1, 4, 5, 6, 8, 255],
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse(&[]).unwrap(), []);
    }

    #[test]
    fn repeats_are_told_apart() {
        let list = parse(&[7, 2, 1, 4, 5, 0xdc, 7, 2, 1, 4, 5, 0xdd]).unwrap();
        let repeats: Vec<_> = list.iter().map(|option| option.repeat).collect();
        use Repeat::*;
        assert_eq!(repeats, [First, First, Same, Different]);
    }

    #[test]
    fn rejects_go_before_naks_and_replace_them_in_the_end() {
        let list = parse(&[13, 3, 6, 1, 4, 0, 1]).unwrap();
        let mut judge = Judge::new(false);
        judge.nak(&list[1], &[0, 128]);
        judge.nak(&list[1], &[0, 129]);
        assert_eq!(judge.verdict(), Verdict::Nak(vec![1, 4, 0, 128]));
        let mut judge = Judge::new(false);
        judge.nak(&list[1], &[0, 128]);
        judge.reject(&list[0]);
        assert_eq!(judge.verdict(), Verdict::Reject(vec![13, 3, 6]));
        let mut judge = Judge::new(true);
        judge.nak(&list[1], &[0, 128]);
        assert_eq!(judge.verdict(), Verdict::Reject(vec![1, 4, 0, 1]));
    }
}
