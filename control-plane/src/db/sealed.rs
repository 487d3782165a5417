//! Every place where a sealed secret is kept.

use super::{DbError, Session, sql};

/// Table and column. A secret is sealed for `table.column.id`, so a place that is missing here is never resealed; a
/// test holds the list against the schema.
pub(crate) const PLACES: [(&str, &str); 3] = [
    ("webhook_endpoints", "sealed_secret"),
    ("webhook_endpoints", "sealed_former"),
    ("dns_credentials", "sealed_token"),
];

/// Sealed values of a place after an id, by id.
pub(crate) async fn page(
    session: &mut Session,
    (table, column): (&str, &str),
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, DbError> {
    let text = format!("SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL AND id > $1 ORDER BY id LIMIT $2");
    sql(text).bind(after).bind(limit).all(session).await
}

/// Replaces a sealed value if it still is what was read.
pub(crate) async fn replace(
    tx: &mut Session,
    (table, column): (&str, &str),
    id: &str,
    old: Vec<u8>,
    new: Vec<u8>,
) -> Result<u64, DbError> {
    let text = format!("UPDATE {table} SET {column} = $2 WHERE id = $1 AND {column} = $3");
    sql(text).bind(id).bind(new).bind(old).run(tx).await
}

#[cfg(test)]
mod tests {
    use super::PLACES;

    #[test]
    fn every_sealed_column_of_the_schema_is_resealed() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let schema: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let mut table = "";
        let mut found = Vec::new();
        for line in schema.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                table = rest.trim_end_matches(" (");
            }
            found.extend(line.split(' ').next().filter(|word| word.starts_with("sealed_")).map(|word| (table, word)));
        }
        assert_eq!(found, PLACES);
    }
}
