//! Directives that may be given many times and have a structure of their own: `plugin`, `tenant`,
//! `user`, `rename-command`.
//!
//! Rules of access (`user`) and commands (`rename-command`) are checked by those who know them;
//! each line keeps its origin so that they can name it.

use super::error::Origin;
use super::number;
use super::value::{Refusal, lossy, path};
use std::path::PathBuf;

const WRONG_COUNT: &str = "wrong number of arguments";

/// `plugin NAME PATH [key value ...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its name: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// The component file.
    pub path: PathBuf,
    /// What the plugin reads as its configuration, in the order given.
    pub settings: Vec<(String, String)>,
    /// Where it was given.
    pub origin: Origin,
}

impl Plugin {
    pub(super) fn read(origin: Origin, words: &[Vec<u8>]) -> Result<Self, Refusal> {
        let [name, file, settings @ ..] = words else {
            return Err("a plugin needs a name and the path of its component".to_owned());
        };
        let name = plain_name("plugin", name)?;
        if file.is_empty() {
            return Err("a plugin needs the path of its component".to_owned());
        }
        let (pairs, rest) = settings.as_chunks::<2>();
        if let [key, ..] = rest {
            return Err(format!("key '{}' of plugin '{name}' has no value", lossy(key)));
        }
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .map_err(|_| format!("a key or value of plugin '{name}' is not UTF-8 text"))
        };
        let pair = |[key, value]: &[Vec<u8>; 2]| Ok::<_, Refusal>((text(key)?, text(value)?));
        let settings = pairs.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Self { name, path: path(file), settings, origin })
    }
}

/// `tenant NAME [PASSWORD p] [LIMIT memory|connections|ops-per-s|cpu-ms-per-s|plugins|code N ...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// What its clients log in with.
    pub password: Option<Vec<u8>>,
    /// What it may use.
    pub limits: TenantLimits,
    /// Where it was given.
    pub origin: Origin,
}

/// What a tenant may use. Nothing means no limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantLimits {
    /// Bytes of data.
    pub memory_bytes: Option<u64>,
    /// Clients at a time.
    pub connections: Option<u64>,
    /// Commands per second.
    pub ops_per_s: Option<u64>,
    /// Milliseconds of plugin code per second.
    pub cpu_ms_per_s: Option<u64>,
    /// Loaded plugins.
    pub plugins: Option<u64>,
    /// Bytes of their components.
    pub code_bytes: Option<u64>,
}

impl Tenant {
    pub(super) fn read(origin: Origin, words: &[Vec<u8>]) -> Result<Self, Refusal> {
        let [name, options @ ..] = words else { return Err("a tenant needs a name".to_owned()) };
        let name = plain_name("tenant", name)?;
        let mut tenant = Self { name, password: None, limits: TenantLimits::default(), origin };
        let mut options = options.iter();
        let mut in_limits = false;
        while let Some(option) = options.next() {
            if option.eq_ignore_ascii_case(b"limit") {
                in_limits = true;
                continue;
            }
            let needs_value = || format!("'{}' needs a value", lossy(option));
            if option.eq_ignore_ascii_case(b"password") {
                in_limits = false;
                tenant.password = Some(options.next().ok_or_else(needs_value)?.clone());
            } else if in_limits {
                let value = options.next().ok_or_else(needs_value)?;
                tenant.limits.set(option, value)?;
            } else {
                let expected = "expected PASSWORD or LIMIT";
                return Err(format!("unknown option '{}'; {expected}", lossy(option)));
            }
        }
        Ok(tenant)
    }
}

impl TenantLimits {
    /// Sets the limit with this name, as `TENANT SET` does.
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), String> {
        let limit = match name.to_ascii_lowercase().as_slice() {
            b"memory" => {
                self.memory_bytes = Some(memory("memory", value)?);
                return Ok(());
            }
            b"code" => {
                self.code_bytes = Some(memory("code", value)?);
                return Ok(());
            }
            b"connections" => &mut self.connections,
            b"ops-per-s" => &mut self.ops_per_s,
            b"cpu-ms-per-s" => &mut self.cpu_ms_per_s,
            b"plugins" => &mut self.plugins,
            _ => {
                let known = "memory, connections, ops-per-s, cpu-ms-per-s, plugins, code";
                return Err(format!("unknown limit '{}'; known are {known}", lossy(name)));
            }
        };
        let number = number::integer(value).and_then(|number| u64::try_from(number).ok());
        let refusal = || format!("limit '{}': argument must be a number from 0", lossy(name));
        *limit = Some(number.ok_or_else(refusal)?);
        Ok(())
    }
}

