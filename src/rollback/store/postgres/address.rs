//! A connection URL, with the TLS settings that libpq knows and tokio-postgres does not.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// How far a server has to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// Encryption alone.
    Nothing,
    /// A certificate of a trusted authority, whatever the name in it.
    Authority,
    /// And the name that was connected to.
    Name,
}

/// Where a database is and how to reach it.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) verify: Verify,
    /// A file of PEM certificates, or the word `system`.
    pub(super) authorities: Option<PathBuf>,
    /// A client's certificate and key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// For messages: no password in it.
    pub(super) place: String,
}

/// Reads a URL. The error says what is wrong and never shows the password.
pub(super) fn parse(url: &str) -> Result<Address, String> {
    if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err("the address must be a URL: postgresql://user:password@host:port/database".into());
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut own, mut rest) = (Vec::new(), Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((name @ ("sslmode" | "sslrootcert" | "sslcert" | "sslkey"), value)) => own.push((name, decode(value))),
            // What libpq knows and what changes nothing here: text is UTF-8, GSSAPI is not spoken, SNI is sent.
            Some(
                ("gssencmode", "disable" | "prefer")
                | ("sslsni", "1")
                | ("client_encoding" | "fallback_application_name", _),
            ) => {}
            Some(("channel_binding", "require")) => {
                return Err("channel_binding=require is not spoken; take it out of the address, and give sslmode=verify-full with sslrootcert=system, which proves the server by its certificate".into());
            }
            _ => rest.push(pair),
        }
    }
    let find = |wanted: &str| own.iter().rev().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    let (mode, verify) = match find("sslmode").as_deref() {
        Some("disable") => (SslMode::Disable, Verify::Nothing),
        None | Some("prefer" | "allow") => (SslMode::Prefer, Verify::Nothing),
        // As libpq: who names authorities wants them asked.
        Some("require") if find("sslrootcert").is_some() => (SslMode::Require, Verify::Authority),
        Some("require") => (SslMode::Require, Verify::Nothing),
        Some("verify-ca") => (SslMode::Require, Verify::Authority),
        Some("verify-full") => (SslMode::Require, Verify::Name),
        Some(other) => {
            return Err(format!(
                "sslmode {other:?} is none of disable, allow, prefer, require, verify-ca, verify-full"
            ));
        }
    };
    let joined = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    let mut config: Config = joined.parse().map_err(|error| chain(&error))?;
    config.ssl_mode(mode);
    if config.get_application_name().is_none() {
        config.application_name("hagane");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    config.keepalives_idle(Duration::from_secs(30));
    // Data that nobody acknowledges is a lost connection, found out within the budget and not after TCP's minutes.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    let identity = match (find("sslcert"), find("sslkey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => return Err("sslcert and sslkey go together; give both or none".into()),
    };
    let authorities = find("sslrootcert").map(PathBuf::from);
    Ok(Address { config, verify, authorities, identity, place: without_password(base) })
}

fn without_password(base: &str) -> String {
    let (scheme, rest) = base.split_once("://").unwrap_or(("postgresql", base));
    match rest.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => base.to_owned(),
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = (first == b'%').then(|| after.get(..2)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An error and all that caused it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sslmode_means_what_libpq_means() {
        let read = |query: &str| parse(&format!("postgresql://u:secret@db.example:5432/d{query}")).unwrap();
        for (query, mode, verify) in [
            ("", SslMode::Prefer, Verify::Nothing),
            ("?sslmode=disable", SslMode::Disable, Verify::Nothing),
            ("?sslmode=require", SslMode::Require, Verify::Nothing),
            ("?sslmode=require&sslrootcert=%2Fca.pem", SslMode::Require, Verify::Authority),
            ("?sslmode=verify-ca&connect_timeout=3", SslMode::Require, Verify::Authority),
            ("?application_name=x&sslmode=verify-full", SslMode::Require, Verify::Name),
        ] {
            let address = read(query);
            assert_eq!((address.config.get_ssl_mode(), address.verify), (mode, verify), "{query}");
        }
        assert_eq!(read("?sslrootcert=%2Fca.pem").authorities.unwrap(), PathBuf::from("/ca.pem"));
        assert_eq!(read("?sslmode=verify-ca&connect_timeout=3").config.get_connect_timeout().unwrap().as_secs(), 3);
    }

    #[test]
    fn options_of_libpq_that_change_nothing_are_taken() {
        let query =
            "?gssencmode=prefer&sslsni=1&client_encoding=utf8&fallback_application_name=x&channel_binding=prefer";
        assert!(parse(&format!("postgresql://u@h/d{query}")).is_ok());
        let refused = parse("postgresql://u@h/d?channel_binding=require").err().unwrap();
        assert!(refused.contains("take it out of the address"), "{refused}");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "host=localhost password=secret",
            "postgresql://u:secret@h/d?sslmode=maybe",
            "postgresql://u:secret@h/d?sslcert=x",
            "postgresql://u:secret@h:port/d",
            "postgresql://u:secret@h/d?sslmode=require&channel_binding=require",
        ] {
            let error = parse(url).err().unwrap();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn messages_name_the_place_without_the_password() {
        let place = parse("postgresql://u:se:cr@et@h:1/d?sslmode=disable").unwrap().place;
        assert_eq!(place, "postgresql://u@h:1/d");
    }
}
