//! The ACME issuer by itself.

use std::time::Instant;

use certs::{Issuer, Leaf};
use parking_lot::Mutex;

use crate::scene::{Scene, name};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_comes_for_exactly_the_name() {
    let scene = Scene::start().await;
    let issuer = scene.issuer();
    let seen = Mutex::new(Vec::new());
    let start = Instant::now();
    let issued = issuer
        .issue(&name("shop.customer.test"), None, &|progress| seen.lock().push((progress, start.elapsed())))
        .await
        .unwrap();
    println!("{:?} {:?}", start.elapsed(), seen.lock());
    for i in 0..5 {
        let start = Instant::now();
        seen.lock().clear();
        issuer
            .issue(&name(&format!("shop{i}.customer.test")), None, &|progress| {
                seen.lock().push((progress, start.elapsed()))
            })
            .await
            .unwrap();
        println!("{:?} {:?}", start.elapsed(), seen.lock());
    }
    let leaf = Leaf::parse(&issued.bundle).unwrap();
    assert!(leaf.covers(&name("shop.customer.test")));
}
