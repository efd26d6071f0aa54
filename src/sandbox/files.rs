//! Names of files that go into a sandbox.

use std::path::{Component, Path};

use super::SandboxError;

/// The longest path that is accepted, in bytes.
const LONGEST: usize = 1024;
/// The longest part of a path, in bytes, by Linux's rules.
const LONGEST_PART: usize = 255;

/// Accept `path` as the name of an input file: relative, plain components, no NUL.
///
/// # Errors
/// [`SandboxError::Invalid`] naming the path and the rule that it breaks.
pub fn check_input_path(path: &str) -> Result<(), SandboxError> {
    let refuse = |why: &str| Err(SandboxError::Invalid(format!("files: {path:?} {why}; use a plain relative path")));
    if path.is_empty() {
        return refuse("is empty");
    }
    if path.contains('\0') {
        return refuse("contains a NUL");
    }
    if path.len() > LONGEST {
        return refuse("is longer than 1024 bytes");
    }
    if path.split('/').any(|part| part.len() > LONGEST_PART) {
        return refuse("has a part that is longer than 255 bytes");
    }
    // `components()` folds "." and doubled slashes away; what a user means by them is unclear, so they are refused too.
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return refuse("is absolute or has an empty, \".\" or \"..\" part");
    }
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        return refuse("is not a plain relative path");
    }
    Ok(())
}

/// Check every name, and that no file is also a folder of another.
///
/// # Errors
/// [`SandboxError::Invalid`] as [`check_input_path`], or for `a` next to `a/b`.
pub fn check_input_paths<'a>(paths: impl Iterator<Item = &'a String> + Clone) -> Result<(), SandboxError> {
    let names: std::collections::BTreeSet<&str> = paths.clone().map(String::as_str).collect();
    for path in paths {
        check_input_path(path)?;
        if let Some(folder) =
            Path::new(path).ancestors().skip(1).filter_map(Path::to_str).find(|parent| names.contains(parent))
        {
            return Err(SandboxError::Invalid(format!("files: {folder:?} is a file and also a folder of {path:?}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_pass() {
        for path in ["a.txt", "dir/b.csv", "日本語.txt", "a b", "..a", "a..", ".hidden"] {
            assert!(check_input_path(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "./a", "a\0b", "a/./b"] {
            let error = check_input_path(path).unwrap_err().to_string();
            assert!(error.contains("files:"), "{path}: {error}");
        }
        assert!(check_input_path(&"x/".repeat(LONGEST)).is_err());
        assert!(check_input_path(&"x".repeat(LONGEST_PART)).is_ok());
        assert!(check_input_path(&"x".repeat(LONGEST_PART + 1)).unwrap_err().to_string().contains("255"));
    }

    #[test]
    fn a_file_cannot_be_a_folder_of_another() {
        let names = ["a".to_string(), "a/b".to_string()];
        assert!(check_input_paths(names.iter()).unwrap_err().to_string().contains("also a folder"));
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_folder(path in "[a-z./\\\\ ]{0,12}") {
            if check_input_path(&path).is_ok() {
                let joined = Path::new("/work").join(&path);
                proptest::prop_assert!(joined.starts_with("/work"));
                proptest::prop_assert!(!joined.components().any(|part| part == Component::ParentDir));
            }
        }
    }
}
