//! A CA that is slow, down, lying, or forgetful.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use certs::{AcmeIssuer, Bundle, CertificatesSettings, Failure, Fault, IssueError, Issuer, ObtainError};
use clock::{Clock, SystemClock};
use test_support::{Answer, Ca, Kind, wait};

use crate::scene::{Scene, name, run, subject};

impl Scene {
    async fn fail(&self, host: &str) -> Arc<Failure> {
        match self.manager().obtain(&name(host), None).await {
            Err(ObtainError::Failed { failure }) => failure,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("a certificate came"),
        }
    }
}

async fn issue(issuer: &AcmeIssuer, replaces: Option<&Bundle>) -> Result<Bundle, IssueError> {
    issuer.issue(&subject("a.customer.test"), None, replaces, &|_| ()).await.map(|issued| issued.bundle)
}

#[tokio::test]
async fn a_ca_that_is_down_is_not_the_names_fault_and_its_wish_is_kept() {
    let scene = Scene::start().await;
    let answer = Answer::problem(503, "rateLimited", "maintenance").retry_after(120);
    scene.proxy.answer(Kind::NewOrder, answer);
    let failure = scene.fail("a.customer.test").await;
    assert_eq!((failure.attempts, failure.last[0].fault), (0, Fault::Ca));
    assert!(failure.next_order() >= SystemClock.now() + Duration::from_secs(110));
}

#[tokio::test]
async fn a_rate_limit_holds_the_name_it_was_told_about_and_no_other() {
    let scene = Scene::start().await;
    let answer = Answer::problem(429, "rateLimited", "too many").retry_after(3600);
    scene.proxy.answer_times(Kind::NewOrder, 1, answer);
    let failure = scene.fail("a.customer.test").await;
    assert_eq!((failure.last[0].reason.as_str(), failure.last[0].fault), ("rateLimited", Fault::Limit));
    assert!(failure.next_order() >= SystemClock.now() + Duration::from_secs(3590));
    scene.manager().obtain(&name("b.customer.test"), None).await.unwrap();
    let error = scene.manager().obtain(&name("a.customer.test"), None).await.unwrap_err();
    assert!(matches!(error, ObtainError::BackingOff { .. }), "a restart does not forget it: {error}");
}

