//! Diffie-Hellman alone: what a connection cannot cost less than.

use std::io;
use std::time::Duration;

use getrandom::SysRng;
use ike_crypto::Group;
use rand_core::UnwrapErr;
use serde::Serialize;
use serde_json::{Map, Value, to_value};

use crate::cpu;

/// Milliseconds of CPU time.
#[derive(Debug, Serialize)]
struct Cost {
    /// A public value: the generator to the power of the private one.
    public: f64,
    /// The shared secret: the peer's value to the power of ours. A bare exponentiation.
    agree: f64,
}

/// Every group, for so long each.
pub(crate) fn run(time: Duration) -> io::Result<Value> {
    let mut all = Map::new();
    for group in Group::ALL {
        let cost = measure(group, time).ok_or_else(|| io::Error::other("no common secret"))?;
        all.insert(group.name().to_owned(), to_value(cost)?);
    }
    Ok(Value::Object(all))
}

fn measure(group: Group, time: Duration) -> Option<Cost> {
    let mut rng = UnwrapErr(SysRng);
    let peer = group.generate(&mut rng);
    let (mut public, mut agree) = (Duration::ZERO, Duration::ZERO);
    let mut rounds = 0;
    while public + agree < time {
        let private = group.private_key(&mut rng);
        let begin = cpu::used();
        let pair = private.into_pair();
        let made = cpu::used();
        let shared = pair.agree(peer.public()).ok()?;
        let agreed = cpu::used();
        // Both ends agree, or what was measured was nothing.
        if shared.expose() != peer.agree(pair.public()).ok()?.expose() {
            return None;
        }
        public += made - begin;
        agree += agreed - made;
        rounds += 1;
    }
    let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(rounds);
    Some(Cost {
        public: each(public),
        agree: each(agree),
    })
}
