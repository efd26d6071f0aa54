//! What a run is: the request, the limits, the outcome, and the errors that are the sandbox's own.
//!
//! Nothing here knows how a run is isolated; that is a provider's business.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod check;
pub mod files;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub mod local;
pub mod output;
pub mod protocol;

/// One piece of code to run, and everything that it gets.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Python source, run as `__main__`.
    pub code: String,
    /// Variables added to the minimal environment of the sandbox.
    pub env: BTreeMap<String, String>,
    /// Files of the working directory, by relative path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What the run may use.
    pub limits: Limits,
}

/// What one run may use. All limits hold for the whole process tree unless said otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time from the start of the code.
    pub timeout: Duration,
    /// Bytes of memory, tmpfs included.
    pub memory: u64,
    /// Bytes on the scratch file system (working directory, /tmp and /dev/shm together).
    pub disk: u64,
    /// Files and directories on the scratch file system.
    pub inodes: u64,
    /// Bytes of one file.
    pub file_size: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Open descriptors, per process.
    pub open_files: u64,
    /// Bytes kept of each output stream; the rest is discarded.
    pub output_kept: usize,
    /// Bytes of each output stream after which the run is killed.
    pub output_killed: u64,
    /// Bytes of all files that come back.
    pub collected_bytes: u64,
    /// How many files come back.
    pub collected_files: usize,
    /// How deep a returned file may lie.
    pub collected_depth: usize,
}

const MIB: u64 = 1 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            memory: 1024 * MIB,
            disk: 256 * MIB,
            inodes: 8192,
            file_size: 256 * MIB,
            processes: 64,
            open_files: 512,
            output_kept: MIB as usize,
            output_killed: 64 * MIB,
            collected_bytes: 64 * MIB,
            collected_files: 1000,
            collected_depth: 16,
        }
    }
}

/// How a run ended, as the kernel saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The code's process exited with this status.
    Exited(i32),
    /// The code's process was killed by this signal, not by us.
    Signalled(i32),
    /// The wall time was over.
    TimedOut,
    /// The tree used more memory than allowed.
    OutOfMemory,
    /// The code wrote more output than allowed.
    TooMuchOutput,
}

impl Ending {
    /// The exit status as a shell would give it: 124 for a timeout, 128 + n for signal n.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Signalled(signal) => 128 + signal,
            Self::TimedOut => 124,
            Self::OutOfMemory | Self::TooMuchOutput => 128 + 9,
        }
    }
}

/// What the run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system CPU time of the whole tree.
    pub cpu: Duration,
    /// Highest memory seen, in bytes (sampled for a tree, exact for its largest process).
    pub peak_memory: u64,
}

/// What held the code in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// `L3`, `L2` or `L1`; see SECURITY.md.
    pub level: String,
    /// The mechanisms in force, such as `namespaces`, `landlock:7`, `seccomp`.
    pub mechanisms: Vec<String>,
    /// Limits that were asked for by default and could not be enforced.
    pub unenforced: Vec<String>,
}

/// The exception that ended the code, in the code's own words: not to be believed, only shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncaught {
    /// Name of the exception's class.
    pub kind: String,
    /// Its text, cut at some hundred characters.
    pub message: String,
}

/// All that one run gave back.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What the code wrote to its standard output, up to the cap.
    pub stdout: Vec<u8>,
    /// What the code wrote to its standard error, up to the cap.
    pub stderr: Vec<u8>,
    /// Whether either stream was cut.
    pub truncated: bool,
    /// Files that the code made or changed.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Files that did not come back, and why.
    pub skipped: Vec<(String, String)>,
    /// Wall time of the code.
    pub duration: Duration,
    /// What it used.
    pub usage: Usage,
    /// What held it in.
    pub isolation: Isolation,
    /// The exception that ended it, if it says so.
    pub uncaught: Option<Uncaught>,
}

/// A fault of the sandbox itself, never of the code that ran in it.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The demanded isolation cannot be had here.
    #[error("no local sandbox here: {step} failed: {reason}. {remedy}")]
    Unavailable {
        /// What was tried.
        step: String,
        /// What the kernel said.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// This run could not be started.
    #[error("the sandbox did not start: {step}: {reason}")]
    Start {
        /// What was tried.
        step: String,
        /// What went wrong.
        reason: String,
    },
    /// The sandbox broke during a run.
    #[error("the sandbox broke during the run: {0}")]
    Broken(String),
    /// A call after `close()`.
    #[error("the sandbox is closed; get a new one with get_sandbox()")]
    Closed,
    /// The request is not well formed; nothing ran.
    #[error("{0}")]
    Invalid(String),
}

/// The interpreter to run, and the trees that it needs to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The program, by an absolute path that lies in one of the trees.
    pub executable: PathBuf,
    /// Files and folders shown read-only at their own paths.
    pub trees: Vec<PathBuf>,
}
