//! The commit as a function in the database: one round trip in the place of ten, and the server plans its statements
//! once for each connection.

use std::collections::HashSet;
use std::sync::Arc;

use super::session::{Session, typed};
use super::{Commit, Failure, Receipt, Retention, StoreError};
use crate::rollback::snapshot::{Address, Blob, Packer, Part};
use crate::rollback::store::Status;

/// What the function raises if a part that the caller took for stored is not there. Nothing was written then.
const MISSING: &str = "HG001";

/// Its body never changes under this name: another body gets another number, so that programs of two versions can
/// share a database.
pub(super) const NAME: &str = "commit_1";

/// Gives the number of the checkpoint and the new bytes; nothing, and has written nothing, if the epoch is another.
/// Every statement in it sees what was committed before that statement began, as it would by itself.
pub(super) const CREATE: &str = "
CREATE FUNCTION commit_1(
    the_thread text, the_run text, the_epoch bigint, the_token text, the_status text, running boolean, now_at bigint,
    seqs bigint[], kinds text[], times bigint[], event_addresses bytea[], bodies bytea[],
    kept bigint, newest bigint,
    the_label text, the_size bigint, keys text[], roots bytea[],
    part_addresses bytea[], parts bytea[], parents bytea[], children bytea[]
) RETURNS bigint[] LANGUAGE plpgsql
-- Plans are made once and look rows up by their keys, also those that were made while the tables were empty.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    held record;
    number bigint;
    bytes bigint := 0;
    own bytea[];
    wanted bigint;
    counted bigint;
    old bigint;
BEGIN
    SELECT epoch, run_id, token, token_checkpoint, token_bytes INTO held
        FROM threads WHERE thread_id = the_thread FOR UPDATE;
    IF held.token = the_token THEN
        RETURN ARRAY[held.token_checkpoint, held.token_bytes];
    END IF;
    -- Compare-and-set: the row is locked, so an epoch that fits now fits until the end of the transaction.
    IF held.epoch IS DISTINCT FROM the_epoch OR held.run_id IS DISTINCT FROM the_run THEN
        RETURN NULL;
    END IF;
    UPDATE runs SET status = the_status, updated_at = now_at WHERE run_id = the_run;
    INSERT INTO events(run_id, seq, kind, at, address, body)
        SELECT the_run, * FROM unnest(seqs, kinds, times, event_addresses, bodies);
    IF kept IS NOT NULL THEN
        UPDATE checkpoints SET superseded = true
            WHERE thread_id = the_thread AND run_id = the_run AND checkpoint_id > kept;
    END IF;
    IF keys IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('hagane blobs ' || current_schema(), 0));
        INSERT INTO checkpoints(thread_id, run_id, label, at, size)
            VALUES (the_thread, the_run, the_label, now_at, the_size) RETURNING checkpoint_id INTO number;
        WITH added AS (
            INSERT INTO blobs(address, stored) SELECT * FROM unnest(part_addresses, parts)
                ON CONFLICT (address) DO NOTHING RETURNING address, length(stored) AS size
        ) SELECT array_agg(address), coalesce(sum(size), 0) INTO own, bytes FROM added;
        -- What another writer has put counts its own children.
        WITH named AS (
            SELECT address, count(*) AS more FROM (
                SELECT unnest(roots) AS address
                UNION ALL SELECT child FROM unnest(parents, children) AS edge(parent, child)
                    -- `IS TRUE` keeps it from becoming a join: a hash is looked into, however many there are.
                    WHERE (parent IN (SELECT unnest(own))) IS TRUE
            ) AS every GROUP BY address
        ), found AS (
            SELECT address, blob, more FROM named JOIN blobs USING (address)
        ), written AS (
            -- In one order, so that two writers do not wait for each other.
            INSERT INTO counts(blob, count) SELECT blob, more FROM found ORDER BY blob
                ON CONFLICT (blob) DO UPDATE SET count = counts.count + excluded.count
        ), listed AS (
            INSERT INTO manifest(checkpoint_id, position, key, blob)
                SELECT number, place - 1, key, blob
                FROM unnest(keys, roots) WITH ORDINALITY AS entry(key, address, place) JOIN found USING (address)
        ) SELECT (SELECT count(*) FROM named), (SELECT count(*) FROM found) INTO wanted, counted;
        IF wanted <> counted THEN
            RAISE EXCEPTION 'a part of a state is named but not there' USING ERRCODE = 'HG001';
        END IF;
        SELECT checkpoint_id INTO old FROM checkpoints WHERE thread_id = the_thread
            ORDER BY checkpoint_id DESC LIMIT 1 OFFSET newest;
        IF newest IS NOT NULL AND FOUND THEN
            WITH gone AS (
                DELETE FROM manifest USING checkpoints
                    WHERE checkpoints.thread_id = the_thread AND checkpoints.checkpoint_id <= old
                    AND manifest.checkpoint_id = checkpoints.checkpoint_id RETURNING manifest.blob
            ) INSERT INTO garbage(blob) SELECT blob FROM gone;
            DELETE FROM checkpoints WHERE thread_id = the_thread AND checkpoint_id <= old;
        END IF;
    END IF;
    -- A write under a lease makes it last its full time again; the last write of a run ends it.
    UPDATE threads SET checkpoint_id = coalesce(number, checkpoint_id), token = the_token, token_checkpoint = number,
        token_bytes = bytes, owner = CASE WHEN running THEN owner END, lasting = CASE WHEN running THEN lasting END,
        expires_at = CASE WHEN running AND owner IS NOT NULL
            THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + lasting ELSE expires_at END
        WHERE thread_id = the_thread;
    RETURN ARRAY[number, bytes];
