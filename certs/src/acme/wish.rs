//! [`Wish`]: what is asked of the CA, until an order stands there.

use http::StatusCode;
use instant_acme::{Account, Error, Identifier, NewOrder, Order, OrderStatus};
use names::{Subject, Tenant};
use rcgen::KeyPair;

use super::{
    AcmeIssuer,
    check::{identifier, unusable},
    http::CaError,
    journal::Entry,
    order::{Placed, refusal_kind_of},
    problem::{issue_error, signed},
};
use crate::{Bundle, IssueError, Progress};

/// What is asked for, by whom, and who hears of it.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) issuer: &'a AcmeIssuer,
    pub(super) account: &'a Account,
    pub(super) name: &'a Subject,
    pub(super) tenant: Option<&'a Tenant>,
    pub(super) replaces: Option<&'a Bundle>,
    pub(super) progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<'a> Wish<'a> {
    /// The order that was cut off by a crash, if the CA still knows it.
    pub(super) async fn resume(self) -> Result<Option<Placed<'a>>, IssueError> {
        let Some(entry) = self.issuer.journal.load(self.name).await? else { return Ok(None) };
        if !Tenant::may_share(entry.tenant.as_ref(), self.tenant) {
            self.issuer.drop_order(self.name).await?;
            return Ok(None);
        }
        let order = match signed!(self.account.order(entry.order.clone())) {
            Ok(order) => order,
            Err(error) if is_gone(&error) => {
                self.issuer.journal.remove(self.name).await?;
                return Ok(None);
            }
            Err(error) => return Err(issue_error(error)),
        };
        let mut placed = Placed { wish: self, order, entry, journalled: true };
        match placed.order.state().status {
            OrderStatus::Invalid => {
                self.issuer.journal.remove(self.name).await?;
                Ok(None)
            }
            OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {
                tracing::info!(name: "cert.resumed", name = %self.name, order = %placed.entry.order, "order resumed");
                Ok(Some(placed))
            }
        }
    }

    /// A new order.
    pub(super) async fn place(self) -> Result<Placed<'a>, IssueError> {
        let key = KeyPair::generate().map_err(|error| unusable(format!("no key could be made: {error}")))?;
        let order = self.order().await?;
        (self.progress)(Progress::Ordered);
        let entry = Entry {
            order: order.url().to_owned(),
            key: key.serialize_pem(),
            tenant: self.tenant.cloned(),
            created: self.issuer.clock.now(),
        };
        Ok(Placed { wish: self, order, entry, journalled: false })
    }

    /// Asks for the order with everything that we wish, and once more without whatever the CA does not want to hear of.
    async fn order(self) -> Result<Order, IssueError> {
        let mut replaces = self.replaces.and_then(identifier);
        let mut profile = self.issuer.settings.profile.as_deref();
        loop {
            let identifiers = [Identifier::Dns(self.name.as_str().to_owned())];
            let mut new = NewOrder::new(&identifiers);
            if let Some(replaces) = replaces.clone() {
                new = new.replaces(replaces);
            }
            if let Some(profile) = profile {
                new = new.profile(profile);
            }
            let error = match signed!(self.account.new_order(&new)) {
                Ok(order) => return Ok(order),
                Err(error) => error,
            };
            let unwanted = Unwanted::of(&error);
            match unwanted {
                Some(Unwanted::Profile) if profile.is_some() => {
                    tracing::warn!(name: "acme.profile_refused", issuer = %self.issuer.key, profile, "the CA refuses the profile; ordering without");
                    profile = None;
                }
                Some(Unwanted::Replaces) if replaces.is_some() => replaces = None,
                Some(_) | None => return Err(issue_error(error)),
            }
        }
    }
}

/// A part of an order that is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unwanted {
    Profile,
    Replaces,
}

impl Unwanted {
    /// What the CA did not want, by its error.
    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Unsupported(_) => Some(Self::Replaces),
            // The library's own complaint: the CA ignored the field. Its order is left to expire.
            Error::Other(other) if other.to_string().starts_with("replaces field mismatch") => Some(Self::Replaces),
            Error::Other(other) => match other.downcast_ref::<CaError>()? {
                CaError::Problem { status, problem, .. } => Self::of_problem(*status, problem),
                CaError::Status { .. } | CaError::TooLong | CaError::Transport(_) => None,
            },
            _ => None,
        }
    }

    fn of_problem(status: StatusCode, problem: &serde_json::Value) -> Option<Self> {
        match super::http::kind_of(problem) {
            "alreadyReplaced" => Some(Self::Replaces),
            "invalidProfile" => Some(Self::Profile),
            // RFC 9773 section 5 demands 409 for a certificate that was replaced; the type came later.
            _ if status == StatusCode::CONFLICT => Some(Self::Replaces),
            // CAs disown certificates of before a reset, or of another account, in several ways.
            "malformed" | "unauthorized" if problem.to_string().contains("replaces") => Some(Self::Replaces),
            _ => None,
        }
    }
}

/// Whether the CA has forgotten the order: any refusal that is not about us or our speed.
fn is_gone(error: &Error) -> bool {
    !matches!(refusal_kind_of(error), None | Some("accountDoesNotExist" | "rateLimited" | "badNonce"))
        || matches!(error, Error::Other(other) if matches!(
            other.downcast_ref::<CaError>(),
            Some(CaError::Status { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. })
        ))
}
