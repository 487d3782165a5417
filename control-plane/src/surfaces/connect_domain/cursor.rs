//! Lists: 20 at a time, at most 100, by a cursor that is the last id.

use serde::{Deserialize, Serialize};

use super::ApiError;

const DEFAULT: i64 = 20;
const MOST: i64 = 100;

/// Which part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// `next_cursor` of the page before.
    #[param(format = "uuid")]
    cursor: Option<String>,
    /// Between 1 and 100; 20 when missing.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

/// A page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// The newest first.
    pub(crate) data: Vec<T>,
    /// Where the next page begins; null at the end.
    pub(crate) next_cursor: Option<String>,
}

impl Paging {
    /// One more than wanted is read, which tells whether there is a next page.
    pub(crate) fn read_limit(&self) -> Result<i64, ApiError> {
        match self.limit.unwrap_or(DEFAULT) {
            limit @ 1..=MOST => Ok(limit + 1),
            _ => Err(ApiError::invalid("/limit", format!("limit is between 1 and {MOST}"))),
        }
    }

    /// Ids have one form: what has another is no cursor of ours.
    pub(crate) fn after(&self) -> Result<Option<&str>, ApiError> {
        match self.cursor.as_deref() {
            Some(cursor) if uuid::Uuid::try_parse(cursor).is_err() => {
                Err(ApiError::invalid("/cursor", "not a cursor of this list"))
            }
            cursor => Ok(cursor),
        }
    }

    pub(crate) fn page<R, T>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> &str, show: impl Fn(R) -> T) -> Page<T> {
        let limit = usize::try_from(self.limit.unwrap_or(DEFAULT)).unwrap_or(0);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).map(|row| id(row).to_owned());
        Page { data: rows.into_iter().map(show).collect(), next_cursor }
    }
}