#[tokio::test]
async fn answers_that_are_nonsense_end_at_once_and_harm_nothing() {
    let pages = [
        Answer::raw(200, "text/html", "<html>welcome</html>"),
        Answer::raw(200, "application/json", vec![b' '; 10 << 20]),
        Answer::raw(301, "text/html", ""),
        Answer::raw(404, "text/html", "not here"),
        Answer::raw(200, "application/json", "{}"),
    ];
    for (i, page) in pages.into_iter().enumerate() {
        let scene = Scene::start().await;
        scene.proxy.answer_times(Kind::Directory, 1, page.clone());
        let start = Instant::now();
        let failure = scene.fail("a.customer.test").await;
        assert_eq!(failure.last[0].reason, "unreachable", "directory {i}");
        scene.proxy.answer_times(Kind::NewOrder, 1, page);
        let failure = scene.fail("a.customer.test").await;
        assert_eq!(failure.last[0].reason, "unreachable", "order {i}");
        assert!(start.elapsed() < Duration::from_secs(60));
        scene.manager().obtain(&name("a.customer.test"), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_directory_that_sends_us_elsewhere_is_not_followed() {
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    for (status, scheme) in [(301, "https"), (302, "http"), (307, "https"), (308, "http")] {
        let scene = Scene::start().await;
        let elsewhere = format!("{scheme}://{}/latest/meta-data/", inside.local_addr().unwrap());
        let page = Answer::raw(status, "text/html", "").location(elsewhere);
        scene.proxy.answer_times(Kind::Directory, 1, page);
        assert_eq!(scene.fail("a.customer.test").await.last[0].reason, "unreachable", "{status}");
    }
    assert!(inside.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn an_order_that_takes_too_long_is_waited_for_by_nobody_and_resumed_by_the_next_attempt() {
    let scene = Scene::start().await;
    let mut settings = scene.settings();
    settings.order_timeout = Duration::from_secs(5);
    scene.proxy.hold(Kind::Order);
    let error = issue(&scene.issuer_with(settings), None).await.err().unwrap();
    assert!(matches!(error, IssueError::TimedOut { .. }), "{error}");
    scene.proxy.release();
    scene.proxy.clear(Kind::Order);
    issue(&scene.issuer(), None).await.unwrap();
    assert_eq!((scene.orders(), scene.certificates()), (1, 1));
}

#[tokio::test]
async fn a_handshake_ends_at_its_limit_and_the_next_one_finds_the_certificate() {
    let scene = Scene::start().await;
    let settings = CertificatesSettings { handshake_wait: Duration::from_millis(500), ..Default::default() };
    let certificates = scene.manager_of(vec![Arc::new(scene.issuer())], settings);
    scene.proxy.hold(Kind::Finalize);
    let error = certificates.obtain(&name("slow.customer.test"), None).await.unwrap_err();
    assert!(matches!(error, ObtainError::StillIssuing { .. }), "{error}");
    scene.proxy.release();
    loop {
        match certificates.obtain(&name("slow.customer.test"), None).await {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, ObtainError::StillIssuing { .. }), "{error}"),
        }
    }
    assert_eq!(scene.orders(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_no_second_certificate() {
    for lost in [Kind::Challenge, Kind::Finalize, Kind::Order, Kind::Certificate] {
        let scene = Scene::start().await;
        scene.proxy.lose_answer(lost);
        let first = issue(&scene.issuer(), None).await;
        // A lost answer to a challenge is made up for by looking at the order.
        assert!(matches!(first, Ok(_) | Err(IssueError::Unreachable { .. })), "{lost:?}: {:?}", first.err());
        scene.proxy.clear(lost);
        issue(&scene.issuer(), None).await.unwrap();
        assert_eq!((scene.orders(), scene.certificates()), (1, 1), "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_a_dead_process_left_is_finished_by_the_next_one() {
    let scene = Scene::start().await;
    // A process that dies takes its tasks with it: here, a runtime that is shut down in the middle of the order.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let certificates = scene.manager();
    scene.proxy.hold_answer(Kind::Finalize);
    runtime.spawn(async move { certificates.obtain(&name("cut.customer.test"), None).await });
    scene.proxy.answer_reached(Kind::Finalize).await;
    runtime.shutdown_background();
    scene.proxy.release();

    let certificates = scene.manager();
    let _running = run(&certificates);
    wait::until("the order is finished without a visitor", async || {
        certificates.find(&name("cut.customer.test"), None).map(drop)
    })
    .await;
    assert_eq!((scene.orders(), scene.certificates()), (1, 1));
    wait::until("the journal is empty", async || {
        let orders = std::fs::read_dir(scene.folder().join("namegate/orders")).ok()?.next()?.ok()?.path();
        std::fs::read_dir(orders).ok()?.next().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_for_another_name_or_key_is_not_served() {
    let scene = Scene::start().await;
    for names in [["b.customer.test"], ["a.customer.test"]] {
        let other = Ca::new("liar").issue(&names).chain_pem;
        scene.proxy.answer(Kind::Certificate, Answer::raw(200, "application/pem-certificate-chain", other));
        let error = issue(&scene.issuer(), None).await.err().unwrap();
        assert!(matches!(error, IssueError::Unusable { .. }), "{error}");
    }
    scene.proxy.clear(Kind::Certificate);
    issue(&scene.issuer(), None).await.unwrap();
}

#[tokio::test]
async fn an_account_that_the_ca_disowns_is_made_anew_but_not_for_every_order() {
    let scene = Scene::start().await;
    let issuer = scene.issuer();
    issue(&issuer, None).await.unwrap();
    issuer.settled(&subject("a.customer.test")).await.unwrap();
    let forgotten = || Answer::problem(400, "accountDoesNotExist", "who are you?");
    scene.proxy.answer_times(Kind::NewOrder, 1, forgotten());
    issue(&issuer, None).await.unwrap();
    issuer.settled(&subject("a.customer.test")).await.unwrap();
    assert_eq!(scene.proxy.accepted(Kind::NewAccount), 2);
    scene.proxy.answer(Kind::NewOrder, forgotten());
    for _ in 0..5 {
        assert!(issue(&issuer, None).await.is_err());
    }
    assert_eq!(scene.proxy.accepted(Kind::NewAccount), 3, "one more, which never served an order");
}

#[tokio::test]
async fn a_renewal_that_names_what_was_replaced_already_goes_through_without_naming_it() {
    let scene = Scene::start().await;
    let issuer = scene.issuer();
    let first = issue(&issuer, None).await.unwrap();
    issuer.settled(&subject("a.customer.test")).await.unwrap();
    let answer = Answer::problem(409, "alreadyReplaced", "it was replaced");
    scene.proxy.answer_times(Kind::NewOrder, 1, answer);
    let renewed = issue(&issuer, Some(&first)).await.unwrap();
    assert_ne!(renewed.chain_pem, first.chain_pem);
}

#[tokio::test]
async fn the_next_question_about_a_window_is_neither_at_once_nor_in_a_year() {
    let scene = Scene::start().await;
    let issuer = scene.issuer();
    let bundle = issue(&issuer, None).await.unwrap();
    let window = r#"{"suggestedWindow":{"start":"2031-01-02T00:00:00Z","end":"2031-01-03T00:00:00Z"}}"#;
    for (retry_after, expected) in [(0, 60), (31_536_000, 12 * 3600)] {
        let answer = Answer::raw(200, "application/json", window).retry_after(retry_after);
        scene.proxy.answer(Kind::RenewalInfo, answer);
        let hint = issuer.renewal_hint(&bundle).await.unwrap().unwrap();
        let wait = hint.ask_again.since(SystemClock.now()).as_secs();
        assert!(wait <= expected && wait + 5 > expected, "{wait}");
        assert_eq!(hint.end.since(hint.start), Duration::from_secs(24 * 3600));
    }
}
