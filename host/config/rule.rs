//! What a text may be: the checks of the directives whose value is free text.
//!
//! A rule answers with the reason of a refusal, in the words of Redis where Redis has the rule.

/// Anything.
pub(super) fn any(_: &[u8]) -> Result<(), &'static str> {
    Ok(())
}

/// `dbfilename`: a name within the working folder.
pub(super) fn snapshot_name(text: &[u8]) -> Result<(), &'static str> {
    plain_name(text, "dbfilename can't be a path, just a filename")
}

/// `appendfilename`: a name within the folder of the log.
pub(super) fn log_name(text: &[u8]) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("appendfilename can't be empty");
    }
    plain_name(text, "appendfilename can't be a path, just a filename")
}

/// `appenddirname`: a name within the working folder.
pub(super) fn log_folder(text: &[u8]) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("appenddirname can't be empty");
    }
    plain_name(text, "appenddirname can't be a path, just a dirname")
}

fn plain_name(text: &[u8], otherwise: &'static str) -> Result<(), &'static str> {
    if text.iter().any(|byte| matches!(byte, b'/' | b'\\')) { Err(otherwise) } else { Ok(()) }
}

/// `cluster-announce-hostname`.
pub(super) fn host_name(text: &[u8]) -> Result<(), &'static str> {
    const HOST_NAME_BYTES_MAX: usize = 255;
    if text.len() > HOST_NAME_BYTES_MAX {
        return Err("Hostnames must be less than 256 characters");
    }
    if text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}

/// `proc-title-template`: known variables in braces, and not blank. `{{` stands for a brace.
pub(super) fn process_title(text: &[u8]) -> Result<(), &'static str> {
    const INVALID: &str = "template format is invalid or contains unknown variables";
    const KNOWN: [&[u8]; 7] = [
        b"title",
        b"listen-addr",
        b"server-mode",
        b"port",
        b"tls-port",
        b"unixsocket",
        b"config-file",
    ];
    if text.trim_ascii().is_empty() {
        return Err(INVALID);
    }
    let mut rest = text;
    while let Some(open) = rest.iter().position(|&byte| byte == b'{') {
        rest = rest.get(open + 1..).unwrap_or_default();
        if rest.first() == Some(&b'{') {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let close = rest.iter().position(|&byte| byte == b'}').ok_or(INVALID)?;
        let name = rest.get(..close).unwrap_or_default();
        if !KNOWN.contains(&name) {
            return Err(INVALID);
        }
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    Ok(())
}

/// `engine`: nothing for the engine within this process, or the URL of another one.
pub(super) fn engine_url(text: &[u8]) -> Result<(), &'static str> {
    const SCHEMES: [&[u8]; 3] = [b"redis://", b"redis-cluster://", b"valkey-cluster://"];
    let known = SCHEMES.iter().any(|scheme| text.starts_with(scheme) && text.len() > scheme.len());
    if text.is_empty() || known {
        Ok(())
    } else {
        Err("argument must be a URL such as redis-cluster://host:port")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_titles_know_their_variables() {
        assert!(process_title(b"{title} {port} {{x").is_ok());
        for bad in [&b"{foo}"[..], b"{title", b"", b"  ", b"{", b"{}"] {
            assert!(process_title(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn file_names_are_not_paths() {
        assert!(snapshot_name(b"").is_ok());
        assert!(snapshot_name(b"a/b").is_err());
        assert!(log_name(b"").is_err());
        assert!(log_name(b"a\\b").is_err());
        assert!(log_folder(b"logs").is_ok());
        assert!(log_folder(b"").is_err());
    }

    #[test]
    fn host_names_are_short_and_plain() {
        assert!(host_name(&[b'a'; 255]).is_ok());
        assert!(host_name(&[b'a'; 256]).is_err());
        assert!(host_name(b"a_b").is_err());
    }

    #[test]
    fn engines_are_urls() {
        assert!(engine_url(b"").is_ok());
        assert!(engine_url(b"redis-cluster://h:1").is_ok());
        assert!(engine_url(b"redis-cluster://").is_err());
        assert!(engine_url(b"h:1").is_err());
    }
}
