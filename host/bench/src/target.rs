//! A server's URL: where it listens, who we are, which database.
//!
//! The label that reaches tables and errors never contains the password.

use std::path::PathBuf;

use crate::error::BenchError;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Host name or IP address, and port.
    Tcp(String, u16),
    /// Path of a unix socket.
    Unix(PathBuf),
}

/// A server and how to enter it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: u32,
    /// `host:port` or the socket's path.
    pub(crate) label: String,
}

impl Target {
    /// Reads `redis://[user:pass@]host[:port][/db]` or `unix://[user:pass@]/path[?db=N]`.
    pub(crate) fn parse(url: &str) -> Result<Self, BenchError> {
        let fail = |why: &str| BenchError::Url(without_secret(url), why.to_owned());
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(fail("it must begin with redis:// or unix://"));
        };
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, rest),
        };
        let (user, password) = credentials.map_or(Ok((None, None)), entry).map_err(&fail)?;
        let (address, database) = match scheme {
            "redis" | "tcp" | "valkey" => tcp(place).map_err(&fail)?,
            "unix" | "redis+unix" => unix(place).map_err(&fail)?,
            "rediss" | "valkeys" => return Err(fail("TLS is not supported here")),
            _ => return Err(fail("it must begin with redis:// or unix://")),
        };
        let label = match &address {
            Address::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp(host, port) => format!("{host}:{port}"),
            Address::Unix(path) => path.display().to_string(),
        };
        Ok(Self { address, user, password, database, label })
    }
}

/// User and password; a lone word is the password, as redis-cli takes it.
fn entry(credentials: &str) -> Result<(Option<String>, Option<String>), &'static str> {
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, password),
        None => ("", credentials),
    };
    let user = percent_decoded(user)?;
    let password = percent_decoded(password)?;
    Ok(((!user.is_empty()).then_some(user), (!password.is_empty()).then_some(password)))
}

fn tcp(place: &str) -> Result<(Address, u32), &'static str> {
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("an IPv6 address ends with ]")?;
        (host, rest.strip_prefix(':').unwrap_or(""))
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let port = match port {
        "" => PORT_DEFAULT,
        port => port.parse().map_err(|_| "the port must be a number from 0 to 65535")?,
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Ok((Address::Tcp(host.to_owned(), port), database(path)?))
}

fn unix(place: &str) -> Result<(Address, u32), &'static str> {
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    if path.is_empty() {
        return Err("the path of the socket is missing");
    }
    let number = query.split('&').find_map(|part| part.strip_prefix("db=")).unwrap_or("");
    Ok((Address::Unix(PathBuf::from(percent_decoded(path)?)), database(number)?))
}

fn database(text: &str) -> Result<u32, &'static str> {
    match text {
        "" => Ok(0),
        text => text.parse().map_err(|_| "the database must be a number"),
    }
}

fn percent_decoded(text: &str) -> Result<String, &'static str> {
    const WHY: &str = "a % must be followed by two hexadecimal digits that give UTF-8";
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| (b as char).to_digit(16)).ok_or(WHY);
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).map_err(|_| WHY)?);
    }
    String::from_utf8(decoded).map_err(|_| WHY)
}

/// The URL as it may be shown: what stands in front of the last `@` is hidden.
fn without_secret(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, place)) => match url.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://...@{place}"),
            None => format!("...@{place}"),
        },
        None => url.to_owned(),
    }
}

const PORT_DEFAULT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(url).expect(url)
    }

    #[test]
    fn full_redis_url_gives_all_parts() {
        let t = target("redis://al%40ice:p%3Ass@example.org:7001/3");
        assert_eq!(t.address, Address::Tcp("example.org".into(), 7001));
        assert_eq!(t.user.as_deref(), Some("al@ice"));
        assert_eq!(t.password.as_deref(), Some("p:ss"));
        assert_eq!((t.database, t.label.as_str()), (3, "example.org:7001"));
    }

    #[test]
    fn missing_parts_take_the_usual_values() {
        let t = target("redis://");
        assert_eq!(t.address, Address::Tcp("127.0.0.1".into(), 6379));
        assert_eq!((t.user, t.password, t.database), (None, None, 0));
        assert_eq!(target("redis://:secret@h").password.as_deref(), Some("secret"));
        assert_eq!(target("redis://secret@h").password.as_deref(), Some("secret"));
        assert_eq!(target("redis://[::1]:9").label, "[::1]:9");
        assert_eq!(target("redis://[::1]/2").address, Address::Tcp("::1".into(), 6379));
    }

    #[test]
    fn unix_socket_has_a_path_and_may_name_a_database() {
        let t = target("unix:///tmp/a.sock?db=4");
        assert_eq!(t.address, Address::Unix("/tmp/a.sock".into()));
        assert_eq!((t.database, t.label.as_str()), (4, "/tmp/a.sock"));
        assert_eq!(target("unix://u:p@/tmp/b").user.as_deref(), Some("u"));
    }

    #[test]
    fn bad_urls_are_refused_without_showing_the_password() {
        for url in [
            "localhost:6379",
            "http://u:hunter2@h/",
            "redis://u:hunter2@h:port",
            "redis://u:hunter2@h:70000",
            "redis://u:hunter2@h/x",
            "redis://u:hunter2%zz@h",
            "rediss://u:hunter2@h",
            "unix://u:hunter2@",
            "redis://[::1",
        ] {
            let error = Target::parse(url).expect_err(url).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
