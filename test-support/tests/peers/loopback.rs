use std::collections::HashSet;

use test_support::Loopback;
use tokio::net::TcpListener;

#[tokio::test]
async fn two_owners_listen_on_one_port_number() {
    let hosts: Vec<_> = (0..50).map(|_| Loopback::take()).collect();
    let addresses: HashSet<_> = hosts.iter().map(Loopback::ip).collect();
    assert_eq!(addresses.len(), hosts.len());
    let listeners = futures::future::join_all(hosts.iter().map(|host| TcpListener::bind(host.at(8443)))).await;
    assert!(listeners.iter().all(Result::is_ok));
}
