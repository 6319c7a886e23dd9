//! What each client sends, from its sources and published logs.

mod android;
mod apple;
mod chromeos;
mod linux;
mod router_os;
mod tunnelforge;
mod windows;

use tanuki_tests::ike::certificate::Certified;
use tanuki_tests::ike::offers::{Esp, EspStyle, Life, Order, phase2};

use crate::l2tp::avp;
use crate::model::Model;

pub(crate) use android::{android, android_4_4, android_rsa};
pub(crate) use apple::{macos, macos_10_12, macos_rsa};
pub(crate) use chromeos::{chromeos, chromeos_2018, chromeos_rsa};
pub(crate) use linux::network_manager;
pub(crate) use router_os::router_os;
pub(crate) use tunnelforge::tunnelforge;
pub(crate) use windows::{windows, windows_rsa};

/// Makes a model.
pub(crate) type Make = fn() -> Model;

/// Every client there is a model of: its name and what makes it.
pub(crate) const TABLE: [(&str, Make); 18] = [
    ("ChromeOS", chromeos),
    ("ChromeOS of 2018", chromeos_2018),
    ("ChromeOS, certificate", chromeos_rsa),
    ("Windows 7", || windows(true)),
    ("Windows 10, 11", || windows(false)),
    ("Windows 7, certificate", || windows_rsa(true)),
    ("Windows 10, 11, certificate", || windows_rsa(false)),
    ("macOS, iOS since 2022", || macos(false)),
    ("macOS, iOS before 2022", || macos(true)),
    ("macOS 10.7 to 10.12", macos_10_12),
    ("macOS, iOS, certificate", macos_rsa),
    ("Android 7.1 to 11", android),
    ("Android 4.4 to 7.0", android_4_4),
    ("Android 7.1 to 11, certificate", android_rsa),
    ("TunnelForge", tunnelforge),
    ("NetworkManager, strongSwan", || network_manager(false)),
    ("NetworkManager, libreswan", || network_manager(true)),
    ("RouterOS", router_os),
];

pub(super) const RFC_3947: &[u8] =
    b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
pub(super) const NATT_02_N: &[u8] =
    b"\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f";
pub(super) const NATT_00: &[u8] =
    b"\x44\x85\x15\x2d\x18\xb6\xbb\xcd\x0b\xe8\xa8\x46\x95\x79\xdd\xcc";
pub(super) const NATT_02: &[u8] =
    b"\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48";
pub(super) const DPD: &[u8] = b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
pub(super) const XAUTH: &[u8] = b"\x09\x00\x26\x89\xdf\xd6\xb7\x12";
pub(super) const FRAGMENTATION: &[u8] =
    b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\x80\x00\x00\x00";
pub(super) const KEY_MODS: &[u8] =
    b"\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\x00\x00\x00\x01";
pub(super) const NT5: &[u8] = b"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61";
pub(super) const NEGOTIATION: &[u8] =
    b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20";
pub(super) const CONTACT: &[u8] =
    b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19";
pub(super) const CGA: &[u8] = b"\xe3\xa5\x96\x6a\x76\x37\x9f\xe7\x07\x22\x82\x31\xe5\xce\x86\x52";

pub(super) fn m(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(true, 0, attribute, value)
}

pub(super) fn o(attribute: u16, value: &[u8]) -> Vec<u8> {
    avp(false, 0, attribute, value)
}

/// A phase 2 offer of racoon.
fn racoon(suites: &[Esp], spi: u32, mode: u16, seconds: u16) -> Vec<u8> {
    let mut style = EspStyle::new(mode, Life::Short(seconds));
    style.order = Order::LifeFirst;
    phase2(suites, spi, &style)
}

/// The same client with a certificate: the offer is the same but for the method, the identity is the
/// subject (ID_DER_ASN1_DN).
fn certified(mut model: Model, offer: Vec<u8>, certified: Certified) -> Model {
    /// RFC 2407 4.6.2.
    const ID_DER_ASN1_DN: u8 = 9;
    model.dialect.phase1 = offer;
    model.dialect.identity = Some((ID_DER_ASN1_DN, certified.subject.clone()));
    model.dialect.certified = Some(certified);
    model
}
