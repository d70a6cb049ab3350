//! The bytes that have a meaning in Redis's serialised data: types of values, forms of lengths and
//! strings, kinds of list nodes.

/// A string.
pub(super) const STRING: u8 = 0;
/// A list, element by element.
pub(super) const LIST: u8 = 1;
/// A set, member by member.
pub(super) const SET: u8 = 2;
/// A sorted set with scores as text.
pub(super) const SORTED_SET: u8 = 3;
/// A hash, field by field.
pub(super) const HASH: u8 = 4;
/// A sorted set with scores of eight bytes.
pub(super) const SORTED_SET_2: u8 = 5;
/// A value of a module as candidates of Redis 4.0 wrote it.
pub(super) const MODULE: u8 = 6;
/// A value of a module.
pub(super) const MODULE_2: u8 = 7;
/// A hash as a zipmap.
pub(super) const HASH_ZIPMAP: u8 = 9;
/// A list as a ziplist.
pub(super) const LIST_ZIPLIST: u8 = 10;
/// A set as an intset.
pub(super) const SET_INTSET: u8 = 11;
/// A sorted set as a ziplist.
pub(super) const SORTED_SET_ZIPLIST: u8 = 12;
/// A hash as a ziplist.
pub(super) const HASH_ZIPLIST: u8 = 13;
/// A list as a row of ziplists.
pub(super) const LIST_QUICKLIST: u8 = 14;
/// A stream as Redis 5 wrote it.
pub(super) const STREAM: u8 = 15;
/// A hash as a listpack.
pub(super) const HASH_LISTPACK: u8 = 16;
/// A sorted set as a listpack.
pub(super) const SORTED_SET_LISTPACK: u8 = 17;
/// A list as a row of listpacks and large elements.
pub(super) const LIST_QUICKLIST_2: u8 = 18;
/// A stream that remembers how many entries there were.
pub(super) const STREAM_2: u8 = 19;
/// A set as a listpack.
pub(super) const SET_LISTPACK: u8 = 20;
/// A stream whose consumers remember when they last got an entry.
pub(super) const STREAM_3: u8 = 21;

/// A hash whose fields may expire, field by field, as candidates of Redis 7.4 wrote it.
pub(super) const HASH_TIMES_EARLY: u8 = 22;
/// A hash whose fields may expire as a listpack, as candidates of Redis 7.4 wrote it.
pub(super) const HASH_LISTPACK_TIMES_EARLY: u8 = 23;
/// A hash whose fields may expire, field by field.
pub(super) const HASH_TIMES: u8 = 24;
/// A hash whose fields may expire as a listpack.
pub(super) const HASH_LISTPACK_TIMES: u8 = 25;

/// A node of a list that is one large element.
pub(super) const NODE_LARGE: u64 = 1;
/// A node of a list that is a listpack.
pub(super) const NODE_PACKED: u64 = 2;

/// The upper two bits of a length of 14 bits.
pub(super) const LENGTH_14_BITS: u8 = 0x40;
/// A length of 32 bits follows.
pub(super) const LENGTH_32_BITS: u8 = 0x80;
/// A length of 64 bits follows.
pub(super) const LENGTH_64_BITS: u8 = 0x81;

/// A string that is an integer of one byte.
pub(super) const INT8: u8 = 0xc0;
/// A string that is an integer of two bytes.
pub(super) const INT16: u8 = 0xc1;
/// A string that is an integer of four bytes.
pub(super) const INT32: u8 = 0xc2;
/// A compressed string.
pub(super) const COMPRESSED: u8 = 0xc3;
