//! Plugins as data: what replicas and the log are told of a plugin that was loaded while the server
//! ran, as the `PLUGIN` command that has the same effect anywhere.
//!
//! A notice holds the component itself, so that nothing but the notice is needed.

use reef_resp::{Argv, Decoder, Limits, OwnedArgv, Progress};

use crate::admin;
use crate::archive::Past;
use crate::request::LoadRequest;
use crate::version::Version;

/// Tells that a version was replaced; no operator says this.
const PAST: &[u8] = b"PAST";

/// What a notice says.
#[derive(Debug)]
pub(crate) enum Notice {
    /// This plugin is loaded.
    Load(Box<LoadRequest>),
    /// This version of a plugin was replaced, and is kept.
    Past(String, Box<LoadRequest>),
    /// The plugin of this name is not.
    Unload(String),
}

/// The notice of a version, if it is kept with the data.
pub(crate) fn of(version: &Version) -> Option<Vec<u8>> {
    version.is_kept.then(|| say(version.name(), &version.as_past(), None))
}

/// The notice of a version, and those of the versions that it has replaced, newest first.
pub(crate) fn all_of(version: &Version) -> Vec<Vec<u8>> {
    let Some(own) = of(version) else { return Vec::new() };
    let archive = version.terms.plugin.archive.lock();
    let kept = archive.all().filter(|past| past.is_kept);
    let past = kept.map(|past| say(version.name(), past, Some(&past.version)));
    std::iter::once(own).chain(past).collect()
}

/// What loads a version, or, with its name, tells that it is kept.
fn say(name: &str, version: &Past, past: Option<&str>) -> Vec<u8> {
    let word: &[u8] = if past.is_some() { PAST } else { b"LOAD" };
    let mut words: Vec<&[u8]> = vec![b"PLUGIN", word, name.as_bytes(), &version.component];
    words.push(past.map_or(b"REPLACE", str::as_bytes));
    if !version.grants.is_empty() {
        words.push(b"GRANT");
        words.extend(version.grants.iter().map(String::as_bytes));
    }
    if !version.config.is_empty() {
        words.push(b"CONFIG");
        words.extend(version.config.iter().flat_map(|(k, v)| [k.as_bytes(), v.as_bytes()]));
    }
    let limits = version.limits.words();
    words.push(b"LIMIT");
    words.extend(limits.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    command(&words)
}

/// The notice that a plugin is gone.
pub(crate) fn of_end(name: &str) -> Vec<u8> {
    command(&[b"PLUGIN", b"UNLOAD", name.as_bytes()])
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Shows the words of a notice to `see`.
fn with_words<R>(
    notice: &[u8],
    see: impl FnOnce(Argv<'_>) -> Result<R, String>,
) -> Result<R, String> {
    let limits = Limits { bulk_bytes_max: i64::MAX / 2, authenticated: true };
    let mut decoder = Decoder::new();
    match decoder.decode(notice, &limits) {
        Ok(Progress::Command { used }) if used == notice.len() => see(decoder.argv(notice)),
        _ => Err("ERR a notice of a plugin is no command".to_owned()),
    }
}

/// What a notice says.
pub(crate) fn read(notice: &[u8]) -> Result<Notice, String> {
    with_words(notice, |argv| match (argv.get(1), argv.len()) {
        (b"LOAD", _) => Ok(Notice::Load(Box::new(admin::load(argv, "load")?))),
        (PAST, 5..) => {
            let version = String::from_utf8_lossy(argv.get(4)).into_owned();
            let others = argv.iter().enumerate().filter(|(at, _)| *at != 4);
            let words: OwnedArgv = others.map(|(_, word)| word).collect();
            Ok(Notice::Past(version, Box::new(admin::load(words.as_argv(), "load")?)))
        }
        (b"UNLOAD", 3) => Ok(Notice::Unload(String::from_utf8_lossy(argv.get(2)).into_owned())),
        _ => Err("ERR a notice of a plugin says nothing that is known".to_owned()),
    })
}

/// Whether a notice is about the plugin of this name.
pub(crate) fn is_about(notice: &[u8], name: &str) -> bool {
    with_words(notice, |argv| Ok(argv.get(2) == name.as_bytes())).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_notice_is_refused() {
        let whole = of_end("x");
        assert!(matches!(read(&whole), Ok(Notice::Unload(name)) if name == "x"));
        assert!(is_about(&whole, "x") && !is_about(&whole, "y"));
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(read(b"*2\r\n$6\r\nPLUGIN\r\n$4\r\nLIST\r\n").is_err());
        assert!(read(b"*3\r\n$6\r\nPLUGIN\r\n$4\r\nLOAD\r\n$1\r\nx\r\n").is_err());
    }
}
