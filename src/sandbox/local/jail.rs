//! The file system of one run: built by descriptor from nothing, before any untrusted byte exists in it.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use super::sys::{self, Fault, Step};
use super::view::{DEVICES, View};
use crate::sandbox::Limits;

/// The folder that is the sandbox's own: nothing of the host may be shown below it.
pub const OWN: &str = "/sandbox";
/// Where the code's working directory is.
pub const WORK: &str = "/sandbox/work";
/// Where the code itself lies, read-only.
pub const CODE: &str = "/sandbox/code";
/// The folders that untrusted code may change; all on one scratch file system.
pub const WRITABLE: [&str; 3] = [WORK, "/tmp", "/dev/shm"];

const RESTRICTED: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// A detached copy of a part of the host's file system.
pub struct Tree {
    path: PathBuf,
    mount: OwnedFd,
    is_dir: bool,
}

impl Tree {
    /// The detached mount.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}

/// Copy the trees of a view, detached from any namespace, and make them read-only.
///
/// # Errors
/// A [`Fault`] naming the path.
pub fn take_trees(view: &View) -> Result<Vec<Tree>, Fault> {
    let trees = view.trees.iter().map(|path| take(path, RESTRICTED));
    // A device node needs a mount without "nodev", and nothing to execute.
    let device = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
    trees.chain(DEVICES.iter().map(|path| take(Path::new(path), device))).collect()
}

fn take(path: &Path, attributes: u64) -> Result<Tree, Fault> {
    let at = || format!("show {}", path.display());
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let mount = rustix::mount::open_tree(CWD, path, flags).step(at())?;
    sys::restrict_mount(mount.as_fd(), attributes, true).step(at())?;
    let is_dir = fs::metadata(path).step(at())?.is_dir();
    Ok(Tree { path: path.into(), mount, is_dir })
}

/// Make a new root out of `trees` and go there; nothing of the host's file system remains reachable.
///
/// Wants to be in a mount, pid and user namespace of its own, with all capabilities there. `place_code` is called with
/// the folder that will be [`CODE`], while the root can still be written.
///
/// # Errors
/// A [`Fault`] naming the step.
pub fn enter(
    view: &View,
    trees: Vec<Tree>,
    limits: &Limits,
    place_code: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result<(), Fault> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).step("make mounts private")?;
    let root = file_system("tmpfs", &[("size", "16m"), ("nr_inodes", "4096"), ("mode", "755")], true)?;
    attach(&root, CWD.as_fd(), Path::new("/"), "mount the new root")?;
    rustix::process::fchdir(&root).step("enter the new root")?;

    furnish(view).step("furnish the new root")?;
    scratch(limits)?;
    // After the scratch space: an interpreter may lie in /tmp, and must not be covered by ours.
    for tree in trees {
        show(&tree)?;
    }
    let proc = file_system("proc", &[("hidepid", "invisible"), ("subset", "pid")], true)?;
    attach(&proc, CWD.as_fd(), Path::new("proc"), "mount /proc")?;
    place_code(&below(Path::new(CODE))).step("place the code")?;

    sys::restrict_mount(root.as_fd(), RESTRICTED, false).step("make the new root read-only")?;
    rustix::process::pivot_root(".", ".").step("pivot_root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("let go of the old root")?;
    std::env::set_current_dir(WORK).step("enter the working directory")
}

/// The path, relative to the new root, of an absolute path inside it.
fn below(path: &Path) -> PathBuf {
    Path::new(".").join(path.strip_prefix("/").unwrap_or(path))
}

fn furnish(view: &View) -> std::io::Result<()> {
    for dir in ["proc", "dev/shm", "tmp", "sandbox/work", "sandbox/code", "etc"] {
        fs::create_dir_all(dir)?;
    }
    for (link, target) in &view.links {
        symlink(target, below(link))?;
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        symlink(target, Path::new("dev").join(name))?;
    }
    fs::write("etc/passwd", "sandbox:x:1000:1000:sandbox:/tmp:/bin/false\n")?;
    fs::write("etc/group", "sandbox:x:1000:\n")?;
    fs::write("etc/hosts", "127.0.0.1 localhost\n")?;
    fs::write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
}

fn show(tree: &Tree) -> Result<(), Fault> {
    let at = || format!("show {}", tree.path.display());
    let target = below(&tree.path);
    if tree.is_dir {
        fs::create_dir_all(&target).step(at())?;
    } else {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).step(at())?;
        }
        fs::write(&target, "").step(at())?;
    }
    attach(&tree.mount, CWD.as_fd(), &target, &at())
}

/// One file system for all that the code may change, so that one quota bounds it; nothing on it can be a device.
fn scratch(limits: &Limits) -> Result<(), Fault> {
    let (size, inodes) = (limits.disk.to_string(), limits.inodes.to_string());
    let scratch = file_system("tmpfs", &[("size", &size), ("nr_inodes", &inodes), ("mode", "755")], false)?;
    attach(&scratch, CWD.as_fd(), Path::new("tmp"), "mount the scratch space")?;
    let mut folders = Vec::new();
    for (index, path) in WRITABLE.iter().enumerate() {
        let folder = Path::new("tmp").join(index.to_string());
        let mode = if *path == WORK { 0o700 } else { 0o1777 };
        fs::create_dir(&folder).step("make the scratch folders")?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).step("make the scratch folders")?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        folders.push((path, rustix::mount::open_tree(CWD, &folder, flags).step("split the scratch space")?));
    }
    // Only now: one of them covers the place where the whole is mounted.
    for (path, mount) in folders {
        attach(&mount, CWD.as_fd(), &below(Path::new(path)), "mount a scratch folder")?;
    }
    Ok(())
}

fn file_system(kind: &str, options: &[(&str, &str)], no_exec: bool) -> Result<OwnedFd, Fault> {
    let at = || format!("make a file system of type {kind}");
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).step(at())?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value).step(format!("set {kind} {key}={value}"))?;
    }
    rustix::mount::fsconfig_create(context.as_fd()).step(at())?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if no_exec {
        attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC;
    }
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).step(at())
}

fn attach(mount: &OwnedFd, from: impl AsFd, to: &Path, step: &str) -> Result<(), Fault> {
    rustix::mount::move_mount(mount.as_fd(), "", from, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).step(step)
}
