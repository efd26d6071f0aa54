//! What is wrong with a request, before anything runs.

use super::protocol::LONGEST_FRAME;
use super::{Request, SandboxError, files};

/// The longest `name=value` that Linux gives a new program, its end mark not counted.
const LONGEST_VARIABLE: usize = (128 << 10) - 1;
/// Room for the limits, the interpreter and the framing of a job.
const FRAME_RESERVE: usize = 1 << 20;
/// All variables together: a part of what the kernel gives arguments and environment.
const LARGEST_ENVIRONMENT: usize = 1 << 20;

/// Accept a request that can be carried out.
///
/// # Errors
/// [`SandboxError::Invalid`] that names the argument, what is wrong with it and what would be right.
pub fn request(request: &Request) -> Result<(), SandboxError> {
    files::check_input_paths(request.files.keys())?;
    let longest_code = LONGEST_FRAME - LARGEST_ENVIRONMENT - FRAME_RESERVE;
    if request.code.len() > longest_code {
        return invalid(format!(
            "code: {} bytes are over the limit of {longest_code}; give large data as files",
            request.code.len()
        ));
    }
    environment(request)?;
    let size: u64 = request.files.values().map(|bytes| bytes.len() as u64).sum();
    let (disk, inodes) = (request.limits.disk, request.limits.inodes);
    if size > disk {
        return invalid(format!("files: {size} bytes are over the disk limit of {disk}; raise max_disk_mb"));
    }
    if request.files.len() as u64 > inodes {
        return invalid(format!("files: {} are over the limit of {inodes}; pack them", request.files.len()));
    }
    Ok(())
}

fn environment(request: &Request) -> Result<(), SandboxError> {
    let length = |(name, value): (&String, &String)| name.len() + value.len() + 1;
    if let Some((name, _)) = request.env.iter().find(|&pair| length(pair) > LONGEST_VARIABLE) {
        return invalid(format!(
            "env: {name:?} is over the system's limit of {LONGEST_VARIABLE} bytes; give it as a file"
        ));
    }
    if request.env.iter().map(length).sum::<usize>() > LARGEST_ENVIRONMENT {
        return invalid(format!(
            "env: it is over the limit of {LARGEST_ENVIRONMENT} bytes in all; give large data as files"
        ));
    }
    Ok(())
}

fn invalid(why: String) -> Result<(), SandboxError> {
    Err(SandboxError::Invalid(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Limits;

    fn refusal(wrong: Request) -> String {
        request(&wrong).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused_by_name() {
        assert!(refusal(Request { code: " ".repeat(LONGEST_FRAME), ..Request::default() }).starts_with("code:"));
        let one = [("A".to_string(), "x".repeat(LONGEST_VARIABLE))].into();
        assert!(refusal(Request { env: one, ..Request::default() }).starts_with("env: \"A\""));
        let many = (0..20).map(|n| (n.to_string(), "x".repeat(100_000))).collect();
        assert!(refusal(Request { env: many, ..Request::default() }).starts_with("env: it is"));
        let limits = Limits { disk: 3, inodes: 1, ..Limits::default() };
        let file = [("a".to_string(), vec![0; 4])].into();
        assert!(refusal(Request { files: file, limits: limits.clone(), ..Request::default() }).contains("disk limit"));
        let files = [("a".to_string(), vec![]), ("b".to_string(), vec![])].into();
        assert!(refusal(Request { files, limits, ..Request::default() }).contains("pack them"));
    }

    #[test]
    fn the_largest_request_fits_into_one_frame() {
        let code = " ".repeat(LONGEST_FRAME - LARGEST_ENVIRONMENT - FRAME_RESERVE);
        assert!(request(&Request { code, ..Request::default() }).is_ok());
    }
}
