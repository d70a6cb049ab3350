//! Compiles the bundled plugins to components: a nested `cargo build` for wasm32-unknown-unknown
//! (so nothing of WASI comes along), then `wit-component` as a library.
//!
//! The nested build has a target folder of its own (`<target>/guests`), so it never waits for the
//! lock of the outer one, and none of the outer build's settings: no wrapper of clippy or of a
//! coverage tool, no flags, no profile. What a plugin depends on is taken from cargo's own `.d`
//! files, so an unchanged plugin costs nothing and a changed one is rebuilt alone.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use wit_component::ComponentEncoder;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The plugins that are shipped: crates whose library is a guest.
const BUNDLED: &[&str] = &["tx-repo", "rendezvous", "write-behind", "write-behind-sink"];

/// The guests of `plugins/hostile`.
const HOSTILE: &[&str] = &[
    "noop",
    "queue",
    "listener",
    "echo",
    "hostile",
    "describe_loops",
    "describe_errors",
    "describe_traps",
    "describe_lies",
    "foreign_import",
    "sink",
];

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "guest";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Cargo shows this as the reason the build stopped.
            println!("cargo::error={}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let house = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let guests = guests_folder(&out);
    ensure_target()?;

    let mut selection = Vec::new();
    for name in BUNDLED {
        selection.extend(["-p".to_owned(), format!("reef-{name}")]);
    }
    compile(&house, &guests, &[selection, vec!["--lib".to_owned()]].concat())?;
    let built = guests.join(TARGET).join(PROFILE);
    for name in BUNDLED {
        let name = name.replace('-', "_");
        componentize(&built.join(format!("reef_{name}")), &out.join(format!("{name}.wasm")))?;
    }

    if env::var_os("CARGO_FEATURE_HOSTILE").is_some() {
        compile(&house, &guests, &["-p", "reef-hostile", "--examples"].map(str::to_owned))?;
        for name in HOSTILE {
            let to = out.join(format!("hostile_{name}.wasm"));
            componentize(&built.join("examples").join(name), &to)?;
        }
        rerun_if_changed(&house.join("plugins/hostile/Cargo.toml"));
    }

    for path in ["wit", "Cargo.toml", "Cargo.lock", "plugins/sdk/Cargo.toml"] {
        rerun_if_changed(&house.join(path));
    }
    for name in BUNDLED {
        rerun_if_changed(&house.join("plugins").join(name).join("Cargo.toml"));
    }
    rerun_if_changed(Path::new("build.rs"));
    Ok(())
}

/// `<target>/guests`, shared by all profiles of the outer build. Cargo marks its target folder with
/// a CACHEDIR.TAG; where there is none, the build script's own folder serves.
fn guests_folder(out: &Path) -> PathBuf {
    let target = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(out).join("guests")
}

/// Installs the standard library for the guests' target if the toolchain lacks it.
fn ensure_target() -> Result<()> {
    let rustc = variable("RUSTC")?;
    let asked =
        Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let installed = asked
        .is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    if installed {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).output();
    if added.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let advice = format!(
        "the bundled plugins need the Rust target {TARGET}: install it with `rustup target add {TARGET}`"
    );
    Err(advice.into())
}

/// The nested build.
fn compile(house: &Path, guests: &Path, selection: &[String]) -> Result<()> {
    let mut cargo = Command::new(variable("CARGO")?);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_the_outer_build) {
            cargo.env_remove(name);
        }
    }
    cargo
        .current_dir(house)
        .args(["build", "--quiet", "--profile", PROFILE, "--target", TARGET])
        .arg("--target-dir")
        .arg(guests)
        .args(selection);
    let output = cargo.output()?;
    if output.status.success() {
        return Ok(());
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        println!("cargo::warning={line}");
    }
    Err(format!("the guests do not compile: cargo build {}", selection.join(" ")).into())
}

/// Whether a variable is a setting of the outer build that must not reach the nested one. Where
/// cargo lives and how it reaches its registry stays.
fn belongs_to_the_outer_build(name: &str) -> bool {
    const KEPT: &[&str] =
        &["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    const DROPPED: &[&str] = &[
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "CLIPPY",
        "LLVM_PROFILE_FILE",
        "MIRI",
        "OUT_DIR",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
        "TARGET",
        "HOST",
        "DEP_",
        "__CARGO",
        "MAKEFLAGS",
        "MFLAGS",
        "NUM_JOBS",
    ];
    let begins = |prefix: &&str| name.starts_with(*prefix);
    // Which compiler cargo may use is the toolchain's business, not the outer build's.
    DROPPED.iter().any(begins) && !KEPT.iter().any(begins) && name != "RUSTC_BOOTSTRAP"
}

/// Makes a component of `<module>.wasm` and tells cargo what it was made of.
fn componentize(module: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(module.with_extension("wasm"))?;
    let component = ComponentEncoder::default().module(&bytes)?.validate(true).encode()?;
    // An unchanged component keeps its time stamp, so nothing that embeds it is compiled again.
    if fs::read(to).is_ok_and(|before| before == component) {
        return sources(module);
    }
    fs::write(to, component)?;
    sources(module)
}

/// Passes on the `.d` file: `<output>: <source> <source> ...`, with escaped blanks.
fn sources(module: &Path) -> Result<()> {
    let dependencies = fs::read_to_string(module.with_extension("d"))?;
    let list = dependencies.split_once(": ").map_or("", |(_, list)| list);
    for source in list.replace("\\ ", "\0").split_whitespace() {
        rerun_if_changed(Path::new(&source.replace('\0', " ")));
    }
    Ok(())
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|_| format!("cargo sets {name} for a build script").into())
}
