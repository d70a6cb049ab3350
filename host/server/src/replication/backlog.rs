//! The latest part of the stream that replicas are told, in blocks.
//!
//! A position is the number of bytes before it in the stream, from the beginning of its history. What
//! a replica still needs stays, and so does the amount that is kept for those who come back.

use std::collections::VecDeque;

/// Bytes of a block.
const BLOCK_BYTES: usize = 16 * 1024;

/// The latest part of a stream.
#[derive(Debug)]
pub(crate) struct Backlog {
    blocks: VecDeque<Vec<u8>>,
    /// The position of the first byte that is there.
    start: u64,
    end: u64,
}

impl Backlog {
    /// An empty part that begins at a position.
    pub(crate) fn new(position: u64) -> Self {
        Self { blocks: VecDeque::new(), start: position, end: position }
    }

    /// The position of the first byte that is there.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The position behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes that are there.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Appends to the stream.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|block| block.len() == BLOCK_BYTES) {
                self.blocks.push_back(Vec::with_capacity(BLOCK_BYTES));
            }
            let Some(block) = self.blocks.back_mut() else { return };
            let (here, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - block.len()));
            block.extend_from_slice(here);
            bytes = rest;
        }
    }

    /// Appends what stands at `position` to `out`, at most `bytes_max` of it. `false`: it is no
    /// longer there.
    pub(crate) fn read(&self, position: u64, bytes_max: usize, out: &mut Vec<u8>) -> bool {
        if position < self.start || position > self.end {
            return false;
        }
        let offset = (position - self.start) as usize;
        let (mut index, mut at, mut left) = (offset / BLOCK_BYTES, offset % BLOCK_BYTES, bytes_max);
        while left > 0
            && let Some(block) = self.blocks.get(index)
        {
            let part = &block[at..block.len().min(at + left)];
            out.extend_from_slice(part);
            left -= part.len();
            (index, at) = (index + 1, 0);
        }
        true
    }

    /// Lets whole blocks go that nobody needs: all but the last `kept` bytes, and what comes from
    /// `needed` on.
    pub(crate) fn trim(&mut self, kept: u64, needed: Option<u64>) {
        let keep_from = self.end.saturating_sub(kept).min(needed.unwrap_or(u64::MAX));
        while self.start + BLOCK_BYTES as u64 <= keep_from && self.blocks.pop_front().is_some() {
            self.start += BLOCK_BYTES as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_from_wherever_it_still_is() {
        let byte = |position: u64| (position.wrapping_mul(31) >> 3) as u8;
        let mut backlog = Backlog::new(1000);
        let mut position = 1000;
        for round in 0..2000_u64 {
            let len = round * 37 % 900;
            let bytes: Vec<u8> = (position..position + len).map(byte).collect();
            backlog.push(&bytes);
            position += len;
            backlog.trim(200_000, (round > 1000).then_some(300_000));
        }
        assert_eq!(backlog.end(), position);
        assert!(backlog.start() <= 300_000 && backlog.start() + BLOCK_BYTES as u64 > 300_000);
        for from in (backlog.start()..=position).step_by(7919) {
            let mut out = Vec::new();
            assert!(backlog.read(from, 100_000, &mut out));
            assert_eq!(out.len() as u64, (position - from).min(100_000));
            assert!((from..).zip(&out).all(|(at, found)| byte(at) == *found));
        }
        let mut out = Vec::new();
        assert!(!backlog.read(backlog.start() - 1, 1, &mut out));
        assert!(!backlog.read(position + 1, 1, &mut out));
        backlog.trim(0, None);
        assert!(backlog.len() < BLOCK_BYTES as u64 && backlog.end() == position);
    }
}
