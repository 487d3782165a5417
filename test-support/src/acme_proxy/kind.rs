//! [`Kind`]: the requests of an ACME session.

/// What a request to the CA is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An account: contact, deactivation.
    Account,
    /// An authorization.
    Authorization,
    /// The download of a chain.
    Certificate,
    /// "The challenge is ready."
    Challenge,
    /// The directory.
    Directory,
    /// The signing request.
    Finalize,
    /// Another key for an account.
    KeyChange,
    /// A new account.
    NewAccount,
    /// A nonce.
    NewNonce,
    /// A new order.
    NewOrder,
    /// A look at an order.
    Order,
    /// Anything else.
    Other,
    /// Renewal information (RFC 9773).
    RenewalInfo,
    /// A revocation.
    Revoke,
}

impl Kind {
    /// By Pebble's paths, which differ from Let's Encrypt's on purpose.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/dir" => Self::Directory,
            "/nonce-plz" => Self::NewNonce,
            "/order-plz" => Self::NewOrder,
            "/revoke-cert" => Self::Revoke,
            "/rollover-account-key" => Self::KeyChange,
            "/sign-me-up" => Self::NewAccount,
            _ => Self::by_prefix(path),
        }
    }

    fn by_prefix(path: &str) -> Self {
        const PREFIXES: [(&str, Kind); 7] = [
            ("/authZ/", Kind::Authorization),
            ("/certZ/", Kind::Certificate),
            ("/chalZ/", Kind::Challenge),
            ("/draft-ietf-acme-ari-", Kind::RenewalInfo),
            ("/finalize-order/", Kind::Finalize),
            ("/my-account/", Kind::Account),
            ("/my-order/", Kind::Order),
        ];
        PREFIXES.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or(Self::Other, |(_, kind)| *kind)
    }
}
