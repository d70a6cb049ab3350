//! From sources to a [`Config`]: files with their includes, flags, environment.
//!
//! Two rules of Redis that surprise: `save` lines add up, across file and flags, until an empty
//! one; and a path in `include` starts at the working folder, not at the including file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::directive::{Directive, Kind, Role};
use super::error::{ConfigError, Origin, Warning};
use super::source::Source;
use super::table::{self, TABLE};
use super::value::{Value, lossy, os_text, path};
use super::{Config, Plugin, Rename, Tenant, User, glob, suggest, words};

/// How deep files may include files.
pub(super) const INCLUDE_DEPTH_MAX: usize = 16;
/// How many files one configuration may be made of.
pub(super) const FILES_MAX: usize = 256;

/// Variables of the environment and the directives that they set.
const ENVIRONMENT: [(&str, &str); 2] =
    [("REDIS_PORT", "port"), ("REDIS_MAX_CLIENTS", "maxclients")];

impl Config {
    /// Reads the environment, then the file, then the flags; later ones win. `flags` are the
    /// arguments `--name value ...` as the shell hands them over.
    ///
    /// # Errors
    /// The first thing that is wrong, with the place where it was said.
    pub fn load(
        file: Option<Source>,
        flags: &[String],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut loader = Loader::default();
        for (variable, name) in ENVIRONMENT {
            if let Some(text) = env(variable).filter(|text| !text.is_empty()) {
                let origin = Origin::Environment(variable.to_owned());
                loader.statement(origin, vec![name.into(), text.into_bytes()])?;
            }
        }
        if let Some(source) = file {
            if let Source::File(path) = &source {
                loader.config.file = Some(std::path::absolute(path).unwrap_or(path.clone()));
            }
            loader.source(&source, &Origin::File(source.name()))?;
        }
        for (flag, words) in split_flags(flags)? {
            loader.statement(Origin::Flag(flag), words)?;
        }
        loader.finish()
    }
}

/// A flag as it was written, and the words of the directive.
type FlagStatement = (String, Vec<Vec<u8>>);

/// Arguments as statements: each `--name` with the values up to the next one.
fn split_flags(flags: &[String]) -> Result<Vec<FlagStatement>, ConfigError> {
    let mut statements: Vec<FlagStatement> = Vec::new();
    for argument in flags {
        match (argument.strip_prefix("--"), statements.last_mut()) {
            (Some(text), _) => {
                // As for redis-server, "--port 7000" may also come as one argument.
                let words = words::split(text.as_bytes()).unwrap_or_default();
                let name = words.first().map(|name| lossy(name)).unwrap_or_default();
                let flag = format!("--{name}");
                if words.is_empty() {
                    let text = "a flag needs the name of a directive";
                    return Err(ConfigError::other(Origin::Flag(flag), text));
                }
                statements.push((flag, words));
            }
            (None, Some((_, words))) => words.push(argument.clone().into_bytes()),
            (None, None) => {
                let text = "expected a flag that starts with '--'";
                return Err(ConfigError::other(Origin::Flag(argument.clone()), text));
            }
        }
    }
    for (flag, words) in &mut statements {
        if words.len() == 1 && flag.eq_ignore_ascii_case("--save") {
            words.push(Vec::new());
        }
    }
    Ok(statements)
}

#[derive(Default)]
struct Loader {
    config: Config,
    /// Directives without effect that were given: where they were given last.
    idle: BTreeMap<usize, Origin>,
    /// Whether a `save` was given: the first one replaces the default, later ones add to it.
    save_given: bool,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    files_read: usize,
}

impl Loader {
    fn source(&mut self, source: &Source, origin: &Origin) -> Result<(), ConfigError> {
        let fail = |text: String| ConfigError::other(origin.clone(), text);
        self.files_read += 1;
        if self.files_read > FILES_MAX {
            return Err(fail(format!("more than {FILES_MAX} configuration files")));
        }
        if self.open.len() >= INCLUDE_DEPTH_MAX {
            return Err(fail(format!("includes more than {INCLUDE_DEPTH_MAX} levels deep")));
        }
        let name = source.name();
        let cannot_read = |error| match origin {
            Origin::File(_) => fail(format!("cannot read: {}", os_text(&error))),
            _ => fail(format!("cannot read '{name}': {}", os_text(&error))),
        };
        let identity = match source {
            Source::File(path) => fs::canonicalize(path).map_err(cannot_read)?,
            _ => PathBuf::new(),
        };
        if self.open.contains(&identity) {
            return Err(fail(format!("'{name}' includes itself")));
        }
        let text = source.read().map_err(cannot_read)?;
        self.open.push(identity);
        for (line, at) in text.split(|&byte| byte == b'\n').zip(1..) {
            self.line(Origin::Line { file: name.clone(), line: at }, line)?;
        }
        self.open.pop();
        Ok(())
    }

