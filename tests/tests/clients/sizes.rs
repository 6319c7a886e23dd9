//! Messages of the models against what was captured of the real clients.

use tanuki_tests::ike::Initiator;
use tanuki_tests::ike::gateway::SERVER;

use crate::client::Client;
use crate::model::Model;
use crate::models;
use crate::stack::Stack;

fn first_message(model: Model) -> usize {
    let mut client = Initiator::new(model.dialect, "198.51.100.7", SERVER, 1);
    client.mm1().len()
}

/// Sizes of the logs: Windows' first message has 408 octets, its third 388, its fifth 76, its first
/// of Quick Mode 316 and behind NAT 444 with five suites.
#[test]
fn messages_of_windows_are_as_long_as_captured() {
    assert_eq!(first_message(models::windows(false)), 408);
    let mut stack = Stack::new(super::policy());
    let mut client = Client::new(models::windows(false), true, 1);
    // The group it gets from servers without elliptic curves.
    let mut policy = super::policy();
    policy.phase1.groups = vec![ike_crypto::Group::Modp2048];
    stack.ike.set_policy(policy);
    let lengths = client.main_mode_lengths(&mut stack);
    assert_eq!(lengths, [408, 388, 76]);
    let quick = client.quick();
    assert_eq!(client.ike.qm1(&quick).0.len(), 444);
}

/// NetworkManager-l2tp's first message of Quick Mode behind NAT has 244 octets where phase 1 came to
/// 3DES and SHA-1.
#[test]
fn quick_mode_of_network_manager_is_as_long_as_captured() {
    let mut stack = Stack::new(super::policy());
    let mut client = Client::new(models::network_manager(false), true, 2);
    let mut policy = super::policy();
    policy.phase1.ciphers = vec![ike_crypto::Cipher::TripleDes];
    stack.ike.set_policy(policy);
    client.main_mode(&mut stack);
    let quick = client.quick();
    assert_eq!(client.ike.qm1(&quick).0.len(), 244);
}

/// Android's SCCRQ, octet for octet.
#[test]
fn sccrq_of_android_is_the_one_captured() {
    let captured = b"\x80\x08\0\0\0\0\0\x01\x80\x08\0\0\0\x02\x01\0\x80\x0f\0\0\0\x07anonymous\
        \x80\x0a\0\0\0\x03\0\0\0\x03\x80\x08\0\0\0\x09\x0d\x6a\x80\x08\0\0\0\x0a\0\x01";
    assert_eq!(models::android().sccrq.concat(), captured);
}
