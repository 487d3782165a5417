//! [`Inquiry`]: what the DNS has to be asked about a claim. Read for many claims at a time, since a worker looks at
//! thousands a second and a statement costs as much for one row as for a hundred.

use std::{collections::HashMap, time::Duration};

use super::{Claim, Connection, Core, CoreError, Moment, Proof, Record};
use crate::db::{self, Rows, Session, proofs::HolderRow};

/// What the DNS has to be asked about a claim.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// The claim with its proofs and records.
    pub connection: Connection,
    /// Pointing here is proof enough for its surface.
    pub pointing_proves: bool,
    /// The other claim that holds the name, and its challenge: id, name and value.
    pub holder: Option<(String, String, String)>,
    /// Every server of the zone must show the records before the name points here, those that say nothing too: we have
    /// just written them, and a server that is silent now may show the old ones next.
    pub all_servers: bool,
}

/// For how long a silent server of a zone keeps a name waiting. After that it is broken, and the others speak for it.
const WAIT_FOR_SILENT: Duration = Duration::from_mins(10);

impl Core {
    /// What has to be asked about a claim. `None` when there is nothing to ask any more.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn inquire(&self, claim_id: &str) -> Result<Option<Inquiry>, CoreError> {
        Ok(self.inquire_all(&[claim_id]).await?.remove(claim_id))
    }

    /// The same about many, by id. Claims about which there is nothing to ask are left out.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn inquire_all(&self, claim_ids: &[&str]) -> Result<HashMap<String, Inquiry>, CoreError> {
        let mut session = self.read().await?;
        let ids = || claim_ids.iter().copied().collect::<Rows>();
        let now = self.now();
        let claims = db::claims::active_of_ids(&mut session, ids()).await?;
        let mut holders = holders_of(&mut session, &claims).await?;
        let mut proofs: HashMap<String, Vec<Proof>> = HashMap::new();
        for found in db::proofs::of_claims(&mut session, ids()).await? {
            proofs.entry(found.claim_id).or_default().push(found.row);
        }
        let mut records: HashMap<String, Vec<Record>> = HashMap::new();
        for found in db::records::of_claims(&mut session, ids()).await? {
            records.entry(found.claim_id).or_default().push(found.row);
        }
        let inquiry = |claim: Claim| {
            let id = claim.id.clone();
            let holder = match claim.is_holder() {
                true => None,
                false => holders.remove(claim.hostname.as_str()),
            };
            let connection = Connection {
                proofs: proofs.remove(&id).unwrap_or_default(),
                records: records.remove(&id).unwrap_or_default(),
                certificate: None,
                attempts: Vec::new(),
                review: Vec::new(),
                claim,
            };
            let pointing_proves = self.settings.policy(connection.claim.surface).proof_by_pointing().is_some();
            let holder = holder.map(|holder| (holder.claim_id, holder.name, holder.expected));
            let all_servers = was_just_written(&connection.claim, now);
            (id, Inquiry { connection, pointing_proves, holder, all_servers })
        };
        Ok(claims.into_iter().map(inquiry).collect())
    }
}

fn was_just_written(claim: &Claim, now: Moment) -> bool {
    !claim.is_pointing() && claim.written_at.is_some_and(|at| now.since(at) < WAIT_FOR_SILENT)
}

/// Who holds the names of those claims that hold none, by hostname.
async fn holders_of(session: &mut Session, claims: &[Claim]) -> Result<HashMap<String, HolderRow>, CoreError> {
    let names: Rows = claims.iter().filter(|claim| !claim.is_holder()).map(|claim| claim.hostname.as_str()).collect();
    let found = db::proofs::of_holders(session, names).await?;
    Ok(found.into_iter().map(|holder| (holder.hostname.clone(), holder)).collect())
}
