use std::time::Duration;

use test_support::{FakeGate, Loopback, Reply, client::http};

async fn ask(gate: &FakeGate, name: &str) -> Result<(u16, usize), http::HttpError> {
    let response = http::get(&format!("{}?domain={name}", gate.url())).await?;
    Ok((response.status().as_u16(), response.body().len()))
}

#[tokio::test]
async fn each_reply_is_what_it_says() {
    let gate = FakeGate::start(&Loopback::take()).await;
    let replies = [
        ("json.test", Reply::origin("http://127.0.0.1:1"), (200, 31)),
        ("empty.test", Reply::AllowEmpty, (200, 0)),
        ("garbage.test", Reply::Garbage, (200, 14)),
        ("redirect.test", Reply::Redirect("http://elsewhere.test/".to_owned()), (302, 0)),
        ("broken.test", Reply::Status(500), (500, 0)),
    ];
    for (name, reply, expected) in replies {
        gate.set(name, reply);
        assert_eq!(ask(&gate, name).await.unwrap(), expected, "{name}");
    }
    assert_eq!(ask(&gate, "unknown.test").await.unwrap(), (403, 0));
    gate.set("huge.test", Reply::Huge);
    assert!(ask(&gate, "huge.test").await.unwrap().1 > 10 << 20);
    gate.set("close.test", Reply::Close);
    assert!(ask(&gate, "close.test").await.is_err());
    gate.set("hang.test", Reply::Hang);
    assert!(tokio::time::timeout(Duration::from_millis(50), ask(&gate, "hang.test")).await.is_err());
}

#[tokio::test]
async fn questions_are_counted_and_held() {
    let gate = FakeGate::start(&Loopback::take()).await;
    gate.set_default(Reply::AllowEmpty);
    gate.hold();
    let questions = futures::future::join(ask(&gate, "a.test"), ask(&gate, "b.test"));
    let release = async {
        gate.reached(2).await;
        gate.release();
    };
    let ((a, b), ()) = futures::future::join(questions, release).await;
    assert_eq!((a.unwrap().0, b.unwrap().0), (200, 200));
    assert_eq!((gate.asked("a.test"), gate.asked("c.test"), gate.asked_in_all()), (1, 0, 2));
    assert!(gate.queries().contains(&"domain=a.test".to_owned()));
}

#[tokio::test]
async fn a_stopped_gate_refuses_and_comes_back_where_it_was() {
    let mut gate = FakeGate::start(&Loopback::take()).await;
    gate.stop().await;
    assert!(matches!(ask(&gate, "a.test").await, Err(http::HttpError::Connect(_))));
    gate.resume().await;
    assert_eq!(ask(&gate, "a.test").await.unwrap().0, 403);
}
