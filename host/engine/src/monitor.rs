//! What MONITOR shows: one line per command that ran. Who sees it is the server's matter.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use reef_resp::Argv;

/// The line of a command: `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`, without an end.
pub fn monitor_line(now_us: u64, database: u32, address: &str, argv: Argv<'_>) -> String {
    let (seconds, rest_us) = (now_us / 1_000_000, now_us % 1_000_000);
    let mut line = format!("{seconds}.{rest_us:06} [{database} {address}]");
    for (position, argument) in argv.iter().enumerate() {
        line.push(' ');
        let shown = if is_login(argv, position) { b"(redacted)" } else { argument };
        push_quoted(&mut line, shown);
    }
    line
}

/// Whether an argument is the name or the password with which a client logs in, here or elsewhere.
pub fn is_login(argv: Argv<'_>, position: usize) -> bool {
    const MIGRATE_OPTIONS: usize = 6;
    let is = |at: usize, word: &[u8]| at < argv.len() && argv.get(at).eq_ignore_ascii_case(word);
    match position {
        0 => false,
        _ if is(0, b"AUTH") => true,
        _ if is(0, b"HELLO") => {
            (position.saturating_sub(2).max(2)..position).any(|at| is(at, b"AUTH"))
        }
        _ if is(0, b"MIGRATE") && position > MIGRATE_OPTIONS => {
            is(position - 1, b"AUTH")
                || (position.saturating_sub(2).max(MIGRATE_OPTIONS)..position)
                    .any(|at| is(at, b"AUTH2"))
        }
        _ => false,
    }
}

/// Appends bytes in quotes; what is not printable ASCII is escaped.
pub fn push_quoted(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use reef_resp::OwnedArgv;

    use super::*;

    #[test]
    fn a_line_looks_as_redis_prints_it() {
        let argv: OwnedArgv = [b"SET".as_slice(), b"k", b"a\"\\\n\x00\xffz"].into_iter().collect();
        let line = monitor_line(1_339_518_083_000_412, 3, "127.0.0.1:60866", argv.as_argv());
        let shown = |words: &[&str]| {
            let argv: OwnedArgv = words.iter().copied().collect();
            monitor_line(0, 0, "-", argv.as_argv()).split_off("0.000000 [0 -] ".len())
        };
        let secret = r#""(redacted)" "(redacted)""#;
        assert_eq!(shown(&["auth", "me", "secret"]), format!(r#""auth" {secret}"#));
        let hello = shown(&["HELLO", "3", "AUTH", "me", "secret", "SETNAME", "x"]);
        assert_eq!(hello, format!(r#""HELLO" "3" "AUTH" {secret} "SETNAME" "x""#));
        let migrate = shown(&["MIGRATE", "h", "1", "", "0", "5", "AUTH2", "u", "p", "KEYS", "k"]);
        let head = r#""MIGRATE" "h" "1" "" "0" "5" "AUTH2""#;
        assert_eq!(migrate, format!(r#"{head} {secret} "KEYS" "k""#));
        assert_eq!(line, r#"1339518083.000412 [3 127.0.0.1:60866] "SET" "k" "a\"\\\n\x00\xffz""#);
    }
}
