//! What a file may bring along that SQLite would run: code in a schema is somebody else's.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::Failure;
use super::schema::INDEXES;

const OURS: [&str; 10] = [
    "hagane_meta",
    "threads",
    "runs",
    "checkpoints",
    "manifest",
    "blobs",
    "counts",
    "events",
    "documents",
    "sqlite_sequence",
];
/// Words of a table that computes something; no table of ours has them.
const COMPUTING: [&str; 6] = ["CHECK", "GENERATED", "AS", "SELECT", "REFERENCES", "VIRTUAL"];

/// Lets the schema of the file do as little as SQLite allows.
pub(super) fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    Ok(())
}

/// Refuses a store that has views or triggers, or whose own tables are not plain. Tables of others are not touched.
pub(super) fn check(connection: &Connection) -> Result<(), Failure> {
    let mut statement = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_master")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, name, table): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let sql: Option<String> = row.get(3)?;
        let inert =
            matches!(kind.as_str(), "table" | "index") && !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(&table));
        if !inert && !is_plain(&kind, sql.as_deref()) {
            return Err(Failure::Corrupt(format!("it has a {kind} {name:?} that hagane did not make")));
        }
    }
    Ok(())
}

fn is_plain(kind: &str, sql: Option<&str>) -> bool {
    match (kind, sql) {
        // The index of a key has no statement of its own.
        ("index", sql) => sql.is_none_or(|sql| INDEXES.contains(&sql)),
        ("table", Some(sql)) => {
            let computes = |word: &str| COMPUTING.iter().any(|each| word.eq_ignore_ascii_case(each));
            !sql.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(computes)
        }
        _ => false,
    }
}
