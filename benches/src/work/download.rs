//! Large answers: what a byte costs.

use anyhow::Result;

use super::{client, http1::visitors};
use crate::{
    bed::Bed,
    client::{Alpn, Sessions},
    load::{Effort, Sample, cpu_per_operation},
    origin::LARGE_PATH,
    server::Server,
};

const CONNECTIONS: usize = 4;

pub(super) async fn sample(server: &Server, bed: &Bed, effort: &Effort) -> Result<Sample> {
    let workers = visitors(&client(server, bed, Alpn::Http1, Sessions::Forgotten)?, CONNECTIONS, LARGE_PATH).await?;
    cpu_per_operation(&server.tree, workers, effort).await
}
