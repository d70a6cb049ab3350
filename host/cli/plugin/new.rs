//! `reef plugin new`: writes a project that builds, passes its tests and can be loaded.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::project::Language;
use super::template::{self, Sdk};
use crate::cli::Failure;

/// Arguments of `reef plugin new`.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The plugin's name: lower-case letters, digits and hyphens. Its commands begin with it.
    #[arg(value_parser = name)]
    name: String,
    /// The language.
    #[arg(long, value_enum, default_value = "rust")]
    language: Language,
    /// The folder to make; one of the plugin's name without it.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The SDK for Rust: a folder, or the address of a git repository. Without it the project gets a
    /// copy of its own.
    #[arg(long, value_name = "PATH|URL")]
    sdk: Option<String>,
}

/// Longest name: its commands must have names, too.
const NAME_BYTES_MAX: usize = 32;

fn name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
    if begins && text.len() <= NAME_BYTES_MAX && text.bytes().all(allowed) && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a name begins with a lower-case letter and has up to {NAME_BYTES_MAX} of them, of digits and of hyphens"
        ))
    }
}

pub(super) fn run(args: &NewArgs, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let NewArgs { name, language, path, sdk } = args;
    let folder = path.clone().unwrap_or_else(|| name.into());
    let shown = folder.display().to_string();
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::new(format!("{shown} is there and not empty")));
    }
    let sdk = match sdk {
        None => Sdk::Vendored,
        Some(_) if *language != Language::Rust => {
            return Err(Failure::new("--sdk is for projects in Rust"));
        }
        Some(url) if url.contains("://") => Sdk::Elsewhere(url.clone()),
        Some(path) => {
            let found = fs::canonicalize(path);
            let found = found.map_err(|error| Failure::new(format!("{path}: {error}")))?;
            Sdk::Elsewhere(found.display().to_string())
        }
    };
    let files = template::files(name, *language, &sdk);
    for (place, text) in &files {
        let file = folder.join(place);
        let cannot = |error| Failure::new(format!("cannot write {}: {error}", file.display()));
        file.parent().map_or(Ok(()), fs::create_dir_all).map_err(cannot)?;
        fs::write(&file, text).map_err(cannot)?;
    }
    if json {
        let files: Vec<&str> = files.iter().map(|(place, _)| place.as_str()).collect();
        return Ok(writeln!(out, "{:#}", json!({ "name": name, "path": shown, "files": files }))?);
    }
    writeln!(out, "{shown} is there; its README.md has every command. Next:\n\n  cd {shown}")?;
    let first: &[&str] = match language {
        Language::Rust => &[],
        Language::Python => &["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"],
        Language::JavaScript => &["npm install"],
    };
    let load = format!("reef plugin load {name} plugin.wasm --grant-wanted");
    let call = format!("redis-cli {}.GREET Ada", name.to_ascii_uppercase());
    for line in first.iter().chain(&["reef plugin build", &load, &call, "reef plugin test"]) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_serves_as_crate_plugin_and_command() {
        assert!(name("my-counter2").is_ok());
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", "2a", "-a", "a-", "A", "a b", "a/b", "ä", &long] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
