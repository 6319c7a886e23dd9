use ipnet::Ipv6Net;
use proptest::prelude::*;

use super::*;

fn set(ranges: Vec<Range>) -> BTreeMap<String, Vec<Range>> {
    BTreeMap::from([("p".to_owned(), ranges)])
}

fn range(text: &str) -> Range {
    text.parse().unwrap()
}

#[test]
fn ranges_are_read_in_three_forms() {
    assert_eq!(range("10.0.0.10-10.0.0.20").size(), 11);
    assert_eq!(range("10.0.0.0/24"), range("10.0.0.1 - 10.0.0.254"));
    assert_eq!(range("10.0.0.8/31").size(), 2);
    assert_eq!(range("10.0.0.9").to_string(), "10.0.0.9");
    assert_eq!(
        "10.0.0.9-10.0.0.1".parse::<Range>(),
        Err(RangeError::Backwards("10.0.0.9-10.0.0.1".into()))
    );
    assert_eq!(
        "0.0.0.0/0".parse::<Range>(),
        Err(RangeError::TooLarge("0.0.0.0/0".into()))
    );
    assert!(matches!(
        "ten".parse::<Range>(),
        Err(RangeError::Malformed(_))
    ));
    assert_eq!(range("255.255.255.250-255.255.255.255").size(), 6);
}

#[test]
fn a_user_finds_the_old_address_and_the_pool_runs_dry_politely() {
    let mut pool = Pool::new(
        set(vec![range("10.0.0.1-10.0.0.3")]),
        [Ipv4Addr::new(10, 0, 0, 1)],
    );
    let alice = pool.allocate("p", "alice").unwrap();
    let bob = pool.allocate("p", "bob").unwrap();
    assert_ne!(alice, bob);
    assert_eq!(pool.allocate("p", "carol"), Err(PoolError::Exhausted));
    pool.release(alice);
    pool.release(alice);
    pool.release(bob);
    assert_eq!(pool.allocate("p", "bob"), Ok(bob));
    assert_eq!(pool.allocate("p", "alice"), Ok(alice));
    assert_eq!(
        Pool::<Range>::default().allocate("p", "alice"),
        Err(PoolError::Empty)
    );
}

#[test]
fn fixed_addresses_are_for_their_owners_until_the_file_says_otherwise() {
    let fixed = Ipv4Addr::new(10, 0, 0, 2);
    let mut pool = Pool::new(set(vec![range("10.0.0.2-10.0.0.3")]), []);
    pool.set_fixed([fixed]);
    assert_eq!(pool.allocate("p", "a"), Ok(Ipv4Addr::new(10, 0, 0, 3)));
    assert_eq!(pool.allocate("p", "b"), Err(PoolError::Exhausted));
    assert_eq!(pool.reserve(fixed), Ok(()));
    assert_eq!(pool.reserve(fixed), Err(PoolError::InUse(fixed)));
    pool.release(fixed);
    pool.set_fixed([]);
    assert_eq!(pool.allocate("p", "b"), Ok(fixed));
}

#[test]
fn a_range_of_one_user_is_walked_and_never_shared() {
    let mut pool = Pool::new(set(vec![]), [Ipv4Addr::new(10, 0, 0, 5)]);
    let own = range("10.0.0.4-10.0.0.6");
    assert_eq!(pool.allocate_within(own), Ok(Ipv4Addr::new(10, 0, 0, 4)));
    assert_eq!(pool.allocate_within(own), Ok(Ipv4Addr::new(10, 0, 0, 6)));
    assert_eq!(
        pool.allocate_within(own),
        Err(PoolError::InUse(own.first()))
    );
}

#[test]
fn a_smaller_pool_forgets_nobody() {
    let mut pool = Pool::new(set(vec![range("10.0.0.1-10.0.0.9")]), []);
    let old = pool.allocate("p", "a").unwrap();
    pool.reconfigure(set(vec![range("10.0.0.1-10.0.0.2")]), []);
    let new = pool.allocate("p", "b").unwrap();
    assert_ne!(old, new);
    assert_eq!(pool.allocate("p", "c"), Err(PoolError::Exhausted));
    pool.release(old);
    assert_eq!(pool.allocate("p", "c"), Ok(old));
}

