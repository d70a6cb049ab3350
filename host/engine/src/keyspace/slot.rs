//! One key with its value, expiry and access clock, as the main table holds it.
//!
//! Most keys hold a string, so key, expiry and string are packed into one allocation; everything
//! else is an [`Object`]. Both look the same from outside. A slot knows nothing of tables, hashes
//! or what changed: the keyspace calls it and keeps the books.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::access::Access;
use super::value::Value;
use crate::clock::Millis;
use crate::types::hash::Hash;
use crate::types::hasher::Hasher;
use crate::types::number;

/// A key with its value.
#[derive(Debug)]
pub enum Slot {
    /// A string in one allocation.
    Packed(Packed),
    /// Anything else, and strings that are being built up.
    Object(Box<Object>),
}

/// A key whose value does not fit the packed form.
#[derive(Debug)]
pub struct Object {
    key: Box<[u8]>,
    expires_at: Option<Millis>,
    access: Access,
    value: Value,
}

/// A slot's content in a canonical form: type, expiry, and the elements in a canonical order with
/// theirs, and whatever else belongs to the value behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    type_name: &'static str,
    expires_at: Option<Millis>,
    elements: Vec<Vec<u8>>,
    /// Fields of a hash that expire, and when.
    field_times: Vec<(Vec<u8>, Millis)>,
}

impl Description {
    /// The content in words, as far as `tell` wants it: of a stream, what belongs to it apart from
    /// its entries comes behind them.
    pub fn retain(&mut self, tell: impl FnMut(&Vec<u8>) -> bool) {
        self.elements.retain(tell);
    }
}

/// How a string came to be, which is all that OBJECT ENCODING tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// The canonical decimal text of a 64-bit integer.
    Integer,
    /// As it was set.
    Plain,
    /// Modified in place.
    Raw,
}

/// A string and its key in one allocation: a flag byte, three bytes of access clock, the key's
/// length (1 or 5 bytes), the expiry (8 bytes, if any), the key, the string.
#[derive(Debug)]
pub struct Packed(Box<[u8]>);

const FLAG_EXPIRES: u8 = 1;
const FLAG_INTEGER: u8 = 1 << 1;
const FLAG_LONG_KEY: u8 = 1 << 2;

/// Strings longer than this are not packed: changing one byte would copy all of it.
const PACKED_BYTES_MAX: usize = 16 * 1024;
/// The longest string that Redis embeds in its object header.
const EMBEDDED_BYTES_MAX: usize = 44;

impl Packed {
    fn new(key: &[u8], text: &[u8], expires_at: Option<Millis>, access: Access) -> Self {
        let is_long = key.len() > 254;
        let header = if is_long { 9 } else { 5 };
        let expiry = if expires_at.is_some() { 8 } else { 0 };
        let mut bytes = Vec::with_capacity(header + expiry + key.len() + text.len());
        let mut flags = if number::parse_i64(text).is_some() { FLAG_INTEGER } else { 0 };
        if is_long {
            flags |= FLAG_LONG_KEY;
        }
        if expires_at.is_some() {
            flags |= FLAG_EXPIRES;
        }
        bytes.push(flags);
        bytes.extend_from_slice(&access.bits().to_le_bytes()[..3]);
        if is_long {
            bytes.push(255);
            bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        } else {
            bytes.push(key.len() as u8);
        }
        if let Some(at) = expires_at {
            bytes.extend_from_slice(&at.get().to_le_bytes());
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(text);
        Self(bytes.into_boxed_slice())
    }

    #[inline]
    fn flags(&self) -> u8 {
        self.0[0]
    }

    /// Where the key starts, and how long it is.
    #[inline]
    fn key_place(&self) -> (usize, usize) {
        let expiry = usize::from(self.flags() & FLAG_EXPIRES) * 8;
        if self.flags() & FLAG_LONG_KEY == 0 {
            return (5 + expiry, usize::from(self.0[4]));
        }
        let len = u32::from_le_bytes([self.0[5], self.0[6], self.0[7], self.0[8]]);
        (9 + expiry, len as usize)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        let (start, len) = self.key_place();
        &self.0[start..start + len]
    }

    #[inline]
    fn text(&self) -> &[u8] {
        let (start, len) = self.key_place();
        &self.0[start + len..]
    }

    fn expires_at(&self) -> Option<Millis> {
        if self.flags() & FLAG_EXPIRES == 0 {
            return None;
        }
        let start = self.key_place().0 - 8;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[start..start + 8]);
        Some(Millis::new(u64::from_le_bytes(bytes)))
    }

