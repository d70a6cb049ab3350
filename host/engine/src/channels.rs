//! Where the channels of a publish/subscribe command are among its arguments, for whoever has to
//! know whether a user may use them.

use reef_resp::Argv;

/// Which arguments are channels that a command publishes or subscribes to. Leaving a channel is
/// free to all, so commands that do only that have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channels {
    /// None.
    #[default]
    None,
    /// The first argument is published to.
    First,
    /// All arguments are subscribed to.
    All,
    /// All arguments are patterns that are subscribed to.
    Patterns,
}

impl Channels {
    /// The positions of the channels.
    pub fn positions(self, argv: Argv<'_>) -> impl Iterator<Item = usize> {
        match self {
            Self::None => 1..1,
            Self::First => 1..argv.len().min(2),
            Self::All | Self::Patterns => 1..argv.len(),
        }
    }

    /// Whether they are patterns.
    pub fn are_patterns(self) -> bool {
        self == Self::Patterns
    }
}
