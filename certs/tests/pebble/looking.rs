//! A look before each order that would be proven on our ports, and before no other.

use std::sync::Arc;

use async_trait::async_trait;
use certs::{Applicant, ChallengeKind, IssueError, Issuer, Obstacle, Preflight};
use names::Hostname;
use parking_lot::Mutex;
use test_support::Kind;

use crate::scene::{Scene, subject};

/// Name, what the CA calls itself, account, methods.
type Asked = (String, Vec<String>, String, Vec<ChallengeKind>);

/// Writes down who asks about what, and says "no" when told to.
#[derive(Default)]
struct Lookout {
    asked: Mutex<Vec<Asked>>,
    says_no: Mutex<bool>,
}

#[async_trait]
impl Preflight for Lookout {
    async fn look(&self, name: &Hostname, applicant: &Applicant<'_>) -> Result<(), Obstacle> {
        let Applicant { identities, account, methods } = applicant;
        let asked = (name.to_string(), identities.to_vec(), (*account).to_owned(), methods.to_vec());
        self.asked.lock().push(asked);
        match *self.says_no.lock() {
            true => Err(Obstacle { code: "dns_nxdomain", found: "nothing".to_owned(), remedy: "all".to_owned() }),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_look_knows_what_the_ca_calls_itself_and_which_account_asks_by_which_means() {
    let scene = Scene::start().await;
    scene.proxy.calls_itself(&["pebble.test", "other.test"]);
    let lookout = Arc::new(Lookout::default());
    let issuer = scene.issuer().with_preflight(lookout.clone());
    issuer.is_ready(&subject("a.customer.test")).await.unwrap();
    let (name, identities, account, methods) = lookout.asked.lock().pop().unwrap();
    assert_eq!(
        (name.as_str(), identities),
        ("a.customer.test", vec!["pebble.test".to_owned(), "other.test".to_owned()])
    );
    assert!(account.starts_with(&format!("https://{}/my-account/", scene.proxy.address())), "{account}");
    assert_eq!(methods, [ChallengeKind::TlsAlpn01, ChallengeKind::Http01]);
    *lookout.says_no.lock() = true;
    let error = issuer.is_ready(&subject("a.customer.test")).await.unwrap_err();
    assert!(matches!(error, IssueError::Obstacle(Obstacle { code: "dns_nxdomain", .. })), "{error:?}");
    assert_eq!(scene.orders(), 0);
}

#[tokio::test]
async fn an_order_that_stands_at_the_ca_is_resumed_without_a_look() {
    let scene = Scene::start().await;
    let lookout = Arc::new(Lookout::default());
    let name = subject("a.customer.test");
    scene.proxy.hold(Kind::Finalize);
    let cut_off = scene.issuer();
    tokio::select! {
        _ = cut_off.issue(&name, None, None, &|_| ()) => panic!("the order is held"),
        () = scene.proxy.reached(Kind::Finalize) => {}
    }
    scene.proxy.release();
    *lookout.says_no.lock() = true;
    let issuer = scene.issuer().with_preflight(lookout.clone());
    issuer.is_ready(&name).await.unwrap();
    issuer.issue(&name, None, None, &|_| ()).await.map(|_| ()).unwrap();
    assert_eq!((scene.orders(), lookout.asked.lock().len()), (1, 0));
    issuer.settled(&name).await.unwrap();
    assert!(issuer.is_ready(&name).await.is_err(), "the next one is looked at");
}

#[tokio::test]
async fn nobody_looks_at_a_wildcard() {
    let scene = Scene::start().await;
    let lookout = Arc::new(Lookout::default());
    let issuer = scene.issuer().with_preflight(lookout.clone());
    issuer.is_ready(&subject("*.customer.test")).await.unwrap();
    assert!(lookout.asked.lock().is_empty());
}
