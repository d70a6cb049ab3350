//! What one directive is: its names, the kind of its value, its default, when it may change and
//! whether Reef does anything with it.
//!
//! Invariant: a [`Directive`] is data only. Reading values of a kind lives in `value.rs`, the list
//! of directives in `table.rs`.

/// How the value of a directive is written, checked and shown.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A whole number within bounds.
    Integer {
        /// Smallest accepted value.
        min: i64,
        /// Largest accepted value.
        max: i64,
    },
    /// A number of bytes such as `100mb` within bounds.
    Memory {
        /// Smallest accepted number of bytes.
        min: u64,
        /// Largest accepted number of bytes.
        max: u64,
    },
    /// A number of bytes, or a share of `maxmemory` such as `5%`.
    MemoryOrPercent,
    /// A file mode in octal digits.
    Octal {
        /// Largest accepted value.
        max: i64,
    },
    /// A power of two from 1 to a largest value.
    PowerOfTwo {
        /// Largest accepted value.
        max: i64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any of these words together; the first one means "none of the others".
    Switches(&'static [&'static str]),
    /// Any bytes that the rule accepts; the rule answers with the reason of a refusal.
    Text(fn(&[u8]) -> Result<(), &'static str>),
    /// The working folder: it must exist, and is shown as an absolute path.
    Folder,
    /// Network addresses, at most so many.
    Addresses {
        /// Most addresses in one list.
        max: usize,
    },
    /// Pairs of seconds and changes that trigger a snapshot.
    Save,
    /// Limits of the output buffers, by class of client.
    BufferLimits,
    /// Classes of keyspace events as letters.
    Events,
    /// Three numbers for the out-of-memory killer of Linux.
    OomScores,
    /// Percentiles from 0 to 100.
    Percentiles,
    /// `host port` of the primary, or nothing.
    Primary,
    /// A line of its own structure that may be given many times, such as `plugin` and `user`.
    Collected,
}

impl Kind {
    /// Whether the value is a list of words: then one quoted argument is split at its spaces.
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::Switches(_)
                | Self::Addresses { .. }
                | Self::Save
                | Self::BufferLimits
                | Self::OomScores
                | Self::Percentiles
                | Self::Primary
        )
    }
}

/// When a directive may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At any time, by `CONFIG SET`.
    Runtime,
    /// Only before the start.
    Start,
    /// Only before the start too, but to say again what it is already is no error: Redis changes
    /// such a directive at any time or has none of the name, and some clients write back all that
    /// `CONFIG GET *` showed.
    Settled,
    /// By `CONFIG SET` if `enable-protected-configs` allows it to this client.
    Protected,
}

/// What Reef does with a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It has its effect.
    Applied,
    /// It is stored and shown, and named in a warning when somebody gives it. The text, which may
    /// be empty, says why it has no effect.
    Ignored(&'static str),
    /// Only the default is accepted, because a client would be misled by anything else. The text
    /// says why.
    DefaultOnly(&'static str),
    /// It stops the start. The text says what to do instead.
    Refused(&'static str),
}

/// One directive.
#[derive(Debug, Clone, Copy)]
pub struct Directive {
    /// The name, in lower case.
    pub name: &'static str,
    /// A second name that `CONFIG GET` shows too (`slave-priority` for `replica-priority`).
    pub twin: Option<&'static str>,
    /// A second name that is understood and not listed (`max-clients` for `maxclients`).
    pub alias: Option<&'static str>,
    /// How the value is written.
    pub kind: Kind,
    /// The default as it would stand in a file.
    pub default: &'static str,
    /// When it may change.
    pub when: When,
    /// What Reef does with it.
    pub role: Role,
    /// Accepted numbers outside of these bounds are moved to the nearer one.
    pub clamp: Option<(u64, u64)>,
    /// Shown by `CONFIG GET` only when asked for by its exact name.
    pub hidden: bool,
    /// The value is a secret: logs must not show it.
    pub sensitive: bool,
}

impl Directive {
    /// A directive that is applied and may change at any time.
    pub const fn new(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self {
            name,
            twin: None,
            alias: None,
            kind,
            default,
            when: When::Runtime,
            role: Role::Applied,
            clamp: None,
            hidden: false,
            sensitive: false,
        }
    }

    /// The same, fixed after the start.
    pub const fn fixed(mut self) -> Self {
        self.when = When::Start;
        self
    }

    /// The same, fixed after the start, where Redis would not refuse.
    pub const fn settled(mut self) -> Self {
        self.when = When::Settled;
        self
    }

    /// The same, changeable only where `enable-protected-configs` allows.
    pub const fn protected(mut self) -> Self {
        self.when = When::Protected;
        self
    }

    /// The same, with a second name that is listed.
    pub const fn twin(mut self, name: &'static str) -> Self {
        self.twin = Some(name);
        self
    }

    /// The same, with a second name that is not listed.
    pub const fn alias(mut self, name: &'static str) -> Self {
        self.alias = Some(name);
        self
    }

    /// The same, without effect.
    pub const fn ignored(mut self, why: &'static str) -> Self {
        self.role = Role::Ignored(why);
        self
    }

    /// The same, accepting only its default.
    pub const fn default_only(mut self, why: &'static str) -> Self {
        self.role = Role::DefaultOnly(why);
        self
    }

    /// The same, refused.
    pub const fn refused(mut self, instead: &'static str) -> Self {
        self.role = Role::Refused(instead);
        self
    }

    /// The same, with accepted numbers moved into these bounds.
    pub const fn clamped(mut self, min: u64, max: u64) -> Self {
        self.clamp = Some((min, max));
        self
    }

    /// The same, unlisted.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// The same, secret.
    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Whether it may stand on many lines that add up to a list.
    pub const fn is_collected(&self) -> bool {
        matches!(self.kind, Kind::Collected)
    }
}