    fn line(&mut self, origin: Origin, line: &[u8]) -> Result<(), ConfigError> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        match words::split(line) {
            Some(words) => self.statement(origin, words),
            None => Err(ConfigError::other(origin, "Unbalanced quotes in configuration line")),
        }
    }

    /// One directive with its arguments.
    fn statement(&mut self, origin: Origin, mut words: Vec<Vec<u8>>) -> Result<(), ConfigError> {
        if words.is_empty() {
            return Ok(());
        }
        let name = words.remove(0);
        let Some((at, directive)) =
            table::find(&name).and_then(|at| TABLE.get(at).map(|row| (at, row)))
        else {
            return Err(ConfigError::unknown(origin, lossy(&name), suggest::nearest(&name)));
        };
        let fail = |text| ConfigError::directive(origin.clone(), lossy(&name), text);
        if let Role::Refused(instead) = directive.role {
            return Err(fail(format!("not supported: {instead}")));
        }
        if directive.is_collected() {
            return self.collected(directive.name, &origin, words);
        }
        if matches!(directive.kind, Kind::Save) && words.is_empty() {
            return Ok(());
        }
        let mut value =
            Value::read(directive, &words, self.config.values.get(at)).map_err(&fail)?;
        check_role(directive, &value, self.config.defaults.get(at)).map_err(&fail)?;
        if matches!(directive.kind, Kind::Save) {
            value = self.add_save(value, at);
        }
        if matches!(directive.role, Role::Ignored(_) | Role::DefaultOnly(_)) {
            self.idle.insert(at, origin);
        }
        if let Some(slot) = self.config.values.get_mut(at) {
            *slot = value;
        }
        Ok(())
    }

    fn add_save(&mut self, value: Value, at: usize) -> Value {
        let first = !std::mem::replace(&mut self.save_given, true);
        match (value, self.config.values.get_mut(at)) {
            (Value::Save(points), Some(Value::Save(before))) if !first && !points.is_empty() => {
                before.extend(points);
                Value::Save(std::mem::take(before))
            }
            (value, _) => value,
        }
    }

    fn collected(
        &mut self,
        name: &str,
        origin: &Origin,
        mut words: Vec<Vec<u8>>,
    ) -> Result<(), ConfigError> {
        let fail = |text| ConfigError::directive(origin.clone(), name, text);
        if let ([one], Origin::Flag(_)) = (words.as_slice(), origin)
            && name != "include"
        {
            words = words::split(one).ok_or_else(|| fail("unbalanced quotes".to_owned()))?;
        }
        let at = origin.clone();
        let config = &mut self.config;
        match name {
            "include" => return self.include(origin, &words),
            "plugin" => {
                let plugin = Plugin::read(at, &words).map_err(fail)?;
                config.plugins.retain(|other| other.name != plugin.name);
                config.plugins.push(plugin);
            }
            "tenant" => {
                let tenant = Tenant::read(at, &words).map_err(fail)?;
                config.tenants.retain(|other| other.name != tenant.name);
                config.tenants.push(tenant);
            }
            "write-behind" => match words.as_slice() {
                [file] if !file.is_empty() => config.pipelines.push(path(file)),
                _ => {
                    return Err(fail(
                        "write-behind needs the path of a pipeline's file".to_owned(),
                    ));
                }
            },
            "rename-command" => config.renames.push(Rename::read(at, &words).map_err(fail)?),
            "user" => {
                let user = User::read(at, &words).map_err(fail)?;
                if config.users.iter().any(|other| other.name == user.name) {
                    return Err(fail(format!(
                        "Error in user declaration '{}': Duplicate user found. \
                         A user can only be defined once in config files",
                        lossy(&user.name)
                    )));
                }
                config.users.push(user);
            }
            _ => return Err(fail("is not read here".to_owned())),
        }
        Ok(())
    }

    fn include(&mut self, origin: &Origin, words: &[Vec<u8>]) -> Result<(), ConfigError> {
        let fail = |text| ConfigError::directive(origin.clone(), "include", text);
        let [file] = words else { return Err(fail("wrong number of arguments".to_owned())) };
        let file = path(file);
        let name = file.as_os_str().as_encoded_bytes();
        let files = match glob::is_pattern(name) {
            true => glob::paths(Path::new(&file), FILES_MAX).map_err(|e| fail(os_text(&e)))?,
            false => vec![file],
        };
        for file in files {
            self.source(&Source::File(file), origin)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(Config, Vec<Warning>), ConfigError> {
        let config = &self.config;
        if let (Some(user), Some(_)) = (config.users.first(), config.aclfile()) {
            let text =
                "users stand either in the configuration or in the file that 'aclfile' names";
            return Err(ConfigError::directive(user.origin.clone(), "user", text));
        }
        let warnings = self.warnings();
        Ok((self.config, warnings))
    }

    /// One warning for each file about the directives in it that say what is the case anyway, and
    /// one for each other directive without effect.
    fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut as_is: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (&at, origin) in &self.idle {
            let (Some(directive), Some(value)) = (TABLE.get(at), self.config.values.get(at)) else {
                continue;
            };
            match origin {
                Origin::Line { file, .. } if self.config.defaults.get(at) == Some(value) => {
                    as_is.entry(file).or_default().push(directive.name);
                }
                _ => warnings.push(Warning { origin: origin.clone(), text: idle_text(directive) }),
            }
        }
        warnings.extend(as_is.into_iter().map(|(file, names)| Warning {
            origin: Origin::File(file.to_owned()),
            text: format!("accepted without effect, at their defaults: {}", names.join(", ")),
        }));
        warnings
    }
}

fn idle_text(directive: &Directive) -> String {
    let name = directive.name;
    match directive.role {
        Role::Ignored(why) | Role::DefaultOnly(why) if !why.is_empty() => {
            format!("'{name}' has no effect: {why}")
        }
        _ => format!("'{name}' is accepted for compatibility and has no effect"),
    }
}

/// Refuses what a directive that accepts only its default does not accept.
pub(super) fn check_role(
    directive: &Directive,
    value: &Value,
    default: Option<&Value>,
) -> Result<(), String> {
    match directive.role {
        Role::DefaultOnly(why) if Some(value) != default => {
            let shown = default.map(|value| lossy(&value.show())).unwrap_or_default();
            Err(format!("only '{shown}' is supported: {why}"))
        }
        _ => Ok(()),
    }
}
