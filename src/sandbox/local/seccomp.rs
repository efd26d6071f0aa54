//! The system calls that untrusted code may make.
//!
//! An allow-list: what is not named in [`policy`] fails with EPERM. Numbers of the x32 range are no named numbers, so
//! they fail too.

mod policy;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use policy::{ALLOWED, ALLOWED_HERE, FCNTLS, IOCTLS, MAP_TYPE, NAMESPACES, PRCTLS, SOCKET_OPTIONS, SOCKETS};

#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Built<T> = Result<T, seccompiler::BackendError>;

fn argument(index: u8, op: SeccompCmpOp, value: u64) -> Built<SeccompCondition> {
    // 32 bits: the kernel reads these arguments as int, so high bits must not make a difference.
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value)
}

/// One rule per value: the argument at `index` is one of `values`.
fn one_of(index: u8, values: impl IntoIterator<Item = u64>) -> Built<Vec<SeccompRule>> {
    values.into_iter().map(|value| SeccompRule::new(vec![argument(index, SeccompCmpOp::Eq, value)?])).collect()
}

fn sockets() -> Built<Vec<SeccompRule>> {
    let kind_bits = u64::from(u32::MAX) & !((libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64);
    let mut rules = Vec::new();
    for (domain, kind, protocols) in SOCKETS {
        for protocol in *protocols {
            rules.push(SeccompRule::new(vec![
                argument(0, SeccompCmpOp::Eq, *domain as u64)?,
                argument(1, SeccompCmpOp::MaskedEq(kind_bits), *kind as u64)?,
                argument(2, SeccompCmpOp::Eq, *protocol as u64)?,
            ])?);
        }
    }
    Ok(rules)
}

fn socket_options() -> Built<Vec<SeccompRule>> {
    let mut rules = Vec::new();
    for (level, options) in SOCKET_OPTIONS {
        for option in *options {
            rules.push(SeccompRule::new(vec![
                argument(1, SeccompCmpOp::Eq, *level as u64)?,
                argument(2, SeccompCmpOp::Eq, *option as u64)?,
            ])?);
        }
    }
    Ok(rules)
}

/// Files, or private memory. Shared anonymous memory can be filled and unmapped in part: it then belongs to no
/// process's resident set and nothing that watches processes sees it. Huge pages come out of a pool of the host.
fn mappings() -> Built<Vec<SeccompRule>> {
    let no_huge_pages = || argument(3, SeccompCmpOp::MaskedEq(libc::MAP_HUGETLB as u64), 0);
    Ok(vec![
        SeccompRule::new(vec![argument(3, SeccompCmpOp::MaskedEq(libc::MAP_ANONYMOUS as u64), 0)?, no_huge_pages()?])?,
        SeccompRule::new(vec![
            argument(3, SeccompCmpOp::MaskedEq(MAP_TYPE), libc::MAP_PRIVATE as u64)?,
            no_huge_pages()?,
        ])?,
    ])
}

fn allow_list() -> Built<Rules> {
    let mut rules: Rules = ALLOWED.iter().chain(ALLOWED_HERE).map(|&call| (call, Vec::new())).collect();
    let no_namespaces = argument(0, SeccompCmpOp::MaskedEq(NAMESPACES), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_namespaces])?]);
    rules.insert(libc::SYS_mmap, mappings()?);
    rules.insert(libc::SYS_socket, sockets()?);
    rules.insert(libc::SYS_socketpair, one_of(0, [libc::AF_UNIX as u64])?);
    rules.insert(libc::SYS_setsockopt, socket_options()?);
    rules.insert(libc::SYS_fcntl, one_of(1, FCNTLS.iter().map(|&command| command as u64))?);
    // Oneself only: init has the same user, so by the kernel's rules its limits and processors could be taken away.
    rules.insert(libc::SYS_prlimit64, one_of(0, [0])?);
    rules.insert(libc::SYS_sched_setaffinity, one_of(0, [0])?);
    rules.insert(libc::SYS_ioctl, one_of(1, IOCTLS.iter().copied())?);
    rules.insert(libc::SYS_prctl, one_of(0, PRCTLS.iter().map(|&option| option as u64))?);
    // Only the query; turning off address randomisation is refused.
    rules.insert(libc::SYS_personality, one_of(0, [0xffff_ffff])?);
    Ok(rules)
}

fn compile(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Built<BpfProgram> {
    SeccompFilter::new(rules, otherwise, matched, ARCHITECTURE)?.try_into()
}

/// The programs to load, in this order.
///
/// # Errors
/// None on the two supported architectures; a changed table that does not compile is an error, not a panic.
pub fn programs() -> Built<[BpfProgram; 2]> {
    // A filter has one action: clone3 must say ENOSYS, so that the C library falls back to clone, whose flags are plain
    // integers that a filter can read. The allow-list below lets it through to this verdict.
    let no_clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    Ok([
        compile(no_clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?,
        compile(allow_list()?, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_compile_and_fit_the_kernel() {
        for program in programs().unwrap() {
            assert!(program.len() < 4096, "{} instructions", program.len());
        }
    }

    #[test]
    #[rustfmt::skip]
    fn the_dangerous_calls_are_not_on_the_list() {
        let rules = allow_list().unwrap();
        for call in [
            libc::SYS_unshare, libc::SYS_setns, libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root,
            libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_bpf,
            libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup, libc::SYS_keyctl,
            libc::SYS_add_key, libc::SYS_request_key, libc::SYS_init_module, libc::SYS_kexec_load,
            libc::SYS_open_by_handle_at, libc::SYS_mknodat, libc::SYS_setuid, libc::SYS_setpriority,
            libc::SYS_memfd_create, libc::SYS_memfd_secret, libc::SYS_shmget, libc::SYS_shmat, libc::SYS_msgget,
            libc::SYS_semget, libc::SYS_chroot, libc::SYS_quotactl, libc::SYS_reboot, libc::SYS_swapon,
            libc::SYS_pidfd_getfd, libc::SYS_seccomp, libc::SYS_vmsplice, libc::SYS_splice, libc::SYS_tee,
            libc::SYS_inotify_init1, libc::SYS_setxattr, libc::SYS_process_madvise,
        ] {
            assert!(!rules.contains_key(&call), "system call {call} is allowed");
        }
    }
}
