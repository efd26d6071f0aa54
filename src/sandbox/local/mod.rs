//! The embedded default provider: namespaces, Landlock and seccomp, with no server and no root.
//!
//! ```text
//! host -> supervisor (one thread, ends with the host)
//!           -> per run: init (process 1 of fresh namespaces; builds, watches, reports, kills)
//!                -> worker (no capabilities, Landlock, seccomp; then the interpreter and the untrusted code)
//! ```

mod collect;
mod host;
mod init;
mod jail;
mod landlock;
mod memory;
mod messages;
mod remedy;
mod run;
mod seccomp;
mod streams;
pub mod supervisor;
mod sys;
mod view;
mod worker;

pub use host::LocalProvider;