    fn access(&self) -> Access {
        Access::from_bits(u32::from_le_bytes([self.0[1], self.0[2], self.0[3], 0]))
    }

    fn set_access(&mut self, access: Access) {
        self.0[1..4].copy_from_slice(&access.bits().to_le_bytes()[..3]);
    }

    /// Overwrites the string where it stands, if the new one has the same length.
    fn overwrite(&mut self, text: &[u8]) -> bool {
        let (start, len) = self.key_place();
        let place = &mut self.0[start + len..];
        if place.len() != text.len() {
            return false;
        }
        place.copy_from_slice(text);
        let integer = number::parse_i64(text).is_some();
        self.0[0] = self.flags() & !FLAG_INTEGER | if integer { FLAG_INTEGER } else { 0 };
        true
    }
}

impl Slot {
    /// A string slot.
    pub fn text(key: &[u8], text: &[u8], expires_at: Option<Millis>, access: Access) -> Self {
        if text.len() <= PACKED_BYTES_MAX {
            return Self::Packed(Packed::new(key, text, expires_at, access));
        }
        Self::object(key, Value::Text(text.to_vec()), expires_at, access)
    }

    /// A slot with a value from elsewhere, in the form that it would have got here.
    pub fn new(key: &[u8], value: Value, expires_at: Option<Millis>, access: Access) -> Self {
        match value {
            Value::Text(text) => Self::text(key, &text, expires_at, access),
            value => Self::object(key, value, expires_at, access),
        }
    }

