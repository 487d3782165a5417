//! Checks of a customer's records: are they there ([`check_records`]), is the name the customer's
//! ([`check_ownership`]), and what will go wrong before anything is tried ([`preflight()`], or in short [`order`]). And of
//! records of our own: does every server show them yet ([`check_everywhere`]).

pub mod caa;
mod desired;
mod everywhere;
mod finding;
mod fronts;
pub mod order;
mod ownership;
mod preflight;
mod records;
mod view;

pub use desired::{DesiredRecord, EdgeTargets, RecordKind, RecordValue, ValueError, desired_records};
pub use everywhere::{Unseen, check_everywhere};
pub use finding::{Finding, FindingCode, RecordRef, Severity};
pub use fronts::front_of;
pub use ownership::{Ownership, check_ownership};
pub use preflight::{Expectation, preflight};
pub use records::{ObservedRecord, check_records};
pub use view::ServerView;
