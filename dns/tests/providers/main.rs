//! One suite for every adapter, against a server that behaves like its provider.
//!
//! The servers are `test_support`'s ([`server`], [`shims`]). Each case is a sentence in [`cases`]; all adapters run all of
//! them, and the table of who passed which is written for `make test` to print.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy knows only functions marked as tests; their fixtures are tests too"
)]

mod bench;
mod bind;
mod cases;
mod table;

use test_support::provider::{server, shim, shims, zone};

/// A test for each adapter: a process of its own under nextest.
macro_rules! adapters {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                table::run(shims::$name::shim()).await;
            }
        )*

        /// Against a real name server, each case on its one zone.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn rfc2136() {
            table::run(shims::rfc2136::shim().await).await;
        }

        #[test]
        fn every_provider_of_the_catalogue_has_its_row() {
            let mut known: Vec<_> = dns::provider::catalogue().map(|facts| facts.key).collect();
            let mut tested = vec!["rfc2136", $(stringify!($name)),*];
            known.sort_unstable();
            tested.sort_unstable();
            assert_eq!(known, tested);
        }
    };
}

adapters!(
    azuredns,
    cloudflare,
    desec,
    digitalocean,
    dnsimple,
    gandi,
    gcpdns,
    godaddy,
    hetzner,
    ionos,
    linode,
    namecheap,
    namecom,
    netlify,
    porkbun,
    route53,
    vercel,
    vultr
);
