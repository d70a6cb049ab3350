//! Suggestions for what somebody begins to type: texts with scores, in a tree of their letters.
//!
//! A node knows the best score below it and how near the next text is, so the best suggestions are
//! found without looking at the others. The tree follows from the texts alone, however they came.
//!
//! Invariants: a node other than the root has a text or at least two children; children are in the
//! order of their first letters; `len` and `bytes` are what a recount gives.

use alloc::boxed::Box;
use alloc::vec::Vec;

mod finding;

pub use finding::{Found, Wanted};

/// A letter: its code point, or what stands for a byte that is none.
type Letter = u32;

/// A byte that is not part of a letter is so much more than its value.
const STRAY: Letter = 0x11_0000;

/// Longest text in letters.
const LETTERS_MAX: usize = 255;
/// Longest text in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// Suggestions.
#[derive(Clone, Debug, Default)]
pub struct Suggestions {
    root: Node,
    len: usize,
    bytes: usize,
}

/// What is known of a suggestion beside its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// How good it is.
    pub score: f32,
    /// What comes with it.
    pub payload: Option<Box<[u8]>>,
}

impl Suggestion {
    fn heap_bytes(&self) -> usize {
        self.payload.as_ref().map_or(0, |payload| payload.len())
    }
}

#[derive(Clone, Debug)]
struct Node {
    letters: Box<[Letter]>,
    #[expect(
        clippy::vec_box,
        reason = "a node may have very many children: they must move cheaply"
    )]
    children: Vec<Box<Self>>,
    entry: Option<Suggestion>,
    /// The best score here and below.
    best: f32,
    /// How many letters the nearest text lies below.
    nearest: u16,
}

/// What a text takes with its nodes, about.
const TEXT_BYTES: usize = 2 * size_of::<Node>();

impl Default for Node {
    fn default() -> Self {
        Self {
            letters: Box::default(),
            children: Vec::new(),
            entry: None,
            best: f32::NEG_INFINITY,
            nearest: 0,
        }
    }
}

impl Node {
    fn leaf(letters: &[Letter], entry: Suggestion) -> Self {
        let best = entry.score;
        Self { letters: letters.into(), children: Vec::new(), entry: Some(entry), best, nearest: 0 }
    }

    /// Where the child is, or would be, whose first letter this is.
    fn place(&self, first: Letter) -> Result<usize, usize> {
        self.children.binary_search_by_key(&Some(first), |child| child.letters.first().copied())
    }

    /// Finds out again what it knows of what lies below.
    fn learn(&mut self) {
        let own = self.entry.as_ref().map_or(f32::NEG_INFINITY, |entry| entry.score);
        self.best = self.children.iter().fold(own, |best, child| best.max(child.best));
        let below = |child: &Self| child.nearest.saturating_add(child.letters.len() as u16);
        self.nearest = match self.entry {
            Some(_) => 0,
            None => self.children.iter().map(|child| below(child)).min().unwrap_or(0),
        };
    }

    /// Puts a suggestion where the letters lead from here. Gives what was there.
    fn put(&mut self, letters: &[Letter], entry: Suggestion) -> Option<Suggestion> {
        let Some(first) = letters.first() else {
            let before = self.entry.replace(entry);
            self.learn();
            return before;
        };
        let before = match self.place(*first) {
            Err(place) => {
                self.children.insert(place, Box::new(Self::leaf(letters, entry)));
                None
            }
            Ok(place) => {
                let child = self.children.get_mut(place)?;
                let common = common(&child.letters, letters);
                child.split(common);
                child.put(letters.get(common..).unwrap_or_default(), entry)
            }
        };
        self.learn();
        before
    }

    /// Lets what lies behind so many of its letters be a child.
    fn split(&mut self, at: usize) {
        let Some((before, behind)) = self.letters.split_at_checked(at) else { return };
        if behind.is_empty() {
            return;
        }
        let (before, behind): (Box<[Letter]>, Box<[Letter]>) = (before.into(), behind.into());
        let lower = Self { letters: behind, ..core::mem::take(self) };
        self.letters = before;
        self.children.push(Box::new(lower));
        self.learn();
    }

    /// Takes out the suggestion where the letters lead from here.
    fn take(&mut self, letters: &[Letter]) -> Option<Suggestion> {
        let Some(first) = letters.first() else {
            let taken = self.entry.take()?;
            self.learn();
            return Some(taken);
        };
        let place = self.place(*first).ok()?;
        let child = self.children.get_mut(place)?;
        let taken = child.take(letters.strip_prefix(&*child.letters)?)?;
        if child.entry.is_none() {
            match child.children.len() {
                0 => drop(self.children.remove(place)),
                1 => child.join(),
                _ => {}
            }
        }
        self.learn();
        Some(taken)
    }

    /// Becomes one with its only child.
    fn join(&mut self) {
        let Some(child) = self.children.pop() else { return };
        let letters = [&*self.letters, &*child.letters].concat();
        *self = Self { letters: letters.into(), ..*child };
    }

