//! Changing the key that secrets are sealed under, while everything runs.
//!
//! Every process opens with all keys of its file and seals with the first. A new key therefore comes in three steps: it
//! is added as a further line everywhere, then moved to the first line everywhere, and then [`Core::reseal`] seals what
//! is kept under it. The old line may go when [`Core::sealing`] counts nothing old any more.

use ::sealing::KeyAge;

use super::{Core, CoreError, Keyring};
use crate::db::{self, sealed::PLACES};

/// Rows that are looked at at a time.
const PAGE: i64 = 500;

/// How many secrets are sealed under which keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealing {
    /// Under the first key of the file.
    pub current: u64,
    /// Under another key of the file.
    pub old: u64,
    /// Under a key that the file does not hold.
    pub unreadable: u64,
}

/// A sealed value and where it stands.
struct Sealed {
    place: (&'static str, &'static str),
    id: String,
    value: Vec<u8>,
}

impl Core {
    /// Counts the sealed secrets by key.
    ///
    /// # Errors
    /// [`CoreError::NoKeyring`], [`CoreError::Db`].
    pub async fn sealing(&self) -> Result<Sealing, CoreError> {
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        Ok(self.survey(keyring).await?.0)
    }

    /// Seals under the first key whatever is sealed under another one of the file; answers how many that were. What
    /// changes meanwhile is sealed under the first key by whoever changes it.
    ///
    /// # Errors
    /// [`CoreError::NoKeyring`], [`CoreError::Seal`], [`CoreError::Db`]. What was resealed before stays so.
    pub async fn reseal(&self) -> Result<u64, CoreError> {
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        let mut resealed = 0;
        for sealed in self.survey(keyring).await?.1 {
            resealed += self.reseal_one(keyring, sealed).await?;
        }
        Ok(resealed)
    }

    /// The counts, and what is sealed under old keys: about 100 bytes for each webhook endpoint.
    async fn survey(&self, keyring: &Keyring) -> Result<(Sealing, Vec<Sealed>), CoreError> {
        let (mut sealing, mut old) = (Sealing::default(), Vec::new());
        for place in PLACES {
            let mut after = String::new();
            loop {
                let page = self.sealed_page(place, &after).await?;
                let Some(last) = page.last() else { break };
                after.clone_from(&last.id);
                for sealed in page {
                    let age = keyring.age(&sealed.value);
                    *sealing.count_of(age) += 1;
                    old.extend((age == Some(KeyAge::Old)).then_some(sealed));
                }
            }
        }
        Ok((sealing, old))
    }

    async fn reseal_one(&self, keyring: &Keyring, sealed: Sealed) -> Result<u64, CoreError> {
        let Sealed { place, id, value } = sealed;
        let context = format!("{}.{}.{id}", place.0, place.1);
        let new = keyring.seal(&context, &keyring.open(&context, &value)?)?;
        let mut tx = self.begin().await?;
        let changed = db::sealed::replace(&mut tx, place, &id, value, new).await?;
        self.commit(tx).await?;
        Ok(changed)
    }

    async fn sealed_page(&self, place: (&'static str, &'static str), after: &str) -> Result<Vec<Sealed>, CoreError> {
        let page = db::sealed::page(&mut self.read().await?, place, after, PAGE).await?;
        Ok(page.into_iter().map(|(id, value)| Sealed { place, id, value }).collect())
    }
}

impl Sealing {
    fn count_of(&mut self, age: Option<KeyAge>) -> &mut u64 {
        match age {
            Some(KeyAge::Current) => &mut self.current,
            Some(KeyAge::Old) => &mut self.old,
            None => &mut self.unreadable,
        }
    }
}
