//! Leases. The clock is the server's, the same for every machine.

use super::session::{Session, typed};
use super::{Failure, StoreError};
use crate::rollback::store::{Claim, Lease, OnConflict, Process};

/// Microseconds since 1970. Not `now()`, which stands still while a transaction waits for a lock.
pub(super) const CLOCK: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

pub(super) async fn now(session: &Session) -> Result<i64, Failure> {
    let row = session.row(&format!("SELECT {CLOCK}"), &[]).await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

/// The lease of a thread; none if it has no owner or is not there.
pub(super) async fn find(session: &Session, thread_id: &str) -> Result<Option<Lease>, Failure> {
    let sql = "SELECT owner, epoch, expires_at, host, boot, pid, started FROM threads
         WHERE thread_id = $1 AND owner IS NOT NULL";
    let row = session.row(sql, typed![thread_id => TEXT]).await?;
    Ok(row.map(|row| Lease {
        owner: row.get(0),
        epoch: row.get(1),
        expires_at: row.get(2),
        process: Process {
            host: row.get(3),
            boot: row.get(4),
            pid: u32::try_from(row.get::<_, i64>(5)).unwrap_or(0),
            started: row.get(6),
        },
    }))
}

/// Says whether the thread may be taken, and keeps others from taking it until the end of the transaction. The name is
/// locked, not the row, which is not there yet for a new thread.
pub(super) async fn check(session: &Session, thread_id: &str, claim: Option<&Claim>) -> Result<(), Failure> {
    session.rows("SELECT pg_advisory_xact_lock(hashtextextended($1, 2))", typed![thread_id => TEXT]).await?;
    session.run("SELECT 1 FROM threads WHERE thread_id = $1 FOR UPDATE", typed![thread_id => TEXT]).await?;
    match claim {
        Some(claim) if claim.on_conflict == OnConflict::Reject => {
            let lease = find(session, thread_id).await?;
            Ok(claim.check(thread_id, lease.as_ref(), now(session).await?)?)
        }
        _ => Ok(()),
    }
}

/// Writes the new owner down, or that there is none.
pub(super) async fn record(session: &Session, thread_id: &str, claim: Option<&Claim>) -> Result<(), Failure> {
    let Some(claim) = claim else {
        return prolong(session, thread_id, false).await;
    };
    let (process, lasting) = (Process::own(), claim.micros());
    let sql = format!(
        "UPDATE threads SET owner = $2, lasting = $3, expires_at = {CLOCK} + $3, host = $4, boot = $5, pid = $6,
         started = $7 WHERE thread_id = $1"
    );
    let parameters = typed![
        thread_id => TEXT, claim.owner => TEXT, lasting => INT8, process.host => TEXT, process.boot => TEXT,
        i64::from(process.pid) => INT8, process.started => INT8
    ];
    session.run(&sql, parameters).await?;
    Ok(())
}

/// A write under a lease makes it last its full time again; the last write of a run ends it.
pub(super) async fn prolong(session: &Session, thread_id: &str, running: bool) -> Result<(), Failure> {
    let sql = if running {
        format!("UPDATE threads SET expires_at = {CLOCK} + lasting WHERE thread_id = $1 AND owner IS NOT NULL")
    } else {
        "UPDATE threads SET owner = NULL, lasting = NULL WHERE thread_id = $1".to_owned()
    };
    session.run(&sql, typed![thread_id => TEXT]).await?;
    Ok(())
}

/// Proves the epoch and keeps it from changing until the end of the transaction.
pub(super) async fn held(session: &Session, thread_id: &str, epoch: i64) -> Result<(), Failure> {
    let sql = "SELECT epoch FROM threads WHERE thread_id = $1 FOR UPDATE";
    let row = session.row(sql, typed![thread_id => TEXT]).await?;
    match row.map(|row| row.get::<_, i64>(0)) {
        Some(found) if found == epoch => Ok(()),
        _ => Err(StoreError::LeaseLost(thread_id.to_owned()).into()),
    }
}

/// When the lease ends now that it was renewed.
pub(super) async fn renew(session: &Session, thread_id: &str, epoch: i64) -> Result<i64, Failure> {
    held(session, thread_id, epoch).await?;
    prolong(session, thread_id, true).await?;
    match find(session, thread_id).await? {
        Some(lease) => Ok(lease.expires_at),
        None => now(session).await,
    }
}