    fn find(&self, letters: &[Letter]) -> Option<&Suggestion> {
        let Some(first) = letters.first() else { return self.entry.as_ref() };
        let child = self.children.get(self.place(*first).ok()?)?;
        child.find(letters.strip_prefix(&*child.letters)?)
    }

    fn nodes(&self) -> usize {
        1 + self.children.iter().map(|child| child.nodes()).sum::<usize>()
    }

    fn each(&self, path: &mut Vec<Letter>, show: &mut dyn FnMut(&[u8], &Suggestion)) {
        path.extend_from_slice(&self.letters);
        if let Some(entry) = &self.entry {
            show(&text(path), entry);
        }
        self.children.iter().for_each(|child| child.each(path, show));
        path.truncate(path.len() - self.letters.len());
    }

    fn check(&self, is_root: bool) {
        assert!(is_root || self.entry.is_some() || self.children.len() > 1, "no node for nothing");
        assert!(is_root == self.letters.is_empty(), "all but the root have letters");
        let firsts: Vec<_> = self.children.iter().map(|child| child.letters.first()).collect();
        assert!(firsts.is_sorted_by(|one, next| one < next), "children in order");
        let mut again = Self { children: self.children.clone(), ..self.clone() };
        again.learn();
        assert_eq!((again.best, again.nearest), (self.best, self.nearest), "what lies below");
        self.children.iter().for_each(|child| child.check(false));
    }
}

/// How many letters both begin with.
fn common(one: &[Letter], other: &[Letter]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// A text as its letters.
fn letters(text: &[u8]) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        letters.extend(chunk.valid().chars().map(Letter::from));
        letters.extend(chunk.invalid().iter().map(|byte| STRAY + Letter::from(*byte)));
    }
    letters
}

/// Letters as the text that they were.
fn text(letters: &[Letter]) -> Vec<u8> {
    let mut text = Vec::with_capacity(letters.len());
    for letter in letters {
        match char::from_u32(*letter) {
            Some(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            None => text.push((letter & 0xff) as u8),
        }
    }
    text
}

impl Suggestions {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes on the heap, about.
    pub fn heap_bytes(&self) -> usize {
        self.bytes
    }

    /// How many allocations its end gives back, about.
    pub fn parts(&self) -> usize {
        2 * self.len
    }

    /// Whether a text can be suggested: one that is empty or very long cannot.
    pub fn is_fit(text: &[u8]) -> bool {
        let is_short = |text: &[u8]| text.utf8_chunks().fold(0, letters_of) <= LETTERS_MAX;
        !text.is_empty() && text.len() <= TEXT_BYTES_MAX && is_short(text)
    }

    /// What is known of a text.
    pub fn get(&self, text: &[u8]) -> Option<&Suggestion> {
        self.root.find(&letters(text)).filter(|_| Self::is_fit(text))
    }

    /// Puts a text there, which must be fit. Gives what was known of it.
    pub fn put(&mut self, text: &[u8], entry: Suggestion) -> Option<Suggestion> {
        debug_assert!(Self::is_fit(text), "what is not fit is not kept");
        self.bytes += entry.heap_bytes();
        let letters = letters(text);
        let before = self.root.put(&letters, entry);
        match &before {
            Some(before) => self.bytes -= before.heap_bytes(),
            None => {
                self.len += 1;
                self.bytes += TEXT_BYTES + size_of_val(letters.as_slice());
            }
        }
        before
    }

    /// Takes a text out. Gives what was known of it.
    pub fn take(&mut self, text: &[u8]) -> Option<Suggestion> {
        if !Self::is_fit(text) {
            return None;
        }
        let letters = letters(text);
        let taken = self.root.take(&letters)?;
        self.len -= 1;
        self.bytes -= TEXT_BYTES + size_of_val(letters.as_slice()) + taken.heap_bytes();
        Some(taken)
    }

    /// Shows all texts in order.
    pub fn each(&self, show: &mut dyn FnMut(&[u8], &Suggestion)) {
        self.root.each(&mut Vec::new(), show);
    }

    /// Recounts what it claims about itself; panics on a contradiction.
    pub fn check(&self) {
        let (mut len, mut bytes) = (0, 0);
        self.each(&mut |text, entry| {
            len += 1;
            bytes += TEXT_BYTES + size_of_val(letters(text).as_slice()) + entry.heap_bytes();
            assert_eq!(self.get(text), Some(entry), "found by its text");
        });
        assert_eq!((self.len, self.bytes), (len, bytes), "count and bytes");
        assert!(self.root.nodes() <= 2 * len + 1, "no more nodes than texts need");
        self.root.check(true);
    }
}

fn letters_of(sum: usize, chunk: core::str::Utf8Chunk<'_>) -> usize {
    sum + chunk.valid().chars().count() + chunk.invalid().len()
}
