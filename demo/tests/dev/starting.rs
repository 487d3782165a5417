//! Starting, stopping, and what is printed.

use std::net::TcpListener;

use test_support::Postgres;

use crate::{harness::Dev, reader::Reader};

#[tokio::test]
async fn the_printed_commands_work_as_they_stand() {
    let mut dev = Dev::start(&[], &[]).await;
    let mut reader = Reader::at(&dev).await;
    let commands = dev.printed_commands();
    let [visit, refused, steps @ .., connected] = &commands[..] else { panic!("{commands:?}") };
    for _ in 0..2 {
        let page = reader.types(visit).await;
        assert!(page.contains("<td>shop.customer.test</td>"), "{page}");
    }
    let (code, error) = reader.tries(refused).await;
    assert!(code == 35 && error.contains("unrecognized name"), "{code} {error}");
    assert_eq!(steps.len(), 6, "{commands:?}");
    for step in steps {
        reader.types(step).await;
    }
    let page = reader.types(connected).await;
    assert!(page.contains("<td>app.customer.com</td>") && page.contains("is live"), "{page}");
    drop(reader);
    assert_eq!(dev.interrupt().await, 0);
    assert!(dev.is_silent(), "something still listens");
    let state = dev.folder.path().join(".dev");
    assert!(state.join("edge.log").exists() && state.join("control.log").exists());
    let beside: Vec<_> =
        std::fs::read_dir(dev.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 4, "all state is in .dev; the others are this test's own: {beside:?}");
}

#[tokio::test]
async fn the_edge_alone_asks_the_demo() {
    let mut dev = Dev::start(&["--edge-only"], &[]).await;
    let mut reader = Reader::at(&dev).await;
    let commands = dev.printed_commands();
    let [visit, refused] = &commands[..] else { panic!("{commands:?}") };
    for _ in 0..2 {
        let page = reader.types(visit).await;
        assert!(page.contains("<td>shop.customer.test</td>"), "{page}");
    }
    let (code, error) = reader.tries(refused).await;
    assert!(code == 35 && error.contains("unrecognized name"), "{code} {error}");
    drop(reader);
    assert_eq!(dev.interrupt().await, 0);
    assert!(dev.is_silent(), "something still listens");
}

#[tokio::test]
async fn a_database_that_was_used_before_keeps_its_connections() {
    let postgres = Postgres::start().await;
    let url = postgres.create_database();
    let database = [("DATABASE_URL", url.as_str())];
    let mut dev = Dev::start(&[], &database).await;
    let mut reader = Reader::at(&dev).await;
    let commands = dev.printed_commands();
    for step in &commands[2..] {
        reader.types(step).await;
    }
    assert_eq!(dev.interrupt().await, 0);

    let folder = std::mem::replace(&mut dev.folder, tempfile::tempdir().unwrap());
    let dev = Dev::start_in(folder, &[], &database).await;
    let connected = dev.printed_commands().pop().unwrap();
    let page = Reader::at(&dev).await.types(&connected).await;
    assert!(page.contains("<td>app.customer.com</td>"), "{page}");
}

#[tokio::test]
async fn what_cannot_start_says_why_and_what_to_do() {
    let taken = test_support::Loopback::take();
    let _listener = TcpListener::bind(taken.at(8443)).unwrap();
    let address = taken.ip().to_string();
    let folder = || tempfile::tempdir().unwrap();
    let mut dev = Dev::launch(folder(), &[], &[("NAMEGATE_DEV_ADDRESS", &address)]);
    assert_eq!(dev.ended().await, 1);
    let text = dev.printed();
    assert!(text.contains("8443") && text.contains("NAMEGATE_DEV_HTTPS=9443 make dev"), "{text}");

    let mut dev = Dev::launch(folder(), &[], &[("DATABASE_URL", "postgres://nobody@127.0.0.1:9/none")]);
    assert_eq!(dev.ended().await, 1);
    let text = dev.printed();
    assert!(text.contains("the control plane ended") && text.contains("database"), "{text}");
}

#[tokio::test]
async fn the_local_dns_says_what_is_missing() {
    let dev = Dev::start(&[], &[]).await;
    let mut reader = Reader::at(&dev).await;
    let (code, text) = reader.tries("scripts/dev-dns nobody.example.com").await;
    assert!(code == 1 && text.contains("no connection for nobody.example.com"), "{code} {text}");
    let (code, text) = reader.tries("echo nonsense | scripts/dev-dns -").await;
    assert!(code == 1 && text.contains("not a connection"), "{code} {text}");
    let (code, text) = reader.tries("scripts/dev-dns shop.customer.test --remove").await;
    assert!(code == 0 && text.contains("no record of shop.customer.test"), "{code} {text}");
    let (code, text) = reader.tries("mv .dev .away; scripts/dev-dns shop.customer.test").await;
    assert!(code == 1 && text.contains("start `make dev`"), "{code} {text}");
}
