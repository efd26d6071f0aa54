//! A second wall behind the mount namespace: what the paths that exist may be used for, no TCP, no signals outwards.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::sys::Fault;

/// The newest ABI that the rules below were written for.
const NEWEST: ABI = ABI::V6;

fn fault(reason: impl ToString) -> Fault {
    Fault { step: "restrict with Landlock".into(), errno: 0, reason: reason.to_string() }
}

/// Restrict this process: `writable` may be changed, `devices` written to, the rest of the file system read and executed.
///
/// Returns the kernel's Landlock ABI.
///
/// # Errors
/// A [`Fault`] where the kernel does not enforce Landlock: the caller must not go on.
pub fn restrict(writable: &[&Path], devices: &[&Path]) -> Result<i32, Fault> {
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(fault)?;
    let paths = std::iter::once((Path::new("/"), read))
        .chain(writable.iter().map(|path| (*path, all)))
        .chain(devices.iter().map(|path| (*path, device)));
    for (path, access) in paths {
        let opened = PathFd::new(path)
            .map_err(|error| Fault { step: format!("open {} for Landlock", path.display()), ..fault(error) })?;
        rules = rules.add_rule(PathBeneath::new(opened, access)).map_err(fault)?;
    }
    let status = rules.restrict_self().map_err(fault)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(fault(format!("the kernel does not enforce it ({:?})", status.landlock)));
    }
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => kernel_abi.unwrap_or(effective_abi as i32),
        _ => 0,
    })
}
