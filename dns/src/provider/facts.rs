//! [`Facts`]: what is known of a provider without asking it.

/// One provider as the catalogue lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The key that credentials are stored under.
    pub key: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// The form of its credential.
    pub credential: &'static str,
    /// How to create it, in the provider's own words for menus and rights.
    pub setup: &'static str,
    /// What an account must fulfil before its interface can be used.
    pub gate: Option<&'static str>,
    /// What a customer must know before records are written through it.
    pub caveat: Option<&'static str>,
    /// The shortest time to live that it takes, in seconds.
    pub min_ttl: u32,
    /// Whether a CNAME at the top of a zone is taken (and served as addresses).
    pub flattens_apex: bool,
}
