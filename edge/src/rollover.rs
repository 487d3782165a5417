//! New keys for the ACME accounts, on request.

use certs::{Certificates, IssuerKey, RolloverError};
use serde::Serialize;

/// What became of the accounts of all issuers.
#[derive(Debug, Serialize)]
pub struct Rollover {
    /// One for each issuer of the configuration.
    pub accounts: Vec<Account>,
}

/// What became of one.
#[derive(Debug, Serialize)]
pub struct Account {
    /// The issuer, as the store names it.
    pub issuer: String,
    /// `changed`, `failed`, or `none` where there is no account yet.
    pub outcome: &'static str,
    /// The account's URL, which stays.
    pub account: Option<String>,
    /// A stable word for what went wrong.
    pub code: Option<&'static str>,
    /// What went wrong, and how to go on.
    pub problem: Option<String>,
}

impl Rollover {
    /// Changes the keys, one account after the other.
    pub async fn of(certificates: &Certificates) -> Self {
        let rolled = certificates.roll_over().await;
        Self { accounts: rolled.into_iter().map(Account::new).collect() }
    }

    /// Whether nothing went wrong.
    pub fn is_whole(&self) -> bool {
        self.accounts.iter().all(|account| account.code.is_none())
    }
}

impl Account {
    fn new((issuer, rolled): (IssuerKey, Result<Option<String>, RolloverError>)) -> Self {
        let issuer = issuer.to_string();
        match rolled {
            Ok(account) => {
                let outcome = if account.is_some() { "changed" } else { "none" };
                Self { issuer, outcome, account, code: None, problem: None }
            }
            Err(error) => {
                let problem = telemetry::chain(&error).to_string();
                tracing::warn!(
                    issuer,
                    code = error.code(),
                    error = problem,
                    "acme.account_key_failed: the account key was not changed"
                );
                Self { issuer, outcome: "failed", account: None, code: Some(error.code()), problem: Some(problem) }
            }
        }
    }
}
