//! What a component may import: the two interfaces of `wit/`, and WASI over an empty context.
//! Everything else is refused when it is loaded.

pub(crate) mod context;
pub(crate) mod engine;
pub(crate) mod wasi;

/// The functions of an interface of ours, `None` if it is not one.
pub(crate) fn functions(interface: &str) -> Option<&'static [&'static str]> {
    match interface {
        // Types only.
        "reef:plugin/types@0.1.0" => Some(&[]),
        engine::NAME => Some(&engine::FUNCTIONS),
        context::NAME => Some(&context::FUNCTIONS),
        _ => None,
    }
}
