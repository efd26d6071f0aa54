//! Documents: values beside runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::{Document, Put, Query, StoreError};
use super::parts::Parts;
use super::unknown;
use crate::rollback::snapshot::{Address, Part};

#[derive(Default)]
pub(super) struct Documents {
    rows: BTreeMap<i64, Row>,
    /// Collection, thread and key to the number of the row.
    names: HashMap<(String, String, String), i64>,
    /// Collection and thread to the numbers of their rows.
    threads: HashMap<(String, String), BTreeSet<i64>>,
    last: i64,
}

struct Row {
    collection: String,
    thread_id: String,
    key: String,
    at: i64,
    root: Address,
}

impl Documents {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// False if it was left as it is.
    pub(super) fn put(&mut self, put: &Put, cut: &[Arc<Part>], parts: &mut Parts) -> bool {
        let name = (put.collection.clone(), put.thread_id.clone(), put.key.clone());
        let known = self.names.get(&name).copied();
        if put.once && known.is_some() {
            return false;
        }
        parts.add(cut);
        if let Some(number) = known {
            self.drop_row(number, parts);
        }
        self.last += 1;
        let thread = (name.0.clone(), name.1.clone());
        let row = Row {
            collection: name.0.clone(),
            thread_id: name.1.clone(),
            key: name.2.clone(),
            at: put.at,
            root: put.body.address(),
        };
        self.rows.insert(self.last, row);
        self.names.insert(name, self.last);
        let own = self.threads.entry(thread).or_default();
        own.insert(self.last);
        let beyond = put.keep.map_or(0, |keep| own.len().saturating_sub(keep as usize));
        let old: Vec<i64> = own.iter().take(beyond).copied().collect();
        old.into_iter().for_each(|number| self.drop_row(number, parts));
        true
    }

    fn drop_row(&mut self, number: i64, parts: &mut Parts) {
        let Some(row) = self.rows.remove(&number) else { return };
        parts.release(row.root);
        let thread = (row.collection, row.thread_id);
        if let Some(own) = self.threads.get_mut(&thread) {
            own.remove(&number);
            if own.is_empty() {
                self.threads.remove(&thread);
            }
        }
        self.names.remove(&(thread.0, thread.1, row.key));
    }

    pub(super) fn find(&self, query: &Query, parts: &Parts) -> Result<Vec<Document>, StoreError> {
        let show = |(number, row): (i64, &Row)| {
            let body = parts.blob(row.root).ok_or_else(|| unknown("document", &row.key))?;
            let (thread_id, key) = (row.thread_id.clone(), row.key.clone());
            Ok(Document { thread_id, key, seq: number, at: row.at, body })
        };
        self.meant(query).into_iter().map(show).collect()
    }

    pub(super) fn remove(&mut self, query: &Query, parts: &mut Parts) -> Result<Vec<Document>, StoreError> {
        let found = self.find(query, parts)?;
        found.iter().for_each(|document| self.drop_row(document.seq, parts));
        Ok(found)
    }

    /// The newest first. By name or thread only those are looked at.
    fn meant(&self, query: &Query) -> Vec<(i64, &Row)> {
        let limit = query.limit as usize;
        let row = |number: &i64| self.rows.get(number).map(|row| (*number, row));
        let fits = |row: &Row| {
            row.collection == query.collection && query.key.as_ref().is_none_or(|wanted| *wanted == row.key)
        };
        match (&query.thread_id, &query.key) {
            (Some(thread), Some(key)) => {
                let name = (query.collection.clone(), thread.clone(), key.clone());
                self.names.get(&name).and_then(row).into_iter().take(limit).collect()
            }
            (Some(thread), None) => {
                let own = self.threads.get(&(query.collection.clone(), thread.clone()));
                own.into_iter().flat_map(|own| own.iter().rev()).filter_map(row).take(limit).collect()
            }
            (None, _) => {
                let newest = self.rows.iter().rev().map(|(number, row)| (*number, row));
                newest.filter(|(_, row)| fits(row)).take(limit).collect()
            }
        }
    }
}
