//! Which parts of the host's file system a sandbox shows, read-only.

use std::path::{Path, PathBuf};

use crate::sandbox::Interpreter;

/// Where shared libraries live on the distributions that matter, and the loader's own files.
const LIBRARIES: &[&str] = &[
    "/lib64",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib/ld-linux-aarch64.so.1",
    "/etc/ld.so.cache",
    "/usr/lib/locale/C.utf8",
    "/usr/share/zoneinfo",
];

/// Device nodes that programs expect.
pub const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Those that may also be written to. Not /dev/zero: a shared mapping of it is memory that belongs to no process.
pub const WRITABLE_DEVICES: &[&str] = &["/dev/null", "/dev/full"];

/// What to show: links of the root folder, and trees in an order in which no tree hides a later one.
#[derive(Debug, PartialEq, Eq)]
pub struct View {
    /// Links such as `/lib -> usr/lib`, made again in the sandbox.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Trees to show, at their real paths or at the path of an alias below a link-free parent.
    pub trees: Vec<PathBuf>,
}

/// Plan the view for an interpreter.
pub fn plan(interpreter: &Interpreter) -> View {
    let links: Vec<(PathBuf, PathBuf)> = ["/lib", "/lib64", "/bin"]
        .iter()
        .filter_map(|path| Some((PathBuf::from(path), std::fs::read_link(path).ok()?)))
        .collect();
    let real = |path: PathBuf| match links.iter().find(|(link, _)| path.starts_with(link)) {
        Some((link, _)) if *link == path => std::fs::canonicalize(&path).unwrap_or(path),
        Some(_) => without_links_above(&path).unwrap_or(path),
        None => path,
    };
    let libraries = LIBRARIES.iter().map(PathBuf::from);
    let mut trees: Vec<PathBuf> =
        libraries.chain(interpreter.trees.iter().cloned()).map(real).filter(|path| path.exists()).collect();
    trees.sort();
    trees.dedup();
    View { links, trees: outermost(trees) }
}

/// The same path below a link-free folder. Its last part stays: others may lead to it by that name.
fn without_links_above(path: &Path) -> Option<PathBuf> {
    Some(std::fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?))
}

/// Drop trees that lie inside another one. Wants sorted paths, so that a parent comes before its children.
fn outermost(sorted: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in sorted {
        if !kept.iter().any(|outer| path.starts_with(outer)) {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_inside_another_is_shown_once() {
        let paths = ["/a", "/a/b", "/ab", "/c/d"].map(PathBuf::from).to_vec();
        assert_eq!(outermost(paths), ["/a", "/ab", "/c/d"].map(PathBuf::from));
    }

    #[test]
    fn a_link_keeps_its_name_and_loses_the_links_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("alias")).unwrap();
        std::os::unix::fs::symlink("python3.11", real.join("python3")).unwrap();
        assert_eq!(without_links_above(&dir.path().join("alias/python3")), Some(real.join("python3")));
    }

    #[test]
    fn the_view_shows_the_loader_and_no_home() {
        let view = plan(&Interpreter { executable: "/usr/bin/python3".into(), trees: vec![] });
        assert!(view.trees.iter().any(|tree| tree.to_string_lossy().contains("lib")));
        for private in ["/home", "/root", "/etc", "/var", "/"] {
            assert!(!view.trees.contains(&PathBuf::from(private)), "{private}");
        }
    }
}
