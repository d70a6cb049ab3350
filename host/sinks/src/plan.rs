//! What a planner has made of a batch of events, in columns: verdicts, changes, values and all their
//! bytes in one piece each, because a batch has thousands of them.

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this many changes: the next ones of the plan.
    Apply(u32),
    /// It is no change of any row.
    Skip,
    /// It cannot be applied: a dead letter with this reason.
    Reject(String),
}

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// The row with this key has these values from now on; in a ledger, there is a row more.
    Upsert,
    /// The row with this key is gone.
    Delete,
    /// There was a row with this key, it is gone, and this is another one. Planners need not say so: it
    /// is what becomes of a deletion that is followed by an upsert.
    Replace,
}

/// Verdicts on events in their order, and changes of rows.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    verdicts: Vec<Verdict>,
    changes: Vec<Change>,
    values: Vec<Value>,
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    table: u32,
    verb: Verb,
    first: u32,
    count: u32,
}

/// Where a value's bytes are; NULL has the greatest length.
#[derive(Clone, Copy, Debug)]
struct Value {
    start: usize,
    len: usize,
}

const NULL: usize = usize::MAX;

/// A change of a plan.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRef<'a> {
    /// The index of its table.
    pub table: usize,
    /// What is done.
    pub verb: Verb,
    values: &'a [Value],
    data: &'a [u8],
}

impl<'a> ChangeRef<'a> {
    /// How many values there are.
    pub fn width(&self) -> usize {
        self.values.len()
    }

    /// The value of a column, or NULL.
    pub fn value(&self, column: usize) -> Option<&'a [u8]> {
        let value = self.values.get(column)?;
        if value.len == NULL {
            return None;
        }
        self.data.get(value.start..)?.get(..value.len)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let change = *self;
        (0..change.width()).map(move |column| change.value(column))
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.values.iter().filter(|value| value.len != NULL).map(|value| value.len).sum()
    }
}

impl Plan {
    /// A plan for nothing yet, with room for `events` of `bytes` in all.
    pub fn with_capacity(events: usize, bytes: usize) -> Self {
        Self {
            verdicts: Vec::with_capacity(events),
            changes: Vec::with_capacity(events),
            values: Vec::with_capacity(events * 2),
            data: Vec::with_capacity(bytes),
        }
    }

    /// The next event is these changes: to be followed by that many of [`Plan::change`].
    pub fn apply(&mut self, changes: u32) {
        self.verdicts.push(Verdict::Apply(changes));
    }

    /// The next event is no change.
    pub fn skip(&mut self) {
        self.verdicts.push(Verdict::Skip);
    }

    /// The next event is a dead letter.
    pub fn reject(&mut self, reason: impl Into<String>) {
        self.verdicts.push(Verdict::Reject(reason.into()));
    }

    /// A change of the event that was told of last.
    pub fn change<'v>(
        &mut self,
        table: usize,
        verb: Verb,
        values: impl IntoIterator<Item = Option<&'v [u8]>>,
    ) {
        let first = self.values.len() as u32;
        for value in values {
            self.push_value(value);
        }
        let count = self.values.len() as u32 - first;
        self.changes.push(Change { table: table as u32, verb, first, count });
    }

    fn push_value(&mut self, value: Option<&[u8]>) {
        let start = self.data.len();
        match value {
            Some(bytes) => {
                self.data.extend_from_slice(bytes);
                self.values.push(Value { start, len: bytes.len() });
            }
            None => self.values.push(Value { start, len: NULL }),
        }
    }

    /// Verdicts, one for each event.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether there is no change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// All changes in their order.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = ChangeRef<'_>> {
        self.changes.iter().map(|change| self.seen(*change))
    }

    /// The change at an index; there must be one.
    pub fn at(&self, index: usize) -> ChangeRef<'_> {
        self.seen(self.changes[index])
    }

    fn seen(&self, change: Change) -> ChangeRef<'_> {
        ChangeRef {
            table: change.table as usize,
            verb: change.verb,
            values: &self.values[change.first as usize..(change.first + change.count) as usize],
            data: &self.data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_gives_back_what_was_put_in() {
        let mut plan = Plan::default();
        plan.apply(2);
        plan.change(0, Verb::Upsert, [Some(&b"a"[..]), None, Some(b"")]);
        plan.change(3, Verb::Delete, [Some(&b"key"[..])]);
        plan.skip();
        plan.reject("no");
        assert_eq!(
            plan.verdicts(),
            [Verdict::Apply(2), Verdict::Skip, Verdict::Reject("no".to_owned())]
        );
        let first: Vec<_> = plan.at(0).values().collect();
        assert_eq!(first, [Some(&b"a"[..]), None, Some(b"")]);
        let second = plan.at(1);
        assert_eq!(
            (second.table, second.verb, second.value(0)),
            (3, Verb::Delete, Some(&b"key"[..]))
        );
        assert_eq!(second.value(1), None);
        assert_eq!((plan.len(), plan.bytes(), plan.at(0).bytes()), (2, 4, 1));
    }
}
