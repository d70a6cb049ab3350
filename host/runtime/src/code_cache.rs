//! Compiled code on disk, so that a start does not compile again.
//!
//! An entry is named by the component's bytes and by everything about the compiler that shaped
//! the code, and carries a keyed digest of name and code. Native code is run unchecked, so an
//! entry is loaded only if that digest is right, which means: written by us, whole, and not under
//! another name. The key lies beside the entries, readable by this user alone, as is the
//! directory; one that others could write to is refused.
//!
//! One of two files of the workspace that say `unsafe`: wasmtime cannot check native code, and this
//! file does.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Begins every entry.
const MAGIC: &[u8; 8] = b"reefcode";
const KEY_BYTES: usize = 32;
const DIGEST_BYTES: usize = 32;
const KEY_FILE: &str = "key";
const ENTRY_SUFFIX: &str = "code";
/// Bytes of all entries together; the oldest ones make room.
const CACHE_BYTES_MAX: u64 = 1 << 30;
/// Largest entry.
const ENTRY_BYTES_MAX: u64 = 256 << 20;

/// A directory of compiled code.
#[derive(Debug)]
pub(crate) struct CodeCache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
}

/// The name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name(blake3::Hash);

impl Name {
    /// The name under which `engine` keeps the code of `component`.
    pub(crate) fn new(engine: &Engine, component: &[u8]) -> Self {
        let mut digest = Digest(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        digest.0.update(component);
        Self(digest.0.finalize())
    }
}

impl CodeCache {
    /// Opens a directory, creating it if need be.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let facts = fs::metadata(dir)?;
        only_ours(&facts, dir)?;
        let path = dir.join(KEY_FILE);
        let key = match read_key(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_key(&path)?,
            other => other?,
        };
        Ok(Self { dir: dir.into(), key })
    }

    /// The compiled code of this name, if it is there and as we wrote it.
    pub(crate) fn load(&self, engine: &Engine, name: &Name) -> Option<Component> {
        let path = self.path(name);
        let mut file = File::open(&path).ok()?;
        let facts = file.metadata().ok()?;
        if only_ours(&facts, &path).is_err() || facts.len() > ENTRY_BYTES_MAX {
            return None;
        }
        let mut entry = Vec::with_capacity(facts.len() as usize);
        file.read_to_end(&mut entry).ok()?;
        let code = self.verified(name, &entry)?;
        let component = deserialize(engine, code);
        if component.is_some() {
            // Recently used entries are the last to go. A clock that cannot be set costs only that.
            let _ = file.set_modified(SystemTime::now());
        }
        component
    }

    /// Keeps compiled code. An entry appears whole or not at all.
    pub(crate) fn store(&self, name: &Name, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        if code.len() as u64 > ENTRY_BYTES_MAX / 2 {
            return Ok(());
        }
        self.make_room(code.len() as u64)?;
        let path = self.path(name);
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = self.write(&temporary, name, &code);
        let renamed = written.and_then(|()| fs::rename(&temporary, &path));
        if renamed.is_err() {
            // What could not be finished is of no use.
            let _ = fs::remove_file(&temporary);
        }
        renamed
    }

    fn write(&self, path: &Path, name: &Name, code: &[u8]) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(MAGIC)?;
        file.write_all(self.digest(name, code).as_bytes())?;
        file.write_all(code)
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.dir.join(format!("{}.{ENTRY_SUFFIX}", name.0.to_hex()))
    }

    fn digest(&self, name: &Name, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(name.0.as_bytes());
        hasher.update(code);
        hasher.finalize()
    }

    /// The code within an entry, if its digest is right. Comparing takes the same time always.
    fn verified<'e>(&self, name: &Name, entry: &'e [u8]) -> Option<&'e [u8]> {
        let rest = entry.strip_prefix(MAGIC)?;
        let (digest, code) = rest.split_first_chunk::<DIGEST_BYTES>()?;
        (self.digest(name, code) == *digest).then_some(code)
    }

    /// Removes the oldest entries until `more` bytes fit.
    fn make_room(&self, more: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|suffix| suffix == ENTRY_SUFFIX) {
                let facts = entry.metadata()?;
                entries.push((facts.modified()?, facts.len(), entry.path()));
            }
        }
        entries.sort_unstable();
        let mut total = more + entries.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        for (_, bytes, path) in entries {
            if total <= CACHE_BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "wasmtime cannot check native code: the caller has")]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `code` comes from `verified`: its keyed digest says that `store` of a process with
    // the same key wrote exactly these bytes, which `Component::serialize` had made, under a name
    // that holds the engine's compatibility hash. The key is readable by this user alone.
    unsafe { Component::deserialize(engine, code) }.ok()
}

/// Fails unless this user owns it and nobody else may write or read it.
fn only_ours(facts: &fs::Metadata, path: &Path) -> io::Result<()> {
    let ours = facts.uid() == rustix::process::geteuid().as_raw() && facts.mode() & 0o077 == 0;
    if ours {
        return Ok(());
    }
    let text = format!("'{}' must belong to this user alone", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

fn read_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut file = File::open(path)?;
    only_ours(&file.metadata()?, path)?;
    let mut key = [0; KEY_BYTES];
    file.read_exact(&mut key)?;
    Ok(key)
}

/// Creates the key, unless another process was faster.
fn create_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    // Linked into place, so that nobody ever reads half a key.
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&key)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_key(path),
        Err(error) => Err(error),
    }
}

/// Lets `Hash` write into a digest.
struct Digest(blake3::Hasher);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("reef-code-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn component(engine: &Engine, bytes: &[u8]) -> Component {
        Component::new(engine, bytes).unwrap()
    }

    #[test]
    fn code_comes_back_and_nothing_else_does() {
        let dir = dir("roundtrip");
        let engine = Engine::default();
        let bytes = wat::parse_str("(component)").unwrap();
        let name = Name::new(&engine, &bytes);
        let cache = CodeCache::open(&dir).unwrap();
        assert!(cache.load(&engine, &name).is_none());
        cache.store(&name, &component(&engine, &bytes)).unwrap();
        // Another process with the same directory has the same key.
        let cache = CodeCache::open(&dir).unwrap();
        assert!(cache.load(&engine, &name).is_some());

        let path = cache.path(&name);
        let good = fs::read(&path).unwrap();
        for at in [0, MAGIC.len(), MAGIC.len() + DIGEST_BYTES, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            assert!(cache.load(&engine, &name).is_none(), "a changed byte at {at}");
        }
        for len in [0, MAGIC.len(), MAGIC.len() + DIGEST_BYTES, good.len() - 1] {
            fs::write(&path, &good[..len]).unwrap();
            assert!(cache.load(&engine, &name).is_none(), "cut to {len} bytes");
        }
        let other = Name::new(&engine, b"another component");
        fs::write(&path, &good).unwrap();
        fs::copy(&path, cache.path(&other)).unwrap();
        assert!(cache.load(&engine, &other).is_none(), "under another name");
        assert!(cache.load(&engine, &name).is_some());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_others_can_write_is_refused() {
        let dir = dir("open");
        DirBuilder::new().mode(0o700).create(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(CodeCache::open(&dir).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        CodeCache::open(&dir).unwrap();
        let key = dir.join(KEY_FILE);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(CodeCache::open(&dir).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn names_depend_on_component_and_compiler() {
        let engine = Engine::default();
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).unwrap();
        assert_ne!(Name::new(&engine, b"a").0, Name::new(&engine, b"b").0);
        assert_ne!(Name::new(&engine, b"a").0, Name::new(&other, b"a").0);
    }
}
