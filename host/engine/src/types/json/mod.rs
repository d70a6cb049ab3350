//! JSON documents: values, their text, paths into them, changes of them.
//!
//! Reading order: [`value`] (what a value is), [`text`] and [`object`] (its strings and objects),
//! [`parse`] and [`write`] (text in and out), [`path`] (finding values by a path), [`document`] (a
//! whole document with its size, and every change of it with the inverse).
//!
//! Invariants:
//! - no value nests deeper than [`DEPTH_MAX`], so whatever walks one may recurse;
//! - all text is UTF-8; the names of an object differ.
//!
//! Nothing here knows commands, replies or keys.

pub mod document;
pub mod object;
pub mod parse;
pub mod path;
pub mod text;
pub mod value;
pub mod write;

pub use document::{Change, Document, TooDeep};
pub use object::Object;
pub use path::{Location, Path, PathError};
pub use text::Text;
pub use value::{Json, Kind};

/// How many arrays and objects may lie within each other.
pub const DEPTH_MAX: usize = 127;
