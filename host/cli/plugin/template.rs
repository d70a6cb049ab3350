//! The files of a new project, and the SDK that comes with it. They stand in the repository as what
//! they are; the build script gathers them.

use super::project::Language;

include!(concat!(env!("OUT_DIR"), "/plugin_templates.rs"));

/// The end of each template's README.
const LOOP: &str = include_str!("templates/loop.md");
/// What a project with the SDK inside says of it.
const VENDORED: &str = "\
`vendor/reef-sdk` and `wit/` are copies of the SDK and the interface as this Reef has them, so that the
project builds anywhere and offline once cargo has the SDK's one dependency. To follow Reef's
repository instead, let `reef-sdk` in `Cargo.toml` name a `path` or a `git` address.
";
/// The dependencies at the versions that Reef itself was tested with.
const LOCK: &str = include_str!("../../../examples/plugin-hello/Cargo.lock");

/// Where a project in Rust gets the SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    /// From copies inside of it.
    Vendored,
    /// From this folder, or from this repository.
    Elsewhere(String),
}

impl Sdk {
    fn requirement(&self) -> String {
        match self {
            Self::Vendored => r#"{ path = "vendor/reef-sdk" }"#.into(),
            Self::Elsewhere(url) if url.contains("://") => format!("{{ git = {url:?} }}"),
            Self::Elsewhere(path) => format!("{{ path = {path:?} }}"),
        }
    }
}

/// All files of a project of this name, with their places in it.
pub(super) fn files(name: &str, language: Language, sdk: &Sdk) -> Vec<(String, String)> {
    let (own, tests) = match language {
        Language::Rust => (RUST, "`cargo test`"),
        Language::Python => (PYTHON, "`unittest`"),
        Language::JavaScript => (JAVASCRIPT, "`npm test`"),
    };
    let note = if *sdk == Sdk::Vendored { VENDORED } else { "" };
    let filled = |text: &str| {
        let text = text.replace("{{loop}}", LOOP).replace("{{sdk-note}}", note);
        let text = text.replace("{{tests}}", tests).replace("{{sdk}}", &sdk.requirement());
        let text = text.replace("{{name}}", name).replace("{{NAME}}", &name.to_ascii_uppercase());
        format!("{}\n", text.trim_end())
    };
    let place = |path: &str| match path {
        // Under its own name it would be heeded where the templates stand.
        "gitignore" => ".gitignore".to_owned(),
        path => path.to_owned(),
    };
    let mut files: Vec<_> = own.iter().map(|(path, text)| (place(path), filled(text))).collect();
    let has_wit = language != Language::Rust || *sdk == Sdk::Vendored;
    let wit = WIT.iter().filter(|_| has_wit);
    files.extend(wit.map(|(path, text)| (format!("wit/{path}"), (*text).to_owned())));
    if language == Language::Rust {
        let lock = LOCK.replace("name = \"hello\"\n", &format!("name = \"{name}\"\n"));
        files.push(("Cargo.lock".into(), lock));
        if *sdk == Sdk::Vendored {
            files.extend(SDK.iter().map(|(path, text)| vendored(path, text)));
        }
    }
    files
}

/// A file of the SDK outside of Reef's workspace.
fn vendored(path: &str, text: &str) -> (String, String) {
    let place = format!("vendor/reef-sdk/{path}");
    if path != "Cargo.toml" {
        return (place, text.to_owned());
    }
    let line = |line: &str| match line {
        "version.workspace = true" => {
            concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"").into()
        }
        "edition.workspace = true" => "edition = \"2024\"".into(),
        "rust-version.workspace = true" => {
            concat!("rust-version = \"", env!("CARGO_PKG_RUST_VERSION"), "\"").into()
        }
        "license.workspace = true" => {
            concat!("license = \"", env!("CARGO_PKG_LICENSE"), "\"").into()
        }
        line => line.to_owned(),
    };
    let text = text.replace("[lints]\nworkspace = true\n", "");
    let text: String = text.lines().map(|text| line(text) + "\n").collect();
    (place, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in_and_nothing_points_out_of_the_project() {
        for language in [Language::Rust, Language::Python, Language::JavaScript] {
            let files = files("my-counter", language, &Sdk::Vendored);
            for (path, text) in &files {
                // Code that the project brings along has braces of its own.
                assert!(path.starts_with("vendor/") || !text.contains("{{"), "{path}");
                assert!(
                    !path.ends_with("Cargo.toml") || !text.contains("workspace = true"),
                    "{path}"
                );
            }
            let has = |wanted: &str| files.iter().any(|(path, _)| path == wanted);
            assert!(has("README.md") && has(".gitignore") && has("wit/world.wit"));
            assert!(has("tests/greeting.txt"), "{language:?}");
            assert_eq!(has("vendor/reef-sdk/src/lib.rs"), language == Language::Rust);
        }
    }

    #[test]
    fn the_sdk_may_be_elsewhere() {
        let manifest = |sdk: &str| {
            let files = files("a", Language::Rust, &Sdk::Elsewhere(sdk.into()));
            assert!(!files.iter().any(|(path, _)| path.starts_with("vendor")));
            files.into_iter().find(|(path, _)| path == "Cargo.toml").expect("it has one").1
        };
        assert!(manifest("../sdk").contains(r#"reef-sdk = { path = "../sdk" }"#));
        assert!(manifest("https://a/b").contains(r#"reef-sdk = { git = "https://a/b" }"#));
    }
}
