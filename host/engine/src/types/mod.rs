//! The values that keys hold, and the small nouns they are made of.
//!
//! Everything here is a plain value: bytes in, bytes and counts out. Nothing knows RESP, the
//! keyspace, a clock or a source of randomness of its own; limits, hasher and random numbers are
//! handed in, and every mutation returns what is needed to undo it.

pub mod algebra;
pub mod bitmap;
pub mod bounds;
pub mod counted;
pub mod dense;
pub mod element;
pub mod encoding;
mod field_times;
pub mod geo_shape;
pub mod geohash;
pub mod glob;
pub mod hash;
pub mod hasher;
pub mod histogram;
pub mod hyperloglog;
pub mod intset;
pub mod json;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod long_double;
pub mod number;
pub mod ordered;
pub mod random;
pub mod segmented;
pub mod set;
pub mod sha1;
mod short_digits;
pub mod small_bytes;
pub mod sorted_set;
pub mod stream;
pub mod stream_group;
pub mod stream_id;
pub mod stream_node;
pub mod suggestions;
pub mod trigonometry;
