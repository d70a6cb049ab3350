//! Gathers what `reef plugin new` writes: the templates, the SDK and the interfaces, as they stand in
//! the repository, into one table of names and texts for the binary to embed. And has the binary's
//! relocations packed where the machine can read them so: they are megabytes that every start reads.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The name of a table, and the folder it is made of.
const TABLES: [(&str, &str); 5] = [
    ("RUST", "host/cli/plugin/templates/rust"),
    ("PYTHON", "host/cli/plugin/templates/python"),
    ("JAVASCRIPT", "host/cli/plugin/templates/javascript"),
    ("SDK", "plugins/sdk"),
    ("WIT", "wit"),
];

/// The first version of the C library that reads packed relocations.
const GLIBC_WITH_PACKED: (u32, u32) = (2, 36);

fn main() -> io::Result<()> {
    if glibc().is_some_and(|version| version >= GLIBC_WITH_PACKED) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut text = String::new();
    for (table, folder) in TABLES {
        let folder = root.join(folder);
        let mut files = Vec::new();
        gather(&folder, &mut files)?;
        files.sort();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "pub(super) const {table}: &[(&str, &str)] = &[");
        for file in files {
            let name = file.strip_prefix(&folder).unwrap_or(&file);
            let _ =
                writeln!(text, "    ({:?}, include_str!({:?})),", name.display(), file.display());
        }
        text.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=host/build.rs");
    fs::write(out.join("plugin_templates.rs"), text)
}

/// The version of this machine's C library, if what is built is for this machine and it is glibc.
fn glibc() -> Option<(u32, u32)> {
    if env::var("HOST") != env::var("TARGET") {
        return None;
    }
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// All files of a folder, without what tools leave there.
fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_left_over = path.ends_with("target") || path.ends_with("__pycache__");
        if path.is_dir() && !is_left_over {
            gather(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