END $$
";

const CALL: &str = "SELECT commit_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
     $14, $15, $16, $17, $18, $19, $20, $21, $22)";

/// What a commit says to the function, all encoded and packed before a transaction begins.
pub(super) struct Statement<'a> {
    commit: &'a Commit,
    newest: Option<i64>,
    events: Events<'a>,
    state: Option<State<'a>>,
}

struct Events<'a> {
    seqs: Vec<i64>,
    kinds: Vec<&'a str>,
    times: Vec<i64>,
    addresses: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
}

struct State<'a> {
    size: i64,
    keys: Vec<&'a str>,
    roots: Vec<Vec<u8>>,
    parts: Parts<'a>,
}

/// The parts that are sent, in the order of their addresses, and whom they name.
#[derive(Default)]
struct Parts<'a> {
    addresses: Vec<&'a [u8]>,
    stored: Vec<Vec<u8>>,
    parents: Vec<&'a [u8]>,
    children: Vec<&'a [u8]>,
}

impl<'a> Statement<'a> {
    /// Sends those parts of the state that `there` does not know.
    pub(super) fn new(
        commit: &'a Commit,
        retention: &Retention,
        there: impl Fn(&Address) -> bool,
    ) -> Result<Self, StoreError> {
        let mut packer = Packer::new();
        let events = events(commit, &mut packer)?;
        let state = commit.state.as_deref().map(|state| State::new(state, &mut packer, there)).transpose()?;
        Ok(Self { commit, newest: retention.keep.map(|keep| i64::from(keep.max(1))), events, state })
    }

    /// Runs the function in the transaction that is open. None if a part that was not sent is not there: nothing can
    /// be written in this transaction any more, and whoever commits it rolls it back.
    pub(super) async fn run(&self, session: &Session, epoch: i64, token: &str) -> Result<Option<Receipt>, Failure> {
        let (commit, events, nothing) = (self.commit, &self.events, Parts::default());
        let parts = self.state.as_ref().map_or(&nothing, |state| &state.parts);
        let parameters = typed![
            commit.thread_id => TEXT, commit.run_id => TEXT, epoch => INT8, token => TEXT,
            commit.status.as_str() => TEXT, commit.status == Status::Running => BOOL, commit.at => INT8,
            events.seqs => INT8_ARRAY, events.kinds => TEXT_ARRAY, events.times => INT8_ARRAY,
            events.addresses => BYTEA_ARRAY, events.bodies => BYTEA_ARRAY,
            commit.supersede_after => INT8, self.newest => INT8,
            commit.label => TEXT, self.state.as_ref().map(|state| state.size) => INT8,
            self.state.as_ref().map(|state| &state.keys) => TEXT_ARRAY,
            self.state.as_ref().map(|state| &state.roots) => BYTEA_ARRAY,
            parts.addresses => BYTEA_ARRAY, parts.stored => BYTEA_ARRAY,
            parts.parents => BYTEA_ARRAY, parts.children => BYTEA_ARRAY,
        ];
        let row = match session.row(CALL, parameters).await {
            Err(Failure::Database(error)) if error.code().is_some_and(|code| code.code() == MISSING) => {
                return Ok(None);
            }
            row => row?.ok_or_else(|| Failure::Corrupt(format!("{NAME} gave no answer")))?,
        };
        match row.get::<_, Option<Vec<Option<i64>>>>(0).as_deref() {
            None => Err(StoreError::LeaseLost(commit.thread_id.clone()).into()),
            Some(&[checkpoint, bytes]) => Ok(Some(Receipt { checkpoint, bytes: bytes.unwrap_or(0).unsigned_abs() })),
            Some(_) => Err(Failure::Corrupt(format!("{NAME} gave another answer than it gives"))),
        }
    }
}

fn events<'a>(commit: &'a Commit, packer: &mut Packer) -> Result<Events<'a>, StoreError> {
    let (mut addresses, mut bodies) = (Vec::new(), Vec::new());
    for event in &commit.events {
        let body = event.body.whole()?;
        addresses.push(body.address().to_vec());
        bodies.push(packer.pack(&body));
    }
    Ok(Events {
        seqs: commit.events.iter().map(|event| event.seq).collect(),
        kinds: commit.events.iter().map(|event| event.kind.as_str()).collect(),
        times: commit.events.iter().map(|event| event.at).collect(),
        addresses,
        bodies,
    })
}

impl<'a> State<'a> {
    fn new(
        state: &'a [(String, Blob)],
        packer: &mut Packer,
        there: impl Fn(&Address) -> bool,
    ) -> Result<Self, StoreError> {
        let size = crate::rollback::store::length(state)?;
        let (mut new, mut seen) = (Vec::new(), HashSet::new());
        for (_, blob) in state {
            for part in blob.parts()? {
                if !there(part.address()) && seen.insert(part.address()) {
                    new.push(part);
                }
            }
        }
        // In one order, so that two writers do not wait for each other.
        new.sort_unstable_by_key(|part| part.address());
        Ok(Self {
            size: i64::try_from(size).unwrap_or(i64::MAX),
            keys: state.iter().map(|(key, _)| key.as_str()).collect(),
            roots: state.iter().map(|(_, blob)| blob.address().to_vec()).collect(),
            parts: Parts::new(&new, packer),
        })
    }
}

impl<'a> Parts<'a> {
    fn new(parts: &[&'a Arc<Part>], packer: &mut Packer) -> Self {
        let mut made = Self::default();
        for part in parts {
            made.addresses.push(part.address());
            made.stored.push(packer.pack(part));
            for child in part.children() {
                made.parents.push(part.address());
                made.children.push(&child.address);
            }
        }
        made
    }
}
