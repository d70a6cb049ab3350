//! Guests that misbehave, one way each, for the tests of the runtime, and some
//! that behave: one that does nothing, for benchmarks, and one that waits. They live in `guests/`, each a component of its own.
//!
//! Nothing here is meant to be shipped.

/// The guests, in the order of the manifest.
pub const GUESTS: &[&str] = &[
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_of_the_folder_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/guests");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        let mut listed = GUESTS.to_vec();
        listed.sort_unstable();
        assert_eq!(found, listed);
    }
}