#[test]
fn bundles_with_a_prefix_in_common_never_give_it_twice() {
    let prefixes = |text: &str| vec![text.parse::<Prefixes>().unwrap()];
    let net = |text: &str| text.parse::<Ipv6Net>().unwrap();
    let sets = BTreeMap::from([
        ("a".to_owned(), prefixes("2001:db8::/63")),
        ("b".to_owned(), prefixes("2001:db8::/62")),
    ]);
    let mut pool: Pool<Prefixes> = Pool::new(sets, []);
    pool.set_fixed([net("2001:db8:0:1::/64")]);
    assert_eq!(pool.allocate("a", "x"), Ok(net("2001:db8::/64")));
    assert_eq!(pool.allocate("a", "y"), Err(PoolError::Exhausted));
    assert_eq!(pool.allocate("b", "y"), Ok(net("2001:db8:0:2::/64")));
    pool.release(net("2001:db8::/64"));
    assert_eq!(pool.allocate("b", "z"), Ok(net("2001:db8:0:3::/64")));
    assert_eq!(pool.allocate("b", "x"), Ok(net("2001:db8::/64")));
    assert_eq!(pool.used(), 3);
}

#[derive(Debug, Clone)]
enum Step {
    Allocate(u8),
    Reserve(u8),
    Within(u8, u8),
    Release(u8),
    Fixed(Vec<u8>),
    Reconfigure(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<u8>().prop_map(Step::Allocate),
        any::<u8>().prop_map(Step::Reserve),
        (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Within(a.min(b), a.max(b))),
        any::<u8>().prop_map(Step::Release),
        proptest::collection::vec(0u8..24, 0..4).prop_map(Step::Fixed),
        (0u8..24, 0u8..24).prop_map(|(a, b)| Step::Reconfigure(a.min(b), a.max(b))),
    ];
    proptest::collection::vec(step, 0..200)
}

fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

proptest! {
    /// Against a model that is nothing but a set: never two hands on one address, never an own
    /// address, never "exhausted" while an address is free.
    #[test]
    fn no_address_is_ever_in_two_hands(steps in steps()) {
        let own = host(3);
        let mut pool = Pool::new(set(vec![Range::new(host(0), host(23)).unwrap()]), [own]);
        let mut range = Range::new(host(0), host(23)).unwrap();
        let mut fixed = HashSet::new();
        let mut model: HashSet<Ipv4Addr> = HashSet::new();
        for step in steps {
            match step {
                Step::Allocate(user) => match pool.allocate("p", &format!("u{user}")) {
                    Ok(address) => {
                        prop_assert!(model.insert(address));
                        prop_assert!(address != own && range.contains(address));
                        prop_assert!(!fixed.contains(&address));
                    }
                    Err(error) => {
                        prop_assert_eq!(error, PoolError::Exhausted);
                        let free = (0..range.size()).filter_map(|n| range.nth(n)).any(|a| {
                            a != own && !fixed.contains(&a) && !model.contains(&a)
                        });
                        prop_assert!(!free, "an address was free");
                    }
                },
                Step::Reserve(n) => {
                    let done = pool.reserve(host(n)).is_ok();
                    prop_assert_eq!(done, host(n) != own && model.insert(host(n)));
                }
                Step::Within(a, b) => {
                    if let Ok(address) =
                        pool.allocate_within(Range::new(host(a), host(b)).unwrap())
                    {
                        prop_assert!(model.insert(address));
                        prop_assert!(address != own);
                    }
                }
                Step::Release(n) => {
                    pool.release(host(n));
                    model.remove(&host(n));
                }
                Step::Fixed(hosts) => {
                    fixed = hosts.into_iter().map(host).collect();
                    pool.set_fixed(fixed.iter().copied());
                }
                Step::Reconfigure(a, b) => {
                    range = Range::new(host(a), host(b)).unwrap();
                    pool.reconfigure(set(vec![range]), [own]);
                }
            }
            prop_assert_eq!(pool.used(), model.len());
        }
    }

    #[test]
    fn any_text_is_a_range_or_an_error(text in "\\PC{0,40}") {
        if let Ok(range) = text.parse::<Range>() {
            prop_assert_eq!(range.to_string().parse::<Range>(), Ok(range));
        }
    }
}
