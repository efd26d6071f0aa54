//! The system calls that untrusted code may make.
//!
//! An allow-list: what is not named fails with EPERM. Numbers of the x32 range are no named numbers, so they fail too.
//! `docs/seccomp.md` gives the reasons by group.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;

/// Plain work on memory, files, time, own processes and own sockets.
#[rustfmt::skip]
const ALLOWED: &[libc::c_long] = &[
    // memory (mmap: see below)
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_mprotect, libc::SYS_madvise,
    libc::SYS_mincore, libc::SYS_msync, libc::SYS_mlock, libc::SYS_munlock, libc::SYS_membarrier, libc::SYS_rseq,
    libc::SYS_pkey_alloc, libc::SYS_pkey_free, libc::SYS_pkey_mprotect, libc::SYS_get_mempolicy,
    // descriptors (fcntl: see below)
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_close,
    libc::SYS_close_range, libc::SYS_dup, libc::SYS_dup3, libc::SYS_flock, libc::SYS_lseek,
    libc::SYS_pipe2, libc::SYS_sendfile, libc::SYS_copy_file_range,
    libc::SYS_eventfd2, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2, libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_signalfd4,
    // files
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_newfstatat, libc::SYS_fstat, libc::SYS_statx, libc::SYS_statfs,
    libc::SYS_fstatfs, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
    libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_linkat,
    libc::SYS_symlinkat, libc::SYS_readlinkat, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_fchmod,
    libc::SYS_fchmodat, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_truncate, libc::SYS_ftruncate,
    libc::SYS_fallocate, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync_file_range, libc::SYS_fadvise64,
    libc::SYS_utimensat, libc::SYS_umask, libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr,
    libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr,
    // time
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_times, libc::SYS_getitimer, libc::SYS_setitimer, libc::SYS_timer_create,
    libc::SYS_timer_settime, libc::SYS_timer_gettime, libc::SYS_timer_getoverrun, libc::SYS_timer_delete,
    // processes and threads (clone, sched_setaffinity: see below)
    libc::SYS_clone3, libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit, libc::SYS_exit_group,
    libc::SYS_wait4, libc::SYS_waitid, libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_get_robust_list,
    libc::SYS_set_tid_address, libc::SYS_sched_yield, libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam, libc::SYS_sched_getscheduler, libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min, libc::SYS_getpriority, libc::SYS_getpid, libc::SYS_getppid,
    libc::SYS_gettid, libc::SYS_getpgid, libc::SYS_setpgid, libc::SYS_getsid, libc::SYS_setsid,
    libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal,
    // identity and limits, to read (prlimit64: see below); lowering a limit is harmless
    libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_getresuid,
    libc::SYS_getresgid, libc::SYS_getgroups, libc::SYS_capget, libc::SYS_getrlimit,
    libc::SYS_setrlimit, libc::SYS_getrusage, libc::SYS_sysinfo, libc::SYS_uname, libc::SYS_getcpu,
    libc::SYS_getrandom,
    // signals to itself and its own children: the pid namespace and Landlock's scope bound who can be reached
    libc::SYS_kill, libc::SYS_tgkill, libc::SYS_tkill, libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn, libc::SYS_rt_sigsuspend, libc::SYS_rt_sigpending, libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigqueueinfo, libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    // sockets inside the empty network namespace (socket, setsockopt: see below)
    libc::SYS_socketpair, libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4,
    libc::SYS_connect, libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_getsockopt,
    libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_sendmmsg,
    libc::SYS_recvmmsg, libc::SYS_shutdown,
];

