//! What the strict reading of HTTP/1 costs a request, from memory.
//!
//! `cargo bench -p edge --bench framer` prints nanoseconds. For instructions run the program that it builds with
//! `valgrind --tool=callgrind`, once with `browser 1000` and once with `browser 0`, and divide the difference.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement is printed, and stops where it cannot be")]

use std::{hint::black_box, time::Instant};

use edge::http1::{Framer, HeadLimits};

const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n";
const BROWSER: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.customer.example\r\nConnection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Referer: https://shop.customer.example/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef\r\n\r\n";

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let only = args.next();
    let times = args.next().map_or(1_000_000, |times| times.parse().unwrap());
    for (name, head) in [("small", SMALL), ("browser", BROWSER)] {
        if only.as_ref().is_none_or(|only| only == name) {
            measure(name, head, times);
        }
    }
}

fn measure(name: &str, head: &[u8], times: u32) {
    let mut framer = Framer::new(HeadLimits { bytes: 32 * 1024, fields: 100, target: 8 * 1024 });
    let begun = Instant::now();
    for _ in 0..times {
        assert!(framer.advance(black_box(head)).unwrap().ended);
    }
    let each = begun.elapsed().as_nanos() / u128::from(times.max(1));
    println!("{name}: {} bytes, {each} ns", head.len());
}
