//! The ClientHello in pieces of any size: refused, or read the same way however it arrives.
#![no_main]

use edge::hello::{HelloError, asked};
use libfuzzer_sys::fuzz_target;
use rustls::server::Acceptor;

/// The name and whether it is a probe; `None` where rustls wants more or refuses.
fn read(bytes: &[u8], size: usize) -> Option<Result<(String, bool), &'static str>> {
    let mut acceptor = Acceptor::default();
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            acceptor.read_tls(&mut piece).ok()?;
            if let Some(accepted) = acceptor.accept().ok()? {
                let asked = asked(&accepted.client_hello());
                return Some(asked.map(|(name, probe)| (name.to_string(), probe)).map_err(|error: HelloError| error.code()));
            }
        }
    }
    None
}

fuzz_target!(|input: &[u8]| {
    let Some((size, hello)) = input.split_first() else { return };
    let whole = read(hello, hello.len().max(1));
    assert_eq!(whole, read(hello, usize::from(*size).max(1)), "pieces of {size}");
});
