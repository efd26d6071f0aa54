//! What to do about a step that the kernel refused.

use super::sys::Fault;
use crate::sandbox::SandboxError;

const CONTAINER: &str = "Inside a container, start it with --security-opt seccomp=unconfined --security-opt \
                         apparmor=unconfined --security-opt systempaths=unconfined";

const MAPPING: &str = "Allow this process to map its own user and group into a user namespace";

/// A step's first words, and the remedy; the first match counts.
const REMEDIES: &[(&str, &str)] = &[
    (
        "make namespaces",
        "Allow unprivileged user namespaces: sysctl user.max_user_namespaces=10000, on Debian \
         kernel.unprivileged_userns_clone=1, on Ubuntu 24.04 kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("write uid_map", MAPPING),
    ("write gid_map", MAPPING),
    ("write setgroups", MAPPING),
    ("restrict with Landlock", "Start Linux 5.13 or newer with landlock in the boot parameter lsm="),
    ("load the system call filter", "Use a kernel with CONFIG_SECCOMP_FILTER=y"),
    ("make a file system", "Use Linux 5.12 or newer"),
    ("show ", "Check that this path exists and can be read by this user"),
    ("mount", "Allow mounts in user namespaces"),
    ("pivot_root", "Allow mounts in user namespaces"),
    ("make mounts private", "Allow mounts in user namespaces"),
];

/// The error for a sandbox that could not be built: unavailable where the machine refuses, else a failed start.
pub fn explain(fault: Fault) -> SandboxError {
    let refused = matches!(fault.errno, libc::EPERM | libc::EACCES | libc::ENOSYS | libc::ENOSPC | libc::EUSERS)
        || fault.step.starts_with("restrict with Landlock");
    let known = REMEDIES.iter().find(|(step, _)| fault.step.starts_with(step)).filter(|_| refused);
    match known {
        Some((_, remedy)) => SandboxError::Unavailable {
            step: fault.step,
            reason: fault.reason,
            remedy: format!("{remedy}. {CONTAINER}."),
        },
        None => SandboxError::Start { step: fault.step, reason: fault.reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_namespaces_name_the_step_and_the_remedy() {
        let fault = Fault { step: "make namespaces".into(), errno: libc::ENOSPC, reason: "no space".into() };
        let text = explain(fault).to_string();
        assert!(text.contains("make namespaces") && text.contains("max_user_namespaces"), "{text}");
    }

    #[test]
    fn a_full_disk_is_not_taken_for_a_refused_namespace() {
        let fault = Fault { step: "write the input file \"a\"".into(), errno: libc::ENOSPC, reason: "full".into() };
        assert!(matches!(explain(fault), SandboxError::Start { .. }));
    }

    #[test]
    fn a_missing_interpreter_is_a_failed_start() {
        let fault = Fault { step: "start /nowhere".into(), errno: libc::ENOENT, reason: "no such file".into() };
        assert!(matches!(explain(fault), SandboxError::Start { .. }));
    }
}
