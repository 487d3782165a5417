//! The proxy's connections to the CA, kept for the next request.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use parking_lot::Mutex;

use crate::{
    Pebble, body,
    client::{
        TlsClient,
        http::{Http, HttpError},
    },
};

pub(super) struct Upstream {
    client: TlsClient,
    address: SocketAddr,
    idle: Mutex<Vec<Http>>,
}

impl Upstream {
    pub(super) fn of(pebble: &Pebble) -> Self {
        Self { client: TlsClient::trusting(pebble.root_pem()), address: pebble.address(), idle: Mutex::default() }
    }

    pub(super) async fn send(&self, request: Request<Incoming>) -> Result<Response<Bytes>, HttpError> {
        let request = super::buffer(request).await?;
        // Out of the lock before the exchange: requests run side by side, each on a connection of its own.
        let idle = self.idle.lock().pop();
        if let Some(mut http) = idle
            && let Ok(response) = http.send(request.clone().map(body::full)).await
        {
            self.idle.lock().push(http);
            return Ok(response);
        }
        let mut http = self.client.visit(self.address, &self.address.ip().to_string()).await?.http().await?;
        let response = http.send(request.map(body::full)).await?;
        self.idle.lock().push(http);
        Ok(response)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}