fn memory(name: &str, value: &[u8]) -> Result<u64, String> {
    number::bytes(value).ok_or_else(|| format!("limit '{name}': argument must be a memory value"))
}

/// `user NAME rule ...`, as `ACL SETUSER` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: Vec<u8>,
    /// Its rules, unread.
    pub rules: Vec<Vec<u8>>,
    /// Where it was given.
    pub origin: Origin,
}

impl User {
    pub(super) fn read(origin: Origin, words: &[Vec<u8>]) -> Result<Self, Refusal> {
        let [name, rules @ ..] = words else { return Err(WRONG_COUNT.to_owned()) };
        Ok(Self { name: name.clone(), rules: rules.to_vec(), origin })
    }
}

/// `rename-command FROM TO`; an empty TO takes the command away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The name that the command has.
    pub from: Vec<u8>,
    /// The name that it gets.
    pub to: Vec<u8>,
    /// Where it was given.
    pub origin: Origin,
}

impl Rename {
    pub(super) fn read(origin: Origin, words: &[Vec<u8>]) -> Result<Self, Refusal> {
        let [from, to] = words else { return Err(WRONG_COUNT.to_owned()) };
        Ok(Self { from: from.clone(), to: to.clone(), origin })
    }
}

fn plain_name(what: &str, name: &[u8]) -> Result<String, Refusal> {
    const NAME_BYTES_MAX: usize = 64;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match str::from_utf8(name) {
        Ok(text) if !text.is_empty() && text.len() <= NAME_BYTES_MAX && name.iter().all(plain) => {
            Ok(text.to_owned())
        }
        _ => {
            Err(format!("a {what} name has 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' or '.'"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::words::split;

    fn words(line: &str) -> Vec<Vec<u8>> {
        split(line.as_bytes()).expect("balanced")
    }

    fn tenant(line: &str) -> Result<Tenant, String> {
        Tenant::read(Origin::Command, &words(line))
    }

    fn plugin(line: &str) -> Result<Plugin, String> {
        Plugin::read(Origin::Command, &words(line))
    }

    #[test]
    fn tenants_have_a_password_and_limits() {
        let acme = tenant("acme PASSWORD s limit memory 64mb ops-per-s 10 LIMIT plugins 0");
        let acme = acme.expect("valid");
        assert_eq!(acme.password.as_deref(), Some(&b"s"[..]));
        let limits = TenantLimits {
            memory_bytes: Some(64 << 20),
            ops_per_s: Some(10),
            plugins: Some(0),
            ..TenantLimits::default()
        };
        assert_eq!(acme.limits, limits);
        for (line, part) in [
            ("", "needs a name"),
            ("a/b", "letters"),
            ("a foo", "unknown option 'foo'"),
            ("a password", "'password' needs a value"),
            ("a limit memory", "'memory' needs a value"),
            ("a limit memory x", "memory value"),
            ("a limit plugins -1", "number from 0"),
            ("a limit disk 1", "unknown limit 'disk'"),
        ] {
            let error = tenant(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn plugins_have_a_path_and_settings() {
        let shop = plugin("shop '/a b.wasm' currency EUR note ''").expect("valid");
        assert_eq!(shop.path, PathBuf::from("/a b.wasm"));
        let settings = [("currency", "EUR"), ("note", "")];
        assert_eq!(shop.settings, settings.map(|(k, v)| (k.to_owned(), v.to_owned())));
        for (line, part) in [
            ("shop", "path"),
            ("shop ''", "path"),
            ("'' x", "letters"),
            ("shop x key", "key 'key' of plugin 'shop' has no value"),
            (r#"shop x "\xff" y"#, "UTF-8"),
        ] {
            let error = plugin(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
