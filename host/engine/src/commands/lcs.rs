//! LCS: the longest common subsequence of two strings, and where it lies in them.

use alloc::vec::Vec;

use crate::args::Args;
use crate::error::Error;
use crate::step::Cx;

#[derive(Default)]
struct LcsOptions {
    len_only: bool,
    matches: bool,
    match_len_min: i64,
    with_match_len: bool,
}

pub(super) fn lcs(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    for key in Args::clone(args).many(2)? {
        cx.keys.read(key);
    }
    let text = |key: &[u8]| match cx.keys.peek(key).map(|slot| slot.as_text()) {
        Some(None) => Err(Error::LcsWrongType),
        Some(Some(text)) => Ok(text),
        None => Ok(&[][..]),
    };
    let (first, second) = (args.bytes()?, args.bytes()?);
    let (first, second) = (text(first)?, text(second)?);
    let mut options = LcsOptions::default();
    while !args.is_done() {
        match args.one_of(&["IDX", "LEN", "WITHMATCHLEN", "MINMATCHLEN"]) {
            Some(0) => options.matches = true,
            Some(1) => options.len_only = true,
            Some(2) => options.with_match_len = true,
            Some(_) => options.match_len_min = args.integer()?.max(0),
            None => return Err(Error::Syntax),
        }
    }
    if options.matches && options.len_only {
        return Err(Error::LcsIdxAndLen);
    }
    let table = LcsTable::new(first, second)?;
    if options.len_only {
        cx.reply.integer(i64::from(table.len()));
    } else if options.matches {
        say_matches(cx.reply, &table, &options);
    } else {
        cx.reply.bulk(&table.text());
    }
    Ok(())
}

/// Lengths of the longest common subsequence of every pair of prefixes.
struct LcsTable<'a> {
    first: &'a [u8],
    second: &'a [u8],
    lengths: Vec<u32>,
}

/// Ranges (both ends included) that match: start and end in the first and in the second string.
struct LcsMatch {
    first: (usize, usize),
    second: (usize, usize),
}

impl<'a> LcsTable<'a> {
    /// Most cells that a table may have: 512 MiB of memory.
    const CELLS_MAX: usize = 128 * 1024 * 1024;

    fn new(first: &'a [u8], second: &'a [u8]) -> Result<Self, Error> {
        let width = second.len() + 1;
        let cells = (first.len() + 1).saturating_mul(width);
        if cells > Self::CELLS_MAX {
            return Err(Error::LcsTooLarge);
        }
        let mut lengths = alloc::vec![0; cells];
        for (i, a) in first.iter().enumerate() {
            for (j, b) in second.iter().enumerate() {
                let at = (i + 1) * width + j + 1;
                lengths[at] = if a == b {
                    lengths[at - width - 1] + 1
                } else {
                    lengths[at - width].max(lengths[at - 1])
                };
            }
        }
        Ok(Self { first, second, lengths })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.lengths[i * (self.second.len() + 1) + j]
    }

    fn len(&self) -> u32 {
        self.at(self.first.len(), self.second.len())
    }

    /// Walks the subsequence from its end; `visit` gets the positions of each common byte.
    fn walk(&self, mut visit: impl FnMut(usize, usize)) {
        let (mut i, mut j) = (self.first.len(), self.second.len());
        while i > 0 && j > 0 {
            if self.first[i - 1] == self.second[j - 1] {
                visit(i - 1, j - 1);
                (i, j) = (i - 1, j - 1);
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len() as usize);
        self.walk(|i, _| text.push(self.first[i]));
        text.reverse();
        text
    }

    fn matches(&self) -> Vec<LcsMatch> {
        let mut matches: Vec<LcsMatch> = Vec::new();
        self.walk(|i, j| match matches.last_mut() {
            Some(last) if last.first.0 == i + 1 && last.second.0 == j + 1 => {
                (last.first.0, last.second.0) = (i, j);
            }
            _ => matches.push(LcsMatch { first: (i, i), second: (j, j) }),
        });
        matches
    }
}

fn say_matches(reply: &mut reef_resp::Writer, table: &LcsTable<'_>, options: &LcsOptions) {
    let mut matches = table.matches();
    let len = |found: &LcsMatch| (found.first.1 - found.first.0 + 1) as i64;
    matches.retain(|found| len(found) >= options.match_len_min);
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.len());
    for found in &matches {
        reply.array(if options.with_match_len { 3 } else { 2 });
        for (start, end) in [found.first, found.second] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer(end as i64);
        }
        if options.with_match_len {
            reply.integer(len(found));
        }
    }
    reply.bulk(b"len");
    reply.integer(i64::from(table.len()));
}
