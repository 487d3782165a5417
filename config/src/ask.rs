//! `[ask]`: the endpoint that says which hostnames may have a certificate.

use std::{fmt, time::Duration};

use url::Url;

use crate::{section::Walk, web::parse_url};

/// The gate's address and patience.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    /// Asked with `?domain=<a-label>` added to the query; `http` or `https`, no credentials, no fragment.
    pub url: Url,
    /// From the question to the whole answer; beyond it the question counts as failed.
    pub timeout: Duration,
}

/// Asking is on the path of a handshake: less cannot be answered across a network, more keeps visitors waiting.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

impl Ask {
    /// `None` when the URL is missing or wrong; the walk then has the mistake.
    pub(crate) fn read(walk: &mut Walk) -> Option<Self> {
        let mut section = walk.section("ask");
        let url = section.text("url", parse_url);
        let timeout = section.quantity("timeout", TIMEOUTS, Duration::from_secs(1));
        if url == Ok(None) {
            let hint = "add url = \"http://…\" under [ask]; without it every unknown name is refused";
            section.missing("url", hint.to_owned());
        }
        let (url, _) = url.ok().flatten()?;
        Some(Self { url, timeout })
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may carry a token.
        let mut url = self.url.clone();
        url.set_query(url.query().map(|_| "…"));
        f.debug_struct("Ask").field("url", &url.as_str()).field("timeout", &self.timeout).finish()
    }
}