/// Calls that only x86-64 has; newer architectures have the `*at` forms alone.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open, libc::SYS_creat, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink,
    libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_unlink, libc::SYS_rename, libc::SYS_link, libc::SYS_symlink,
    libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown, libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat,
    libc::SYS_getdents, libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_create,
    libc::SYS_epoll_wait, libc::SYS_eventfd, libc::SYS_signalfd, libc::SYS_alarm,
    libc::SYS_pause, libc::SYS_time, libc::SYS_fork, libc::SYS_vfork, libc::SYS_getpgrp, libc::SYS_arch_prctl,
];
#[cfg(target_arch = "aarch64")]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// Flags of `clone(2)` that make namespaces.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64
    | CLONE_NEWTIME;
const CLONE_NEWTIME: u64 = 0x80;

/// Domain, kind and protocol of the sockets that can be had. Anything else is a way into the kernel that no model-written
/// program needs, and often one that loads a module: raw and packet sockets, SCTP, MPTCP, UDP-Lite, SMC.
const SOCKETS: &[(libc::c_int, libc::c_int, &[libc::c_int])] = &[
    (libc::AF_UNIX, libc::SOCK_STREAM, &[0]),
    (libc::AF_UNIX, libc::SOCK_DGRAM, &[0]),
    (libc::AF_UNIX, libc::SOCK_SEQPACKET, &[0]),
    (libc::AF_INET, libc::SOCK_STREAM, &[0, libc::IPPROTO_TCP]),
    (libc::AF_INET, libc::SOCK_DGRAM, &[0, libc::IPPROTO_UDP]),
    (libc::AF_INET6, libc::SOCK_STREAM, &[0, libc::IPPROTO_TCP]),
    (libc::AF_INET6, libc::SOCK_DGRAM, &[0, libc::IPPROTO_UDP]),
];

/// Socket options that can be set, by level. SO_ATTACH_FILTER and its kin hand a program to the kernel's compiler;
/// TCP_ULP and TCP_CONGESTION load modules. Buffers keep the system's default size: they are memory that no process shows.
const SOCKET_OPTIONS: &[(libc::c_int, &[libc::c_int])] = &[
    (
        libc::SOL_SOCKET,
        &[
            libc::SO_REUSEADDR,
            libc::SO_REUSEPORT,
            libc::SO_BROADCAST,
            libc::SO_KEEPALIVE,
            libc::SO_LINGER,
            libc::SO_PASSCRED,
            libc::SO_RCVTIMEO,
            libc::SO_SNDTIMEO,
        ],
    ),
    (
        libc::IPPROTO_TCP,
        &[
            libc::TCP_NODELAY,
            libc::TCP_KEEPIDLE,
            libc::TCP_KEEPINTVL,
            libc::TCP_KEEPCNT,
            libc::TCP_QUICKACK,
            libc::TCP_USER_TIMEOUT,
        ],
    ),
    (libc::IPPROTO_IP, &[libc::IP_TOS, libc::IP_TTL]),
    (libc::IPPROTO_IPV6, &[libc::IPV6_V6ONLY]),
];

/// What `fcntl` may do. Leases and directory notices would reach beyond the sandbox: they are on files that the host
/// uses too. F_SETOWN and F_SETSIG send signals of the caller's choice.
const FCNTLS: &[libc::c_int] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_GETPIPE_SZ,
    libc::F_SETPIPE_SZ,
    libc::F_GET_SEALS,
];

/// The part of `mmap`'s flags that says private or shared.
const MAP_TYPE: u64 = 0x0f;

/// Requests on terminals and descriptors that libraries make. TIOCSTI and TIOCLINUX are absent.
const IOCTLS: &[u64] =
    &[libc::TCGETS, libc::TIOCGWINSZ, libc::TIOCGPGRP, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX, libc::FIONCLEX];

/// Process controls that change nothing about what the process may do.
const PRCTLS: &[libc::c_int] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_GET_DUMPABLE,
    libc::PR_SET_PDEATHSIG,
    libc::PR_GET_PDEATHSIG,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_GET_SECCOMP,
    libc::PR_CAPBSET_READ,
    libc::PR_GET_KEEPCAPS,
    libc::PR_GET_SECUREBITS,
    libc::PR_SET_VMA,
];

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
