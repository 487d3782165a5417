//! Loading and saving one name's certificate.

use names::Subject;
use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};

use super::{Place, PostgresStore, Task, signed};
use crate::{
    Bundle, IssuerKey, Leaf, Lease, StoreError,
    file_store::{is_segment, sound},
};

/// The name's own certificates and those of the wildcard above it, the youngest first.
const LOAD: &str = "SELECT name, issuer, chain_pem, sealed_key, meta FROM namegate_edge.certificates
    WHERE name = ANY($1) ORDER BY not_before DESC";

/// The number is counted up and the row replaced in one statement, which a lost lease leaves without effect: its row is
/// locked as long as this runs, so nobody takes the lease over in between. Fields of the metadata that nobody here knows
/// stay; those about issuer and tenant belong to the certificate that is replaced.
macro_rules! save {
    ($held:literal) => {
        concat!(
            "WITH held AS (",
            $held,
            "), counted AS (
                UPDATE namegate_edge.changes SET seq = seq + 1 FROM held RETURNING seq
            )
            INSERT INTO namegate_edge.certificates AS kept
                (name, issuer, chain_pem, sealed_key, meta, not_before, not_after, seq)
            SELECT $1, $2, $3, $4, $5, $6, $7, counted.seq FROM counted
            ON CONFLICT (name, issuer) DO UPDATE SET
                chain_pem = EXCLUDED.chain_pem, sealed_key = EXCLUDED.sealed_key,
                meta = CASE jsonb_typeof(kept.meta) WHEN 'object' THEN kept.meta - 'issuer_data' - 'namegate' ELSE '{}' END
                    || EXCLUDED.meta,
                not_before = EXCLUDED.not_before, not_after = EXCLUDED.not_after, seq = EXCLUDED.seq
            RETURNING pg_notify('namegate_edge', 'certificates')"
        )
    };
}
const SAVE: &str = save!("SELECT 1");
const SAVE_UNDER: &str = save!("SELECT 1 FROM namegate_edge.leases WHERE name = $8 AND token = $9 FOR SHARE");

impl PostgresStore {
    /// The certificate for `name`: its own, else, for a hostname, the wildcard one label up.
    pub(super) async fn load_certificate(&self, name: &Subject) -> Result<Option<Bundle>, StoreError> {
        let above = name.hostname().as_ref().and_then(Subject::above);
        let names: Vec<&str> = [Some(name), above.as_ref()].into_iter().flatten().map(Subject::as_str).collect();
        let task = Task { op: "load", action: "read", entry: name.as_str() };
        let rows = self.run(task, sqlx::query(LOAD).bind(names).fetch_all(&self.pool)).await?;
        let own = self.newest(&rows, name, name);
        if let Ok(Some(bundle)) = own {
            return Ok(Some(bundle));
        }
        match above.map(|above| self.newest(&rows, &above, name)) {
            Some(Ok(Some(bundle))) => Ok(Some(bundle)),
            // A broken wildcard is reported and keeps no name below it from a certificate of its own.
            Some(Ok(None) | Err(_)) | None => own,
        }
    }

    /// Of the rows under `keeper` the first that can serve `name`. Broken ones are reported; the first of them is the
    /// error when none is sound.
    fn newest(&self, rows: &[PgRow], keeper: &Subject, name: &Subject) -> Result<Option<Bundle>, StoreError> {
        let mut first_error = None;
        for row in rows {
            match self.bundle(row, keeper, name) {
                Some(Ok(bundle)) => return Ok(Some(bundle)),
                Some(Err(error)) => {
                    self.report(&error);
                    first_error.get_or_insert(error);
                }
                None => {}
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// `None` when the row is another name's.
    fn bundle(&self, row: &PgRow, keeper: &Subject, name: &Subject) -> Option<Result<Bundle, StoreError>> {
        let kept: &str = row.try_get("name").ok()?;
        let issuer: &str = row.try_get("issuer").ok()?;
        (kept == keeper.as_str())
            .then(|| self.open_bundle(row, Place::Certificate { name: kept, issuer }, issuer, name))
    }

    fn open_bundle(&self, row: &PgRow, place: Place<'_>, issuer: &str, name: &Subject) -> Result<Bundle, StoreError> {
        let unreadable = |error: sqlx::Error| place.broken(error.to_string());
        let key = self.open_sealed(&place, row.try_get("sealed_key").map_err(unreadable)?)?;
        let Json(meta): Json<Value> = row.try_get("meta").map_err(unreadable)?;
        let bundle = Bundle {
            issuer: IssuerKey::new(issuer),
            chain_pem: row.try_get("chain_pem").map_err(unreadable)?,
            key_pem: String::from_utf8(key).map_err(|_| place.broken("the key is not text".to_owned()))?,
            meta,
        };
        sound(&bundle, name).map_err(|problem| place.broken(problem))?;
        Ok(bundle)
    }

    /// Saves a bundle that [`load_certificate`](Self::load_certificate) would take; `false` when the lease was lost.
    pub(super) async fn save_certificate(
        &self,
        lease: Option<&Lease>,
        name: &Subject,
        bundle: &Bundle,
    ) -> Result<bool, StoreError> {
        let issuer = bundle.issuer.as_str();
        let place = Place::Certificate { name: name.as_str(), issuer };
        if !is_segment(issuer) {
            return Err(place.broken("the issuer's name is no path segment".to_owned()));
        }
        let leaf = sound(bundle, name).map_err(|problem| place.broken(problem))?;
        let sealed = self.seal(&place, bundle.key_pem.as_bytes())?;
        let (save, lease) = match lease {
            Some(lease) => (SAVE_UNDER, Some(lease)),
            None => (SAVE, None),
        };
        let save = sqlx::query(save)
            .bind(name.as_str())
            .bind(issuer)
            .bind(&bundle.chain_pem)
            .bind(sealed)
            .bind(Json(meta(bundle, &leaf)))
            .bind(signed(leaf.not_before().as_millis()))
            .bind(signed(leaf.not_after().as_millis()));
        let save = match lease {
            Some(lease) => save.bind(&lease.name).bind(lease.token),
            None => save,
        };
        let task = Task { op: "save", action: "write", entry: name.as_str() };
        let saved = self.run(task, save.fetch_optional(&self.pool)).await?;
        Ok(saved.is_some())
    }
}

/// CertMagic's metadata for a fresh certificate.
fn meta(bundle: &Bundle, leaf: &Leaf) -> Value {
    let mut meta = bundle.meta.as_object().cloned().unwrap_or_default();
    meta.entry("sans").or_insert_with(|| leaf.names().collect());
    Value::Object(meta)
}
