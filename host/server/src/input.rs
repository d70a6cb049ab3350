//! A connection's bytes that were received but do not make a whole command yet.
//!
//! Empty for an idle connection: a worker reads into a buffer of its own first, and only the rest
//! of an incomplete command is kept here. Large arguments are received straight into this buffer.

/// For how many bytes there is room at once when a command announces them, although none has come yet:
/// what is not filled is no memory.
const BELIEVED_BYTES: usize = 2 * 1024 * 1024;

/// Received bytes between commands' boundaries.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
}

impl Input {
    /// What was received.
    pub(crate) fn received(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Keeps bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Where to receive behind that. There is room for `missing` bytes, as far as they are believed, and
    /// for some in any case.
    pub(crate) fn with_room(&mut self, missing: usize) -> &mut Vec<u8> {
        const ROOM_MIN: usize = 16 * 1024;
        // Beyond that as far as bytes have really come.
        let believed = self.bytes.len().max(BELIEVED_BYTES);
        self.bytes.reserve_exact(missing.clamp(ROOM_MIN, believed));
        &mut self.bytes
    }

    /// Drops the first `count` bytes, and the buffer with the last.
    pub(crate) fn consume(&mut self, count: usize) {
        if count >= self.bytes.len() {
            *self = Self::default();
        } else {
            self.bytes.drain(..count);
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_order_and_an_empty_input_holds_no_memory() {
        let mut input = Input::default();
        input.append(b"abc");
        input.with_room(10).extend_from_slice(b"de");
        assert_eq!(input.received(), b"abcde");
        input.consume(2);
        assert_eq!(input.received(), b"cde");
        input.append(b"f");
        assert_eq!(input.received(), b"cdef");
        input.consume(4);
        assert!(input.is_empty());
        assert_eq!(input.heap_bytes(), 0);
    }

    #[test]
    fn what_is_only_announced_takes_little() {
        let mut input = Input::default();
        assert!(input.with_room(1 << 40).capacity() <= BELIEVED_BYTES);
        input.append(&vec![0; 2 * BELIEVED_BYTES]);
        assert!(input.with_room(1 << 40).capacity() <= 4 * BELIEVED_BYTES);
    }
}
