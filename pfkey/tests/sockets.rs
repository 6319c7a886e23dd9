//! Messages through real descriptors: a Unix SOCK_SEQPACKET pair as softkernel uses it, under
//! tokio.

#![allow(clippy::unwrap_used, clippy::panic)]

use pfkey::socket::AsyncSocket;
use pfkey::*;
use socket2::{Domain, Type};

#[test]
fn messages_keep_their_boundaries() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (daemon, kernel) = socket2::Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        let open = |socket| {
            AsyncSocket::new(Socket::from_connected(socket, Numbering::FreeBsd).unwrap()).unwrap()
        };
        let (daemon, kernel) = (open(daemon), open(kernel));
        let mut client = Client::new(Numbering::FreeBsd, 7);
        let register = client.register(SaType::ESP);
        let flush = client.flush(SaType::ESP);
        daemon.send(&register.bytes).await.unwrap();
        daemon.send(&flush.bytes).await.unwrap();
        let mut buffer = Socket::receive_buffer();
        for request in [register, flush] {
            let n = kernel.receive(&mut buffer).await.unwrap();
            assert_eq!(buffer[..n], request.bytes[..]);
        }
        drop(daemon);
        assert_eq!(kernel.receive(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn a_missing_softkernel_is_an_error() {
    let error = Socket::connect_soft(std::path::Path::new("/nonexistent/pfkey.sock")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
