//! Wire types that the two planes share.
//!
//! Only shapes live here: no client, no server, no cache, no decision. Unknown fields are ignored everywhere, so that a
//! newer peer can say more than an older one understands.

mod ask;
mod feed;
mod report;
mod snapshot;

pub use ask::AskAnswer;
pub use feed::{Change, ChangeKind, Changes, Route};
pub use report::{CertificateReport, Problem, ReportKind, Reports, Subproblem};
pub use snapshot::{SNAPSHOT_LINE, SNAPSHOT_TYPE, SnapshotEnd, SnapshotHeader, SnapshotLine, SnapshotName};
