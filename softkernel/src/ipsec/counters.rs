//! What the data path did and why it refused what it refused.

/// Declares [`Drop`] with a name per reason, so that none can be without a counter.
macro_rules! drops {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)*) => {
        /// Why a packet was dropped. Every reason has a counter in [`Counters`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Drop {
            $($(#[$doc])* $reason,)*
        }

        impl Drop {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)*];

            /// Name of the counter.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }
        }
    };
}

drops! {
    /// In: fewer bytes than an ESP packet can have.
    Short = "in_short",
    /// In: SPI 0 to 255 is reserved (RFC 4303 section 2.1).
    ReservedSpi = "in_reserved_spi",
    /// In: no SA has this SPI.
    NoSa = "in_no_sa",
    /// In: the SA belongs to another destination address.
    WrongDestination = "in_wrong_destination",
    /// In: the SA has no keys yet.
    Larval = "in_larval",
    /// In: UDP-encapsulated packet for an SA without, or the reverse.
    Encapsulation = "in_encapsulation",
    /// In: sequence number seen before.
    Replayed = "in_replayed",
    /// In: sequence number left of the replay window.
    TooOld = "in_too_old",
    /// In: length is no multiple of the cipher's block.
    Misaligned = "in_misaligned",
    /// In: the ICV is wrong.
    Authentication = "in_authentication",
    /// In: authentic, but the padding is not 1, 2, 3, … or longer than the payload.
    Padding = "in_padding",
    /// In: authentic dummy packet (next header 59), RFC 4303 section 2.6.
    Dummy = "in_dummy",
    /// In: a tunnel mode SA carried something else than an IP packet.
    WrongMode = "in_wrong_mode",
    /// Out: no policy asks for protection, and nothing is sent in the clear.
    NoPolicy = "out_no_policy",
    /// Out: the policy says discard.
    Discarded = "out_discarded",
    /// Out: the policy says clear text, or asks for more than one ESP SA.
    UnsupportedPolicy = "out_unsupported_policy",
    /// Out: the policy has no SA yet.
    NoOutboundSa = "out_no_sa",
    /// Out: all sequence numbers of the SA are used up (RFC 4303 section 3.3.3).
    SequenceOverflow = "out_sequence_overflow",
    /// Out: the buffer has no room for the ESP header or trailer.
    NoRoom = "out_no_room",
}

/// Counters of the data path and of the PF_KEY server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    drops: [u64; Drop::ALL.len()],
    /// Packets authenticated and decrypted.
    pub packets_in: u64,
    /// Their payload in bytes.
    pub bytes_in: u64,
    /// Packets encrypted.
    pub packets_out: u64,
    /// Their payload in bytes.
    pub bytes_out: u64,
    /// Changes of a peer's address or port told to key management.
    pub mappings_changed: u64,
    /// SADB_ACQUIRE messages sent.
    pub acquires: u64,
    /// PF_KEY requests taken.
    pub requests: u64,
    /// PF_KEY requests refused with an error.
    pub requests_refused: u64,
    /// PF_KEY requests too short to be answered.
    pub requests_unreadable: u64,
    /// PF_KEY messages lost because a socket was not read.
    pub messages_lost: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            drops: [0; Drop::ALL.len()],
            packets_in: 0,
            bytes_in: 0,
            packets_out: 0,
            bytes_out: 0,
            mappings_changed: 0,
            acquires: 0,
            requests: 0,
            requests_refused: 0,
            requests_unreadable: 0,
            messages_lost: 0,
        }
    }
}

impl Counters {
    /// Packets dropped for this reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or_default()
    }

    pub(crate) fn count(&mut self, reason: Drop) {
        if let Some(counter) = self.drops.get_mut(reason as usize) {
            *counter += 1;
        }
    }

    /// Adds what happened elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, more) in self.drops.iter_mut().zip(other.drops) {
            *mine += more;
        }
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
    }

    /// Every counter with its name, the drops last.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        [
            ("packets_in", self.packets_in),
            ("bytes_in", self.bytes_in),
            ("packets_out", self.packets_out),
            ("bytes_out", self.bytes_out),
            ("mappings_changed", self.mappings_changed),
            ("acquires", self.acquires),
            ("pfkey_requests", self.requests),
            ("pfkey_requests_refused", self.requests_refused),
            ("pfkey_requests_unreadable", self.requests_unreadable),
            ("pfkey_messages_lost", self.messages_lost),
        ]
        .into_iter()
        .chain(
            Drop::ALL
                .iter()
                .map(|reason| (reason.name(), self.dropped(*reason))),
        )
    }
}
