//! A record that every server of its zone must show.

use dns::{
    Reason,
    check::{Unseen, check_everywhere},
};

use crate::{
    authority::Fault,
    scene::{Scene, owner},
};

const NAME: &str = "_acme-challenge.shop.customer.test";
const VALUE: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";

async fn check(scene: &Scene) -> Result<(), Unseen> {
    check_everywhere(&scene.resolvers, &owner(NAME), VALUE).await
}

#[tokio::test]
async fn a_record_is_everywhere_when_every_server_of_the_zone_shows_it_whatever_resolvers_say() {
    let scene = Scene::new().await;
    let [first, second] = &scene.own;
    assert!(matches!(check(&scene).await, Err(Unseen::Absent { .. })));
    first.txt(NAME, &["another"]).txt(NAME, &[VALUE]);
    assert_eq!(check(&scene).await, Err(Unseen::Absent { server: second.address() }));
    second.txt(NAME, &[VALUE]);
    assert_eq!(check(&scene).await, Ok(()));
}

#[tokio::test]
async fn a_server_that_says_nothing_has_not_shown_it() {
    for (fault, reason) in [(Fault::Refused, Reason::Refused), (Fault::NotAuthoritative, Reason::NotResponsible)] {
        let scene = Scene::new().await;
        scene.own.iter().for_each(|server| _ = server.txt(NAME, &[VALUE]));
        let server = scene.own[1].address();
        scene.own[1].fault(NAME, fault);
        assert_eq!(check(&scene).await, Err(Unseen::Silent { server, reason }));
    }
}

#[tokio::test]
async fn a_zone_whose_servers_nobody_knows_shows_nothing() {
    let scene = Scene::new().await;
    scene.recursive.iter().for_each(|server| _ = server.fault(NAME, Fault::ServFail));
    assert_eq!(check(&scene).await, Err(Unseen::Unknown(Reason::ServFail)));
}