    /// A slot with any value.
    pub fn object(key: &[u8], value: Value, expires_at: Option<Millis>, access: Access) -> Self {
        Self::Object(Box::new(Object { key: key.into(), expires_at, access, value }))
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Packed(packed) => packed.key(),
            Self::Object(object) => &object.key,
        }
    }

    /// The string, if it is one.
    #[inline]
    pub fn as_text(&self) -> Option<&[u8]> {
        match self {
            Self::Packed(packed) => Some(packed.text()),
            Self::Object(object) => match &object.value {
                Value::Text(text) => Some(text),
                _ => None,
            },
        }
    }

    /// Whether it is a string in one allocation with its key.
    pub fn is_packed(&self) -> bool {
        matches!(self, Self::Packed(_))
    }

    /// The value, unless it is a packed string.
    #[inline]
    pub fn as_value(&self) -> Option<&Value> {
        match self {
            Self::Packed(_) => None,
            Self::Object(object) => Some(&object.value),
        }
    }

    /// The value for changing, unless it is a packed string.
    pub fn as_value_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Packed(_) => None,
            Self::Object(object) => Some(&mut object.value),
        }
    }

    /// When it expires.
    #[inline]
    pub fn expires_at(&self) -> Option<Millis> {
        match self {
            Self::Packed(packed) => packed.expires_at(),
            Self::Object(object) => object.expires_at,
        }
    }

    /// When the first of its fields expires, if it is a hash.
    #[inline]
    pub fn next_field_expiry(&self) -> Option<Millis> {
        self.as_hash()?.next_expiry()
    }

    /// When something of it expires: itself, or a field.
    pub fn next_expiry(&self) -> Option<Millis> {
        [self.expires_at(), self.next_field_expiry()].into_iter().flatten().min()
    }

    /// Whether it is there at `now`: neither expired nor emptied by the expiry of its fields.
    #[inline]
    pub fn is_live(&self, now: Millis) -> bool {
        self.expires_at().is_none_or(|at| at > now)
            && self.as_hash().is_none_or(|hash| !hash.is_all_due(now))
    }

    /// Whether fields are due that have not been removed.
    #[inline]
    pub fn has_due_fields(&self, now: Millis) -> bool {
        self.next_field_expiry().is_some_and(|at| at <= now)
    }

    /// Removes fields that are due, at most `budget` of them. Gives them, and whether no field is
    /// left.
    pub fn remove_due_fields(
        &mut self,
        hasher: &Hasher,
        now: Millis,
        budget: usize,
    ) -> (Vec<Vec<u8>>, bool) {
        match self.as_value_mut() {
            Some(Value::Hash(hash)) => (hash.remove_due(hasher, now, budget), hash.is_empty()),
            _ => (Vec::new(), false),
        }
    }

    #[inline]
    fn as_hash(&self) -> Option<&Hash> {
        match self {
            Self::Packed(_) => None,
            Self::Object(object) => match &object.value {
                Value::Hash(hash) => Some(hash),
                _ => None,
            },
        }
    }

    /// Changes when it expires.
    pub fn set_expires_at(&mut self, expires_at: Option<Millis>) {
        match self {
            Self::Packed(packed) => {
                *packed = Packed::new(packed.key(), packed.text(), expires_at, packed.access());
            }
            Self::Object(object) => object.expires_at = expires_at,
        }
    }

    /// The access clock.
    pub fn access(&self) -> Access {
        match self {
            Self::Packed(packed) => packed.access(),
            Self::Object(object) => object.access,
        }
    }

    /// Sets the access clock; writes only if it differs.
    #[inline]
    pub fn set_access(&mut self, access: Access) {
        if self.access() == access {
            return;
        }
        match self {
            Self::Packed(packed) => packed.set_access(access),
            Self::Object(object) => object.access = access,
        }
    }

    /// Overwrites a packed string of the same length where it stands. `false`: nothing was done.
    pub fn overwrite_text(&mut self, text: &[u8]) -> bool {
        match self {
            Self::Packed(packed) => packed.overwrite(text),
            Self::Object(_) => false,
        }
    }

    /// The string as a growable buffer, unpacking it first. `None` if it is not a string.
    pub fn text_buffer(&mut self) -> Option<&mut Vec<u8>> {
        if let Self::Packed(packed) = self {
            let value = Value::Text(packed.text().to_vec());
            *self = Self::object(packed.key(), value, packed.expires_at(), packed.access());
        }
        match self.as_value_mut() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What OBJECT ENCODING tells strings apart by. `None` if it is not a string.
    pub fn text_kind(&self) -> Option<TextKind> {
        match self {
            Self::Packed(packed) if packed.flags() & FLAG_INTEGER != 0 => Some(TextKind::Integer),
            Self::Packed(_) => Some(TextKind::Plain),
            Self::Object(_) => self.as_text().map(|_| TextKind::Raw),
        }
    }

    /// As in OBJECT ENCODING.
    pub fn encoding(&self) -> &'static str {
        match self.text_kind() {
            Some(TextKind::Integer) => "int",
            Some(TextKind::Plain) if self.as_text().is_some_and(is_embeddable) => "embstr",
            Some(_) => "raw",
            None => self.as_value().map_or("raw", Value::encoding),
        }
    }

    /// As in TYPE.
    pub fn type_name(&self) -> &'static str {
        self.as_value().map_or("string", Value::type_name)
    }

    /// How many allocations its end gives back, about: what LAZYFREE decides by.
    #[inline]
    pub fn parts(&self) -> usize {
        self.as_value().map_or(1, Value::parts)
    }

    /// Bytes on the heap, as the allocator rounds them.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Packed(packed) => allocated(packed.0.len()),
            Self::Object(object) => {
                allocated(size_of::<Object>())
                    + allocated(object.key.len())
                    + object.value.heap_bytes()
            }
        }
    }

    /// The content in a canonical form, to compare states by.
    pub fn describe(&self) -> Description {
        let elements = match self.as_text() {
            Some(text) => alloc::vec![text.to_vec()],
            None => self.as_value().map(described).unwrap_or_default(),
        };
        let times = self.as_hash().into_iter().flat_map(Hash::expiries);
        let mut field_times: Vec<_> = times.map(|(field, at)| (field.to_vec(), at)).collect();
        field_times.sort_unstable();
        let (type_name, expires_at) = (self.type_name(), self.expires_at());
        Description { type_name, expires_at, elements, field_times }
    }

    /// What a client sees of it at `now`, if that is less than there is: without the fields that
    /// are due.
    pub fn without_due_fields(&self, hasher: &Hasher, now: Millis) -> Self {
        let mut seen = self.copy_as(self.key(), self.access());
        seen.remove_due_fields(hasher, now, usize::MAX);
        seen
    }

    /// The same value, expiry and access clock under another key.
    pub fn with_key(self, key: &[u8]) -> Self {
        match self {
            Self::Packed(packed) => {
                Self::Packed(Packed::new(key, packed.text(), packed.expires_at(), packed.access()))
            }
            Self::Object(mut object) => {
                object.key = key.into();
                Self::Object(object)
            }
        }
    }

    /// A copy of the value under another key.
    pub fn copy_as(&self, key: &[u8], access: Access) -> Self {
        match self {
            Self::Packed(packed) => {
                Self::Packed(Packed::new(key, packed.text(), packed.expires_at(), access))
            }
            Self::Object(object) => {
                Self::object(key, object.value.clone(), object.expires_at, access)
            }
        }
    }
}

