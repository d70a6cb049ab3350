//! A connection's bytes that were received but do not make a whole command yet.
//!
//! Empty for an idle connection: a worker reads into a buffer of its own first, and only the rest
//! of an incomplete command is kept here. Large arguments are received straight into this buffer.

/// Room for what a command announces is made for so many times the bytes that have really come.
const BELIEVED_TIMES: usize = 16;
/// Room that there is in any case.
const ROOM_MIN: usize = 16 * 1024;

/// Received bytes between commands' boundaries.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// The most that was in it: what was never filled is no memory.
    filled_most: usize,
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

    /// Where to receive behind that. There is room for `missing` bytes, as far as they are believed. It is
    /// made anew only when little is left: the bytes that are there have to move.
    pub(crate) fn with_room(&mut self, missing: usize) -> &mut Vec<u8> {
        let room = self.bytes.capacity() - self.bytes.len();
        if room < missing.clamp(1, ROOM_MIN) {
            let believed = ROOM_MIN.max(BELIEVED_TIMES * self.bytes.len());
            self.bytes.reserve_exact(missing.clamp(ROOM_MIN, believed));
        }
        &mut self.bytes
    }

    /// Drops the first `count` bytes, and the buffer with the last.
    pub(crate) fn consume(&mut self, count: usize) {
        self.filled_most = self.heap_bytes();
        if count >= self.bytes.len() {
            *self = Self::default();
        } else {
            self.bytes.drain(..count);
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.filled_most.max(self.bytes.len())
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
        assert!(input.with_room(1 << 40).capacity() <= ROOM_MIN);
        input.append(&[0; 4 * ROOM_MIN]);
        assert!(input.with_room(1 << 40).capacity() <= (1 + BELIEVED_TIMES) * 4 * ROOM_MIN);
        assert_eq!(input.heap_bytes(), 4 * ROOM_MIN);
        input.consume(3 * ROOM_MIN);
        assert_eq!(input.heap_bytes(), 4 * ROOM_MIN, "it still has what was filled");
    }

    #[test]
    fn large_arguments_that_come_piece_by_piece_move_a_few_times_only() {
        const PIECE: [u8; ROOM_MIN] = [0; ROOM_MIN];
        let (mut input, mut moves, mut missing) = (Input::default(), 0, 64 << 20);
        while missing > 0 {
            let before = input.bytes.capacity();
            input.with_room(missing).extend_from_slice(&PIECE);
            moves += usize::from(input.bytes.capacity() != before);
            missing -= PIECE.len();
        }
        assert!(moves <= 5, "{moves}");
    }
}
