//! A connection's bytes that were received but do not make a whole command yet.
//!
//! Empty for an idle connection: a worker reads into a buffer of its own first, and only the rest
//! of an incomplete command is kept here. Large arguments are received straight into this buffer.

/// Received bytes between commands' boundaries.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// All of it is initialised; the first `filled` bytes were received.
    bytes: Vec<u8>,
    filled: usize,
}

impl Input {
    /// What was received.
    pub(crate) fn received(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Keeps bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.filled);
        self.bytes.extend_from_slice(bytes);
        self.filled = self.bytes.len();
    }

    /// Room to receive into: at least `missing` bytes, or whatever is free.
    pub(crate) fn room(&mut self, missing: usize) -> &mut [u8] {
        const ROOM_MIN: usize = 16 * 1024;
        // An announced length is believed as far as bytes have really come.
        let wanted = self.filled + missing.clamp(ROOM_MIN, self.filled.max(ROOM_MIN));
        if self.bytes.len() < wanted {
            self.bytes.reserve(wanted - self.bytes.len());
            self.bytes.resize(wanted, 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// Counts bytes that were received into [`room`](Self::room).
    pub(crate) fn received_more(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.bytes.len());
    }

    /// Drops the first `count` bytes, and the buffer with the last.
    pub(crate) fn consume(&mut self, count: usize) {
        if count >= self.filled {
            *self = Self::default();
        } else if count > 0 {
            self.bytes.copy_within(count..self.filled, 0);
            self.filled -= count;
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
        input.room(10)[..2].copy_from_slice(b"de");
        input.received_more(2);
        assert_eq!(input.received(), b"abcde");
        input.consume(2);
        assert_eq!(input.received(), b"cde");
        input.append(b"f");
        assert_eq!(input.received(), b"cdef");
        input.consume(4);
        assert!(input.is_empty());
        assert_eq!(input.heap_bytes(), 0);
    }
}
