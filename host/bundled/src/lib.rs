//! The plugins that every Reef carries, as components, embedded in the binary.
//!
//! They are compiled by the build script of this crate from `plugins/`, for a target without WASI,
//! so they import `reef:plugin/*` and nothing else; a test holds them to it. Nothing here loads or
//! runs them: that is the runtime's business, and it treats them like anybody's plugin.

/// A plugin and its component.
#[derive(Clone, Copy)]
pub struct BundledPlugin {
    /// The name under which it is loaded.
    pub name: &'static str,
    /// The component's bytes.
    pub component: &'static [u8],
}

/// The transaction repository (`TX.*`).
pub static TX_REPO: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tx_repo.wasm"));

/// Documents whose every change is an event (`DOC.*`).
pub static WRITE_BEHIND: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/write_behind.wasm"));

/// The sink that makes rows of those documents.
pub static WRITE_BEHIND_SINK: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/write_behind_sink.wasm"));

/// The rendezvous (`RDV.*`).
pub static RENDEZVOUS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rendezvous.wasm"));

static ALL: &[BundledPlugin] = &[
    BundledPlugin { name: "tx-repo", component: TX_REPO },
    BundledPlugin { name: "rendezvous", component: RENDEZVOUS },
    BundledPlugin { name: "write-behind", component: WRITE_BEHIND },
];

/// All bundled plugins, in the order in which they are loaded.
#[must_use]
pub fn all() -> &'static [BundledPlugin] {
    ALL
}

/// Guests that misbehave, one way each, and one that does nothing: for tests and benchmarks.
#[cfg(feature = "hostile")]
pub mod hostile {
    use super::BundledPlugin;

    macro_rules! guest {
        ($file:literal) => {
            include_bytes!(concat!(env!("OUT_DIR"), "/hostile_", $file, ".wasm"))
        };
    }

    /// Behaves: `NOOP.CALL`, `NOOP.ECHO text`, `NOOP.BATCH key count value`,
    /// `NOOP.WAIT key milliseconds`.
    pub static NOOP: &[u8] = guest!("noop");
    /// Behaves: `QUEUE.TAKE key milliseconds` waits for an element of a list, `QUEUE.SETTING name`
    /// tells a value of its configuration.
    pub static QUEUE: &[u8] = guest!("queue");
    /// Behaves: its triggers write down what happens to `mem:*`, and durably to `dur:*`.
    pub static LISTENER: &[u8] = guest!("listener");
    /// Behaves: its triggers answer those of `listener`, which answers them in turn.
    pub static ECHO: &[u8] = guest!("echo");
    /// Loads well; its commands `HOSTILE.*` attack from inside a call, one way each.
    pub static HOSTILE: &[u8] = guest!("hostile");
    /// Never returns from `describe`.
    pub static DESCRIBE_LOOPS: &[u8] = guest!("describe_loops");
    /// Answers `describe` with an error.
    pub static DESCRIBE_ERRORS: &[u8] = guest!("describe_errors");
    /// Traps in `describe`.
    pub static DESCRIBE_TRAPS: &[u8] = guest!("describe_traps");
    /// Describes two commands of one name; the configuration value `lie` chooses another lie.
    pub static DESCRIBE_LIES: &[u8] = guest!("describe_lies");
    /// Imports `evil:host/files`.
    pub static FOREIGN_IMPORT: &[u8] = guest!("foreign_import");

    /// A sink that fails over documents with certain ids.
    pub static SINK: &[u8] = guest!("sink");

    static ALL: &[BundledPlugin] = &[
        BundledPlugin { name: "noop", component: NOOP },
        BundledPlugin { name: "queue", component: QUEUE },
        BundledPlugin { name: "listener", component: LISTENER },
        BundledPlugin { name: "echo", component: ECHO },
        BundledPlugin { name: "hostile", component: HOSTILE },
        BundledPlugin { name: "describe_loops", component: DESCRIBE_LOOPS },
        BundledPlugin { name: "describe_errors", component: DESCRIBE_ERRORS },
        BundledPlugin { name: "describe_traps", component: DESCRIBE_TRAPS },
        BundledPlugin { name: "describe_lies", component: DESCRIBE_LIES },
        BundledPlugin { name: "foreign_import", component: FOREIGN_IMPORT },
    ];

    /// All guests of this kind, so that a test can hold itself to have tried each.
    #[must_use]
    pub fn all() -> &'static [BundledPlugin] {
        ALL
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload, Validator, WasmFeatures};

    use super::*;

    /// What the outermost component imports or exports.
    fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
        let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
        for payload in Parser::new(0).parse_all(component) {
            match payload.unwrap() {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    imports
                        .extend(section.into_iter().map(|one| one.unwrap().name.name.to_owned()));
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    exports
                        .extend(section.into_iter().map(|one| one.unwrap().name.name.to_owned()));
                }
                _ => {}
            }
        }
        (imports, exports)
    }

    fn assert_only_reef(plugin: &BundledPlugin) {
        let mut validator = Validator::new_with_features(WasmFeatures::default());
        validator.validate_all(plugin.component).unwrap();
        let (imports, exports) = names(plugin.component);
        for import in &imports {
            assert!(import.starts_with("reef:plugin/"), "{} imports {import}", plugin.name);
        }
        let (handler, others) = exports.split_first().expect("it exports something");
        assert_eq!(handler, "reef:plugin/handler@0.1.0", "{}", plugin.name);
        assert!(others.iter().all(|one| one == "reef:plugin/triggers@0.1.0"), "{others:?}");
    }

    #[test]
    fn bundled_plugins_import_nothing_but_reef() {
        all().iter().for_each(assert_only_reef);
    }

    #[test]
    fn bundled_plugins_are_small() {
        for plugin in all() {
            let kibibytes = plugin.component.len() / 1024;
            assert!(kibibytes < 512, "{} takes {kibibytes} KiB", plugin.name);
        }
    }

    #[test]
    fn the_bundled_sink_imports_nothing_at_all() {
        let (imports, exports) = names(WRITE_BEHIND_SINK);
        let has_functions = |import: &&String| *import != "reef:plugin/types@0.1.0";
        assert_eq!(imports.iter().find(has_functions), None);
        assert!(exports.contains(&"reef:plugin/sink@0.1.0".to_owned()), "{exports:?}");
    }

    #[cfg(feature = "hostile")]
    #[test]
    fn only_the_guest_made_for_it_has_a_foreign_import() {
        for guest in hostile::all() {
            if guest.name == "foreign_import" {
                let (imports, _) = names(guest.component);
                assert!(imports.iter().any(|import| import == "evil:host/files"));
            } else {
                assert_only_reef(guest);
            }
        }
    }
}
