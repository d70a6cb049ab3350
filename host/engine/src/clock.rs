//! Time as the engine sees it: a number that the host hands in. Nothing here reads a clock.

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(u64);

impl Millis {
    /// A point in time.
    pub const fn new(ms: u64) -> Self {
        Self(ms)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to here, 0 if it is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }
}
