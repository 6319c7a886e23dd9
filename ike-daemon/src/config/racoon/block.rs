//! A `remote` with what it inherits, and what it says.

use racoon_conf::ast::{Lifetime, ProposalItem, Remote, RemoteItem, RemotePeer};
use racoon_conf::words::{ExchangeMode, Force, Method, ProposalCheck};
use racoon_conf::{Span, Spanned};

use super::listen::port;
use super::lower::Lowering;

/// racoon's own phase 1 lifetime, in seconds.
const LIFETIME: u64 = 8 * 3600;

/// A block with what it inherits.
pub(super) struct Block<'t> {
    pub(super) peer: &'t RemotePeer,
    pub(super) span: Span,
    pub(super) items: Vec<&'t Spanned<RemoteItem>>,
}

/// The block with what it does not write itself taken from the one it names.
pub(super) fn inherit<'t>(
    lowering: &mut Lowering,
    blocks: &[Block<'t>],
    remote: &'t Remote,
    span: Span,
) -> Block<'t> {
    let mut items: Vec<&Spanned<RemoteItem>> = Vec::new();
    if let Some(parent) = &remote.inherit {
        lowering.visit("remote", "inherit", parent.span);
        let known = blocks
            .iter()
            .find(|block| same_peer(block.peer, &parent.value));
        match known {
            None => lowering.value("remote inherit", "unknown", parent.span, ""),
            Some(known) => {
                // Each event has a script of its own, and the last one written counts.
                let written = |item: &RemoteItem| {
                    let name = item.name();
                    let is_written = remote.body.iter().any(|own| own.value.name() == name);
                    is_written && !matches!(item, RemoteItem::Script(..))
                };
                items.extend(known.items.iter().filter(|item| {
                    // Whom it connects to is not passed on.
                    !written(&item.value) && !matches!(item.value, RemoteItem::RemoteAddress(_))
                }));
            }
        }
    }
    items.extend(&remote.body);
    Block {
        peer: &remote.peer.value,
        span,
        items,
    }
}

fn same_peer(one: &RemotePeer, other: &RemotePeer) -> bool {
    match (one, other) {
        (RemotePeer::Anonymous, RemotePeer::Anonymous) => true,
        (RemotePeer::Name(one), RemotePeer::Name(other)) => one == other,
        (RemotePeer::Address(one), RemotePeer::Address(other)) => {
            one.host.value == other.host.value && port(one, 500) == port(other, 500)
        }
        _ => false,
    }
}

impl Block<'_> {
    /// The last one written counts.
    pub(super) fn last<T>(&self, value: impl Fn(&RemoteItem) -> Option<T>) -> Option<T> {
        self.items.iter().rev().find_map(|item| value(&item.value))
    }

    pub(super) fn span_of(&self, name: &str) -> Option<Span> {
        let mut items = self.items.iter().rev();
        items
            .find(|item| item.value.name() == name)
            .map(|item| item.span)
    }

    pub(super) fn switch(&self, name: &str, default: bool) -> Spanned<bool> {
        self.last(|item| match item {
            RemoteItem::Switch(own, value) if *own == name => Some(value.clone()),
            _ => None,
        })
        .unwrap_or(Spanned::new(default, self.span))
    }

    pub(super) fn number(&self, name: &str) -> Option<Spanned<u64>> {
        self.last(|item| match item {
            RemoteItem::Number(own, value) if *own == name => Some(value.clone()),
            _ => None,
        })
    }

    pub(super) fn nat(&self) -> Spanned<Force> {
        self.last(|item| match item {
            RemoteItem::NatTraversal(value) => Some(value.clone()),
            _ => None,
        })
        .unwrap_or(Spanned::new(Force::Off, self.span))
    }

    /// Where a proposal has such a method.
    pub(super) fn method(&self, wanted: impl Fn(Method) -> bool) -> Option<Span> {
        let proposals = self.items.iter().filter_map(|item| match &item.value {
            RemoteItem::Proposal(items) => Some(items),
            _ => None,
        });
        proposals.flatten().find_map(|item| match &item.value {
            ProposalItem::Method(method) => wanted(method.value).then_some(method.span),
            _ => None,
        })
    }

    /// The exchange that we begin with.
    pub(super) fn first_mode(&self) -> Option<Spanned<ExchangeMode>> {
        self.last(|item| match item {
            RemoteItem::ExchangeMode(modes) => modes.first().cloned(),
            _ => None,
        })
    }

    /// Whether Aggressive Mode is accepted.
    pub(super) fn takes_aggressive(&self) -> bool {
        let modes = self.last(|item| match item {
            RemoteItem::ExchangeMode(modes) => Some(modes.clone()),
            _ => None,
        });
        let mut modes = modes.iter().flatten();
        modes.any(|mode| mode.value == ExchangeMode::Aggressive)
    }

    pub(super) fn fragmentation(&self) -> Option<Spanned<Force>> {
        self.last(|item| match item {
            RemoteItem::IkeFrag(value) => Some(value.clone()),
            _ => None,
        })
    }

    pub(super) fn check(&self) -> Spanned<ProposalCheck> {
        self.last(|item| match item {
            RemoteItem::ProposalCheck(value) => Some(value.clone()),
            _ => None,
        })
        .unwrap_or(Spanned::new(ProposalCheck::Strict, self.span))
    }

    pub(super) fn writes_check(&self) -> bool {
        self.span_of("proposal_check").is_some()
    }

    /// In seconds.
    pub(super) fn lifetime(&self) -> Spanned<u64> {
        self.last(|item| match item {
            RemoteItem::Lifetime(value) => match value.value {
                Lifetime::Time(time) => Some(Spanned::new(time.seconds(), value.span)),
                Lifetime::Bytes(..) => None,
            },
            _ => None,
        })
        .unwrap_or(Spanned::new(LIFETIME, self.span))
    }
}
