//! What the three parts say to each other: host -> supervisor, host <-> init.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sys::Fault;
use crate::sandbox::{Ending, Interpreter, Limits, Usage};

/// Host to supervisor, with the descriptors of one run: its channel, stdout, stderr and report pipe.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Make an init for this run.
    Start {
        /// Names the run in later orders.
        run: u64,
        /// The interpreter and what it needs to see.
        interpreter: Interpreter,
    },
    /// Kill that run's init, and all below it with it.
    Kill {
        /// Which one.
        run: u64,
    },
}

/// How many descriptors come with [`Order::Start`].
pub const START_DESCRIPTORS: usize = 4;

/// Host to init.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToInit {
    /// What to build and run; comes first.
    Job(Job),
    /// A piece of an input file, in order.
    File {
        /// Relative path, checked by the host and again by init.
        path: String,
        /// The next bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// All files are there: run.
    Run,
    /// Kill the code and report.
    Kill,
}

/// One run, without its files.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Python source.
    pub code: String,
    /// The program that runs it.
    pub executable: PathBuf,
    /// The complete environment.
    pub env: BTreeMap<String, String>,
    /// What the run may use.
    pub limits: Limits,
}

/// Init to host.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromInit {
    /// The sandbox could not be built; init ends.
    Failed(Fault),
    /// The interpreter is running.
    Started {
        /// Landlock's ABI in force.
        landlock: i32,
    },
    /// The code has ended and nothing of it is left.
    Ended {
        /// How.
        ending: Ending,
        /// From the start of the interpreter, in nanoseconds.
        nanoseconds: u64,
        /// What it used.
        usage: Usage,
    },
    /// A piece of a file that the code made or changed, in order.
    File {
        /// Path relative to the working directory, as raw bytes: names are the code's.
        #[serde(with = "serde_bytes")]
        path: Vec<u8>,
        /// The next bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// A file that does not come back.
    Skipped {
        /// Its path.
        #[serde(with = "serde_bytes")]
        path: Vec<u8>,
        /// Why.
        reason: String,
    },
    /// Nothing more will come.
    Done,
}

/// The size of a piece of a file.
pub const PIECE: usize = 256 << 10;
