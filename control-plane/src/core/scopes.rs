//! What a key may do.

use super::words::words;

words! {
    /// A scope. Kept and shown as its word.
    Scope {
        /// Applications, keys, credentials, webhook endpoints, subscriptions.
        AppsAdmin = "apps:admin",
        /// Read connections, records, usage.
        ConnectionsRead = "connections:read",
        /// Create and check connections, mint widget tokens.
        ConnectionsWrite = "connections:write",
        /// Read usage.
        UsageRead = "usage:read",
        /// Webhook endpoints and replays.
        WebhooksWrite = "webhooks:write",
    }
}
