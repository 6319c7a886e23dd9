//! Diffie-Hellman as jobs: one computation of some milliseconds leaves the machine and comes back
//! as a result, so that it never sits in an event loop.

use std::fmt;

use ike_crypto::{DhError, Group, KeyPair, PrivateKey, Secret};

/// Matches a result with its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A Diffie-Hellman computation to run on any thread.
pub struct DhJob {
    id: JobId,
    work: Work,
}

enum Work {
    /// Our public value, before the peer's is known (initiator).
    Generate(PrivateKey),
    /// The shared secret (initiator).
    Agree(KeyPair, Vec<u8>),
    /// Both (responder).
    Exchange(PrivateKey, Vec<u8>),
}

/// What a [`DhJob`] computed.
pub struct DhResult {
    pub(crate) id: JobId,
    pub(crate) pair: KeyPair,
    pub(crate) shared: Option<Result<Secret, DhError>>,
}

impl DhJob {
    pub(crate) fn generate(id: JobId, private: PrivateKey) -> Self {
        Self {
            id,
            work: Work::Generate(private),
        }
    }

    pub(crate) fn agree(id: JobId, pair: KeyPair, peer: Vec<u8>) -> Self {
        Self {
            id,
            work: Work::Agree(pair, peer),
        }
    }

    pub(crate) fn exchange(id: JobId, private: PrivateKey, peer: Vec<u8>) -> Self {
        Self {
            id,
            work: Work::Exchange(private, peer),
        }
    }

    /// The job's number.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The group computed in; bigger groups take longer.
    pub fn group(&self) -> Group {
        match &self.work {
            Work::Generate(private) | Work::Exchange(private, _) => private.group(),
            Work::Agree(pair, _) => pair.group(),
        }
    }

    /// Computes here and now. Give the result to `Endpoint::handle_job`.
    pub fn run(self) -> DhResult {
        let (pair, shared) = match self.work {
            Work::Generate(private) => (private.into_pair(), None),
            Work::Agree(pair, peer) => {
                let shared = pair.agree(&peer);
                (pair, Some(shared))
            }
            Work::Exchange(private, peer) => {
                // The check of the peer's value comes first: a bad one costs nothing more.
                let shared = private.agree(&peer);
                (private.into_pair(), Some(shared))
            }
        };
        DhResult {
            id: self.id,
            pair,
            shared,
        }
    }
}

impl fmt::Debug for DhJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DhJob({}, {})", self.id.0, self.group().name())
    }
}

impl fmt::Debug for DhResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DhResult({}, {})", self.id.0, self.pair.group().name())
    }
}
