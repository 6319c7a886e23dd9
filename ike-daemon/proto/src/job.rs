//! Slow work as jobs: a computation of some milliseconds leaves the machine and comes back as a
//! result, so that it never sits in an event loop. Diffie-Hellman, and signatures with all that
//! belongs to a certificate.

use std::fmt;

use ike_crypto::{DhError, Group, KeyPair, PrivateKey, Secret};
use ike_pki::SignatureError;

use crate::claim::{Claim, ClaimError, ToSign};

/// Matches a result with its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A computation to run on any thread.
pub struct Job {
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
    /// The peer's signature, then ours.
    Authenticate(Box<Authenticate>),
}

/// Signatures to check and to make. Ours is made only when the peer's holds.
pub(crate) struct Authenticate {
    pub(crate) claim: Option<Claim>,
    pub(crate) sign: Option<ToSign>,
}

/// What a [`Job`] computed.
pub struct JobResult {
    pub(crate) id: JobId,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    Dh(DhResult),
    Authenticated(Authenticated),
}

/// Of a Diffie-Hellman computation.
pub(crate) struct DhResult {
    pub(crate) pair: KeyPair,
    pub(crate) shared: Option<Result<Secret, DhError>>,
}

/// Of signatures: the certificate of the peer's, in DER, or what is wrong with it; ours, if one was asked for.
pub(crate) struct Authenticated {
    pub(crate) claim: Result<Option<Vec<u8>>, ClaimError>,
    pub(crate) signature: Option<Result<Vec<u8>, SignatureError>>,
}

impl Job {
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

    pub(crate) fn authenticate(id: JobId, authenticate: Authenticate) -> Self {
        Self {
            id,
            work: Work::Authenticate(Box::new(authenticate)),
        }
    }

    /// The job's number.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The group computed in, if it is Diffie-Hellman; bigger groups take longer.
    pub fn group(&self) -> Option<Group> {
        match &self.work {
            Work::Generate(private) | Work::Exchange(private, _) => Some(private.group()),
            Work::Agree(pair, _) => Some(pair.group()),
            Work::Authenticate(_) => None,
        }
    }

    /// Computes here and now; `wall` is the wall clock in seconds, for the validity of
    /// certificates. Give the result to `Endpoint::handle_job`.
    pub fn run(self, wall: u64) -> JobResult {
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
            Work::Authenticate(work) => {
                let claim = work.claim.map(|claim| claim.check(wall)).transpose();
                let sign = work.sign.filter(|_| claim.is_ok());
                return JobResult {
                    id: self.id,
                    outcome: Outcome::Authenticated(Authenticated {
                        claim,
                        signature: sign.map(ToSign::sign),
                    }),
                };
            }
        };
        JobResult {
            id: self.id,
            outcome: Outcome::Dh(DhResult { pair, shared }),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.group().map_or("signatures", Group::name);
        write!(f, "Job({}, {what})", self.id.0)
    }
}

impl fmt::Debug for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobResult({})", self.id.0)
    }
}
