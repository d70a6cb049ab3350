//! Looks at a component without loading it: what it imports, is, has and wants, what it costs, and
//! whether it would be refused.
//!
//! It goes the way of a load (compile, link, describe, check) as far as it gets, and changes nothing
//! about what is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use reef_engine::grants::Grants;
use reef_engine::registry::Registry;
use wasmtime::component::Component;

use crate::border::{CommandClaim, CommandFlags};
use crate::limits::Limits;
use crate::loader::{self, House};
use crate::manifest::Manifest;
use crate::plugin::Plugin;
use crate::program::Program;
use crate::request::{LoadError, Source};
use crate::texts;
use crate::triggers;

/// What is known of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Bytes of the component.
    pub component_bytes: usize,
    /// The interfaces it imports, with their versions.
    pub imports: Vec<String>,
    /// How long compiling it took, or fetching it from the cache.
    pub compile_us: u64,
    /// Bytes of the native code, with its tables and constants.
    pub native_bytes: usize,
    /// What it says of itself; nothing if it could not be asked.
    pub nature: Option<Nature>,
    /// Why it would be refused even if all was granted that it wants; nothing if it would not be.
    pub refusal: Option<String>,
}

/// What a component says of itself, and what saying so took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is, in a sentence.
    pub summary: String,
    /// Its commands.
    pub commands: Vec<CommandFacts>,
    /// What it wants to be granted.
    pub wants: Vec<String>,
    /// How long the first instance took to start and to describe itself.
    pub describe_us: u64,
    /// Memory of that instance.
    pub memory_bytes: u64,
}

/// One command, as COMMAND INFO and COMMAND DOCS will show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandFacts {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub usage: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// How many arguments it takes, its name included; negative means "at least".
    pub arity: i32,
    /// Its flags, by name.
    pub flags: Vec<&'static str>,
    /// First key, last key, step; zeroes if it declares none.
    pub keys: (i32, i32, i32),
}

/// What a component is called while it is asked.
const INSPECTED: &str = "inspected";

impl House {
    /// See [`Plugins::inspect`](crate::Plugins::inspect).
    pub(crate) fn inspect(
        &self,
        source: Source,
        limits: Limits,
        config: Vec<(String, String)>,
    ) -> Result<Inspection, LoadError> {
        let bytes = self.read(source, INSPECTED)?;
        let component_bytes = bytes.len();
        let began = Instant::now();
        let component = self.workshop.code(&bytes)?;
        let code = component.image_range();
        let mut found = Inspection {
            component_bytes,
            imports: self.imports(&component),
            compile_us: began.elapsed().as_micros() as u64,
            native_bytes: code.end.addr() - code.start.addr(),
            nature: None,
            refusal: None,
        };
        let refusal = match self.question(&component, (limits, config), &mut found.nature) {
            Ok(manifest) => refusal(&manifest).err(),
            Err(error) => Some(error),
        };
        found.refusal = refusal.map(|error| error.to_string());
        Ok(found)
    }

    fn imports(&self, component: &Component) -> Vec<String> {
        let ty = component.component_type();
        ty.imports(&self.workshop.machine.engine).map(|(name, _)| name.to_owned()).collect()
    }

    /// Asks the component what it is.
    fn question(
        &self,
        component: &Component,
        (limits, config): (Limits, Vec<(String, String)>),
        nature: &mut Option<Nature>,
    ) -> Result<Manifest, LoadError> {
        let program = Arc::new(Program::new(&self.workshop.machine, component)?);
        let plugin = Arc::new(Plugin::new(INSPECTED, self.services.backend.now_ms()));
        let config: BTreeMap<_, _> =
            config.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let terms = self.terms(&plugin, limits, config, Grants::default(), Vec::new());
        let (manifest, usage, took) = loader::describe_measured(&program, &terms)?;
        // With this configuration it wants to hear of these keys, too.
        let triggers = triggers::subscribe(&program, &terms)?;
        let heard = triggers.iter().map(|trigger| format!("~{}", trigger.pattern));
        let mut wants = manifest.wants.clone();
        wants.extend(heard.filter(|word| !manifest.wants.contains(word)));
        *nature = Some(Nature {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            summary: manifest.summary.clone(),
            commands: manifest.commands.iter().map(facts).collect(),
            wants,
            describe_us: took.as_micros() as u64,
            memory_bytes: usage.memory_bytes,
        });
        Ok(manifest)
    }
}

/// What stands against a manifest, apart from what is not granted.
fn refusal(manifest: &Manifest) -> Result<(), LoadError> {
    let wants = &manifest.wants;
    if let Some(word) = wants.iter().find(|word| Grants::parse(&[word.as_str()]).is_err()) {
        return Err(texts::not_grantable(&manifest.name, word).into());
    }
    match Registry::with_plugins(&manifest.entries(0)) {
        Ok(_) => Ok(()),
        Err(name) => Err(texts::command_taken(&name, None).into()),
    }
}

fn facts(claim: &CommandClaim) -> CommandFacts {
    let names = [
        ("write", CommandFlags::WRITE),
        ("readonly", CommandFlags::READONLY),
        ("fast", CommandFlags::FAST),
        ("blocking", CommandFlags::BLOCKING),
        ("denyoom", CommandFlags::DENYOOM),
    ];
    let held = names.into_iter().filter(|(_, flag)| claim.flags & *flag == *flag);
    CommandFacts {
        name: claim.name.clone(),
        usage: claim.usage.clone(),
        summary: claim.summary.clone(),
        arity: claim.arity,
        flags: held.map(|(name, _)| name).collect(),
        keys: (claim.first_key, claim.last_key, claim.key_step),
    }
}
