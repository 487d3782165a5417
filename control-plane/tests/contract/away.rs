//! A PostgreSQL that is gone.

use std::{sync::Arc, time::Duration};

use clock::SystemClock;
use control_plane::{
    core::{Core, CoreError, CoreSettings},
    db::{Db, DbError, DbOptions},
};
use futures::future::join_all;
use test_support::{Postgres, wait};

/// Nobody would wait that long: what ends sooner was ended by something else.
const PATIENCE: Duration = Duration::from_hours(1);

fn is_away<T>(outcome: Result<T, CoreError>) -> bool {
    match outcome {
        Ok(_) => false,
        Err(CoreError::Db(DbError::Unavailable(_) | DbError::Shared(_))) => true,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_at_once_that_the_database_is_gone_and_when_it_is_back() {
    let postgres = Postgres::start().await;
    let db =
        Db::open(&postgres.create_database(), &DbOptions { wait: PATIENCE, ..DbOptions::default() }).await.unwrap();
    db.migrate().await.unwrap();
    let core = Core::new(db, Arc::new(SystemClock), CoreSettings::default(), None);
    core.create_account("before").await.unwrap();
    let name = "shop.customer.com".parse().unwrap();
    assert!(core.ask(&name).await.unwrap().is_none());

    postgres.stop();
    // More than there are connections: those that would have to wait for one are told as well.
    let writes = join_all((0..40).map(|_| core.create_account("lost")));
    let asks = join_all((0..40).map(|_| core.ask(&name)));
    let (writes, asks) = futures::join!(writes, asks);
    assert!(writes.into_iter().all(is_away) && asks.into_iter().all(is_away));
    assert!(is_away(core.create_account("lost").await) && is_away(core.ask(&name).await));

    postgres.resume().await;
    wait::until("a change is made", async || core.create_account("after").await.ok()).await;
    wait::until("a question is answered", async || core.ask(&name).await.ok()).await;
    let names = postgres.psql("test0", "SELECT name FROM accounts ORDER BY id");
    assert_eq!(names.lines().collect::<Vec<_>>(), ["before", "after"]);
    core.db().close().await;
}
