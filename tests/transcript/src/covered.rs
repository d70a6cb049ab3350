//! Finds the transcripts of this repository, and which commands they try.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::parse::{Action, Transcript};

/// Commands whose second word is a command of its own.
const CONTAINERS: [&str; 20] = [
    "ACL",
    "CLIENT",
    "CLUSTER",
    "COMMAND",
    "COMMANDLOG",
    "CONFIG",
    "DEBUG",
    "FUNCTION",
    "JSON.DEBUG",
    "LATENCY",
    "MEMORY",
    "MODULE",
    "OBJECT",
    "PLUGIN",
    "PUBSUB",
    "SCRIPT",
    "SLOWLOG",
    "TENANT",
    "XGROUP",
    "XINFO",
];

/// Reads `tests/commands/<family>.txt`.
///
/// # Errors
/// The file cannot be read, or is no transcript.
pub fn load_family(family: &str) -> io::Result<Transcript> {
    let path = folder().join(format!("{family}.txt"));
    let text = fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Transcript::parse(&format!("{family}.txt"), &text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads all transcripts, in the order of their names.
///
/// # Errors
/// One of them cannot be read, or is no transcript.
pub fn load_all() -> io::Result<Vec<Transcript>> {
    families()?.iter().map(|family| load_family(family)).collect()
}

/// The commands that some transcript sends, in upper case; sub-commands as `CONFIG|GET`.
///
/// # Errors
/// A transcript cannot be read.
pub fn commands_covered() -> io::Result<BTreeSet<String>> {
    let transcripts = load_all()?;
    let steps =
        transcripts.iter().flat_map(|transcript| &transcript.cases).flat_map(|case| &case.steps);
    let names = steps.filter_map(|step| match &step.action {
        Action::Send { args, .. } => command_name(args),
        _ => None,
    });
    Ok(names.collect())
}

fn command_name(args: &[Vec<u8>]) -> Option<String> {
    let word = |at: usize| {
        let word = args.get(at)?;
        Some(String::from_utf8_lossy(word).to_uppercase())
    };
    // `GET|SET` is how a sub-command is called here, not how anybody may call it.
    let name = word(0).filter(|name| !name.contains('|'))?;
    match word(1) {
        Some(sub) if CONTAINERS.contains(&name.as_str()) => Some(format!("{name}|{sub}")),
        _ => Some(name),
    }
}

fn families() -> io::Result<Vec<String>> {
    let mut families = Vec::new();
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        families.extend(name.strip_suffix(".txt").map(str::to_owned));
    }
    families.sort();
    Ok(families)
}

/// Where the transcripts are, beside this crate.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../commands")
}