fn is_embeddable(text: &[u8]) -> bool {
    text.len() <= EMBEDDED_BYTES_MAX
}

fn described(value: &Value) -> Vec<Vec<u8>> {
    let mut all = value.elements();
    all.extend(value.surroundings());
    all
}

/// What an allocator with eight size classes per power of two sets aside for `bytes`.
pub fn allocated(bytes: usize) -> usize {
    if bytes <= 64 {
        return bytes.next_multiple_of(8);
    }
    let class = bytes.next_power_of_two() / 16;
    bytes.next_multiple_of(class.max(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &[u8], text: &[u8], expires_at: Option<Millis>) {
        let mut slot = Slot::text(key, text, expires_at, Access::from_bits(0x0012_3456));
        assert_eq!(slot.key(), key);
        assert_eq!(slot.as_text(), Some(text));
        assert_eq!(slot.expires_at(), expires_at);
        assert_eq!(slot.access().bits(), 0x0012_3456);
        slot.set_expires_at(Some(Millis::new(77)));
        slot.set_access(Access::from_bits(9));
        assert_eq!((slot.key(), slot.as_text()), (key, Some(text)));
        assert_eq!(slot.expires_at(), Some(Millis::new(77)));
        assert_eq!(slot.access().bits(), 9);
        slot.text_buffer().unwrap().push(b'x');
        assert_eq!(slot.as_text().unwrap(), [text, b"x"].concat());
        assert_eq!((slot.key(), slot.expires_at()), (key, Some(Millis::new(77))));
        assert_eq!(slot.encoding(), "raw");
    }

    #[test]
    fn strings_of_all_sizes_read_back() {
        for key_len in [0, 1, 16, 254, 255, 256, 70_000] {
            for text_len in [0, 1, 100, PACKED_BYTES_MAX, PACKED_BYTES_MAX + 1] {
                for expires_at in [None, Some(Millis::new(1 << 41))] {
                    check(&alloc::vec![b'k'; key_len], &alloc::vec![b'v'; text_len], expires_at);
                }
            }
        }
    }

    #[test]
    fn encodings_are_those_of_redis() {
        let encoding = |text: &[u8]| Slot::text(b"k", text, None, Access::default()).encoding();
        assert_eq!(encoding(b"12345"), "int");
        assert_eq!(encoding(b"012345"), "embstr");
        assert_eq!(encoding(&[b'x'; 44]), "embstr");
        assert_eq!(encoding(&[b'x'; 45]), "raw");
    }

    #[test]
    fn a_slot_is_two_words() {
        assert_eq!(size_of::<Slot>(), 16);
    }

    #[test]
    fn overwriting_keeps_the_allocation_and_updates_the_encoding() {
        let mut slot = Slot::text(b"k", b"123", None, Access::default());
        assert!(slot.overwrite_text(b"abc"));
        assert_eq!((slot.as_text(), slot.encoding()), (Some(b"abc".as_slice()), "embstr"));
        assert!(!slot.overwrite_text(b"abcd"));
    }
}
