//! `reef plugin load` and `replace`: a component from here, on terms.

use std::path::PathBuf;

use clap::Args;
use redis::Cmd;

use super::check;
use crate::cli::Failure;

#[derive(Debug, Args)]
pub(super) struct Component {
    /// The name of the plugin.
    pub(super) name: String,
    /// The component, a .wasm file on this machine; `bundled` is the one of that name that comes
    /// with this program.
    file: PathBuf,
    /// A command it may run (SET) or keys it may touch (~app:*); without one, what the server
    /// grants by default.
    #[arg(long, value_name = "WORD")]
    grant: Vec<String>,
    /// Grant it all that it says it wants: see `reef plugin check`.
    #[arg(long, conflicts_with = "grant")]
    grant_wanted: bool,
    /// What it reads as its configuration.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    config: Vec<(String, String)>,
    /// A budget: cpu-ms, memory, host-calls or bytes.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    limit: Vec<(String, String)>,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Component {
    pub(super) fn command(&self, verb: &str, replace: bool) -> Result<Cmd, Failure> {
        let bytes = self.bytes()?;
        if !bytes.starts_with(b"\0asm") {
            let file = self.file.display();
            return Err(Failure::new(format!("{file} is no WebAssembly component")));
        }
        let wanted = match self.grant_wanted {
            true => check::wanted(bytes.clone(), &self.config, &self.file)?,
            false => Vec::new(),
        };
        let mut command = redis::cmd("PLUGIN");
        command.arg(verb).arg(&self.name).arg(bytes);
        if replace {
            command.arg("REPLACE");
        }
        let grants = if self.grant_wanted { &wanted } else { &self.grant };
        if !grants.is_empty() {
            command.arg("GRANT").arg(grants);
        }
        for (keyword, pairs) in [("CONFIG", &self.config), ("LIMIT", &self.limit)] {
            if !pairs.is_empty() {
                command.arg(keyword);
                pairs.iter().for_each(|(key, value)| {
                    command.arg(key).arg(value);
                });
            }
        }
        Ok(command)
    }

    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let mut bundled = reef_bundled::all().iter();
        match bundled.find(|plugin| plugin.name == self.name) {
            Some(plugin) if self.file.as_os_str() == "bundled" => Ok(plugin.component.to_vec()),
            _ => std::fs::read(&self.file).map_err(|error| {
                Failure::new(format!("cannot read {}: {error}", self.file.display()))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_cut_at_the_first_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("ab").is_err());
    }
}
