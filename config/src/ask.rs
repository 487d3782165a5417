//! `[ask]`: the endpoint that says which hostnames may have a certificate.

use std::{fmt, time::Duration};

use url::Url;

use crate::{
    control::Found,
    section::{Noted, Walk},
    web::parse_url,
};

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

/// What the table says by itself: with a control plane, its URL need not be set.
pub(crate) struct Draft {
    /// `Err` when it was set wrongly; the walk then has the mistake.
    url: Result<Option<Url>, Noted>,
    timeout: Duration,
}

impl Draft {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("ask");
        let url = section.text("url", parse_url).map(|url| url.map(|(url, _)| url));
        Self { url, timeout: section.quantity("timeout", TIMEOUTS, Duration::from_secs(1)) }
    }

    /// `None` when the URL is missing or wrong; the walk then has the mistake.
    pub(crate) fn finish(self, walk: &mut Walk, control: &Found) -> Option<Ask> {
        let url = match (self.url.ok()?, control) {
            (Some(url), _) => url,
            (None, Found::Whole(control)) => control.ask_url(),
            // Whoever mends [control] needs nothing here.
            (None, Found::Mistaken) => return None,
            (None, Found::Nothing) => {
                let hint = "add url = \"http://…\" under [ask]; without it every unknown name is refused";
                walk.section("ask").missing("url", hint.to_owned());
                return None;
            }
        };
        Some(Ask { url, timeout: self.timeout })
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
