//! The thread of one partition: claims it, commits what the reader has planned, and sees to it that
//! nothing is skipped, whatever the database does.
//!
//! A batch that the database refuses is halved until the event is alone that it will not have; that
//! one becomes a dead letter, in a commit of its own place in the order. After a doubtful end of a commit
//! the partition is claimed again, which waits for what is left of the old connection: then the
//! position tells whether it was committed.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use crate::backoff::Backoff;
use crate::board::{Board, Partition};
use crate::coalesce::Rows;
use crate::dead_letter::DeadLetter;
use crate::event::StreamId;
use crate::plan::{ChangeRef, Verdict};
use crate::settings::Settings;
use crate::status::{Counts, State};
use crate::table::Table;
use crate::target::{Batch, Claim, Logged, Outcome, Target, TargetFault};
use crate::work::{Item, Settled, Work};

/// How many dead letters are read at once.
const LETTERS_PAGE: usize = 1_000;

/// How long a queue is watched before the thread looks whether it still has a connection.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) struct Committer {
    pub(crate) index: usize,
    pub(crate) board: Arc<Board>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tables: Arc<[Table]>,
    pub(crate) target: Box<dyn Target>,
    pub(crate) claim: Claim,
}

/// Why a committer ends.
#[derive(Debug, PartialEq, Eq)]
enum Halt {
    Stop,
    Fenced,
}

/// Part of a batch.
struct Piece {
    items: std::ops::Range<usize>,
    dead: Option<Verdicted>,
}

/// Its only event is to be a dead letter.
#[derive(Clone)]
struct Verdicted {
    reason: String,
    /// Without its image, because the database does not take that either.
    bare: bool,
}

/// The most bytes of a document's id in a dead letter that is kept without its image.
const BARE_DOCUMENT_BYTES: usize = 1_000;

/// A batch as it goes to the database.
struct Drafted<'a> {
    rows: Rows<'a>,
    log: Vec<Logged<'a>>,
    letters: Vec<DeadLetter>,
    settled: Vec<StreamId>,
    to: StreamId,
    added: u64,
    totals: Counts,
}

/// What became of a piece.
enum Settlement {
    Done,
    /// So many of its events that are not skipped are kept, the first ones.
    Part(u64),
    /// The database will not have it.
    Refused(String),
}

/// What a new claim says about a batch.
enum Found {
    All,
    Nothing,
    Part(Claim),
}

impl Committer {
    /// Runs until the pipeline stops or another host has the partition. `mirrored` says which dead
    /// letters were reported by earlier runs.
    pub(crate) fn run(mut self, mirrored: StreamId) {
        let halt = match self.establish(mirrored) {
            Ok(()) => loop {
                if let Err(halt) = self.round() {
                    break halt;
                }
            },
            Err(halt) => halt,
        };
        self.update(|partition| {
            partition.halted = true;
            partition.under_way = None;
            partition.queue.clear();
            let fenced = halt == Halt::Fenced;
            partition.condition.set(if fenced { State::Fenced } else { State::Stopped });
        });
    }

    /// Gets to the database and claims the partition.
    fn establish(&mut self, mirrored: StreamId) -> Result<(), Halt> {
        self.claim = self.insist(|committer| {
            committer.target.prepare()?;
            committer.target.claim(false)
        })?;
        let mut after = mirrored;
        loop {
            let page =
                self.insist(|committer| committer.target.dead_letters(after, LETTERS_PAGE))?;
            let Some(last) = page.last() else { break };
            after = last.event.id;
            self.update(|partition| partition.letters.extend(page));
        }
        let claim = self.claim;
        self.update(|partition| partition.claim = Some(claim));
        Ok(())
    }

    /// Tries until it succeeds, with the trouble on the board.
    fn insist<R>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<R, TargetFault>,
    ) -> Result<R, Halt> {
        let mut backoff = Backoff::new(self.settings.backoff_max);
        loop {
            match attempt(self) {
                Ok(result) => {
                    self.update(|partition| partition.condition.set(State::Running));
                    return Ok(result);
                }
                Err(TargetFault::Fenced) => return Err(Halt::Fenced),
                Err(TargetFault::Down(reason)) => self.trouble(&reason, false, &mut backoff)?,
                Err(TargetFault::Drift(reason)) => self.trouble(&reason, true, &mut backoff)?,
            }
        }
    }

    /// Says what is wrong and waits.
    fn trouble(&mut self, reason: &str, paused: bool, backoff: &mut Backoff) -> Result<(), Halt> {
        if backoff.attempts() == 0 {
            tracing::warn!(
                pipeline = self.settings.name,
                partition = self.index,
                reason,
                "sink waits"
            );
        }
        self.update(|partition| {
            partition.retries += 1;
            if paused {
                partition.condition.set(State::Paused { reason: reason.to_owned() });
            } else {
                partition.condition.down(reason);
            }
        });
        if self.board.stops() {
            return Err(Halt::Stop);
        }
        self.board.pause(backoff.next());
        if self.board.stops() { Err(Halt::Stop) } else { Ok(()) }
    }

    fn update<R>(&self, change: impl FnOnce(&mut Partition) -> R) -> R {
        self.board.change(|sheet| change(&mut sheet.partitions[self.index]))
    }

    /// Takes what has gathered and commits it.
    fn round(&mut self) -> Result<(), Halt> {
        let index = self.index;
        let events_max = self.settings.batch_events_max;
        let taken = self.board.wait(IDLE, |sheet| {
            if sheet.stop {
                return Some(Vec::new());
            }
            let partition = &mut sheet.partitions[index];
            let mut taken: Vec<Work> = Vec::new();
            let mut events = 0;
            while let Some(next) = partition.queue.front() {
                let alone = next.done.is_some() || taken.last().is_some_and(|w| w.done.is_some());
                if !taken.is_empty() && (alone || events + next.picks.len() > events_max) {
                    break;
                }
                events += next.picks.len();
                taken.extend(partition.queue.pop_front());
            }
            partition.under_way = (!taken.is_empty()).then_some(events);
            (!taken.is_empty()).then_some(taken)
        });
        let Some(works) = taken else {
            return self.insist(|committer| committer.target.prepare());
        };
        let Some(last) = works.last() else { return Err(Halt::Stop) };
        let items: Vec<Item<'_>> = works.iter().flat_map(Work::items).collect();
        self.commit(&items, last.to, last.added, last.done.as_ref())?;
        self.update(|partition| partition.under_way = None);
        Ok(())
    }

    /// Commits events in their order, in as few pieces as the database takes.
    fn commit(
        &mut self,
        items: &[Item<'_>],
        to: Option<StreamId>,
        added: u64,
        done: Option<&Sender<Settled>>,
    ) -> Result<(), Halt> {
        let tables = Arc::clone(&self.tables);
        let mut settled = Settled::default();
        let mut backoff = Backoff::new(self.settings.backoff_max);
        let mut pieces: Vec<Piece> = self.cut(items);
        while let Some(piece) = pieces.pop() {
            let at_end = piece.items.end == items.len();
            let part = &items[piece.items.clone()];
            let end = match (to, part.last()) {
                (None, _) => self.claim.position,
                (Some(_), Some(last)) if !at_end => last.event.id,
                (Some(to), _) => to,
            };
            let added = if at_end { added } else { 0 };
            let draft = self.draft(&tables, part, piece.dead.as_ref(), done.is_some());
            let draft = Drafted { to: end, added, ..draft };
            let reason = match self.settle(&draft)? {
                Settlement::Done => {
                    settled.settled += draft.settled.len();
                    settled.failed += part.len() - draft.settled.len();
                    continue;
                }
                Settlement::Part(kept) => {
                    let rest = piece.items.start + length_of(part, kept);
                    pieces.push(Piece { items: rest..piece.items.end, dead: piece.dead });
                    continue;
                }
                Settlement::Refused(reason) => reason,
            };
            if part.len() <= 1 && piece.dead.as_ref().is_some_and(|dead| dead.bare) {
                // Not even that is taken: wait until it is.
                self.trouble(&reason, true, &mut backoff)?;
            }
            pieces.extend(smaller(piece, reason));
        }
        if let Some(done) = done {
            // Whoever asked may have gone.
            let _ = done.send(settled);
        }
        Ok(())
    }

    /// Pieces that are not too large, the first one last.
    fn cut(&self, items: &[Item<'_>]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (index, item) in items.iter().enumerate() {
            let more = item.bytes();
            if index > start && bytes + more > self.settings.batch_bytes_max {
                pieces.push(Piece { items: start..index, dead: None });
                (start, bytes) = (index, 0);
            }
            bytes += more;
        }
        pieces.push(Piece { items: start..items.len(), dead: None });
        pieces.reverse();
        pieces
    }

    /// What is to be committed for events; `again` if they are dead letters already.
    fn draft<'a>(
        &self,
        tables: &'a [Table],
        items: &[Item<'a>],
        dead: Option<&Verdicted>,
        again: bool,
    ) -> Drafted<'a> {
        let mut fresh = Counts::default();
        let mut letters = Vec::new();
        let mut settled = Vec::new();
        let mut changes: Vec<ChangeRef<'a>> = Vec::new();
        let mut log = Vec::new();
        let keeps_events = self.target.keeps_events();
        if !keeps_events {
            changes.reserve(items.len());
        }
        for item in items {
            let bare = dead.is_some_and(|dead| dead.bare);
            let rejected = match item.verdict {
                Verdict::Reject(reason) => Some(reason),
                Verdict::Apply(_) | Verdict::Skip => dead.map(|dead| &dead.reason),
            };
            match rejected {
                Some(_) if again => {}
                Some(reason) => {
                    fresh.dead += 1;
                    letters.push(letter(item, reason, bare));
                }
                None => {
                    let skipped = matches!(item.verdict, Verdict::Skip);
                    fresh.applied += u64::from(!skipped);
                    fresh.skipped += u64::from(skipped && !again);
                    if !keeps_events {
                        changes.extend(item.changes());
                    } else if !skipped {
                        let changes = item.changes().collect();
                        log.push(Logged { event: item.event, changes });
                    }
                    if again {
                        settled.push(item.event.id);
                    }
                }
            }
        }
        let mut totals = self.claim.totals;
        totals += fresh;
        let rows = Rows::of(tables, changes.into_iter());
        Drafted { rows, log, letters, settled, to: self.claim.position, added: 0, totals }
    }

    /// Repeats a commit until it is certain what became of it.
    fn settle(&mut self, draft: &Drafted<'_>) -> Result<Settlement, Halt> {
        let mut backoff = Backoff::new(self.settings.backoff_max);
        let same = draft.to == self.claim.position && draft.letters.is_empty();
        let nothing = draft.rows.is_empty() && draft.log.is_empty() && draft.settled.is_empty();
        if same && nothing {
            return Ok(Settlement::Done);
        }
        loop {
            let begun = Instant::now();
            let batch = Batch {
                rows: &draft.rows,
                log: &draft.log,
                dead_letters: &draft.letters,
                settled: &draft.settled,
                epoch: self.claim.epoch,
                from: self.claim.position,
                to: draft.to,
                before: self.claim.totals,
                totals: draft.totals,
                added: if draft.added == 0 { self.claim.added } else { draft.added },
            };
            match self.target.commit(&batch) {
                Outcome::Committed => {
                    self.committed(draft, batch.added, begun);
                    return Ok(Settlement::Done);
                }
                Outcome::Poison(reason) => return Ok(Settlement::Refused(reason)),
                Outcome::Fenced => return Err(Halt::Fenced),
                Outcome::Retry(reason) => self.trouble(&reason, false, &mut backoff)?,
                Outcome::Drift(reason) => {
                    self.trouble(&reason, true, &mut backoff)?;
                    self.insist(|committer| committer.target.prepare())?;
                }
                Outcome::Unknown(reason) => {
                    self.trouble(&reason, false, &mut backoff)?;
                    match self.found(&batch)? {
                        Found::Nothing => {}
                        Found::All => {
                            self.committed(draft, batch.added, begun);
                            return Ok(Settlement::Done);
                        }
                        Found::Part(claim) => {
                            let kept = claim.totals.events() - self.claim.totals.events();
                            self.advanced(draft, claim);
                            return Ok(Settlement::Part(kept));
                        }
                    }
                }
            }
        }
    }

    /// Claims again, and finds out how much of a batch was committed.
    fn found(&mut self, batch: &Batch<'_>) -> Result<Found, Halt> {
        let before = (self.claim.position, self.claim.totals);
        let claim = self.insist(|committer| {
            committer.target.prepare()?;
            committer.target.claim(true)
        })?;
        self.claim.epoch = claim.epoch;
        let found = (claim.position, claim.totals);
        // Nothing that could be seen, and nothing that may not happen twice.
        if found == before {
            return Ok(Found::Nothing);
        }
        if found == (batch.to, batch.totals) {
            return Ok(Found::All);
        }
        let between = (before.0..=batch.to).contains(&claim.position)
            && claim.totals.events() > before.1.events()
            && claim.totals.events() < batch.totals.events();
        if between && self.target.keeps_events() {
            return Ok(Found::Part(claim));
        }
        Err(Halt::Fenced)
    }

    /// The first events of a batch are kept, and so are the dead letters among them.
    fn advanced(&mut self, draft: &Drafted<'_>, claim: Claim) {
        self.claim = claim;
        let letters = draft.letters.iter().filter(|letter| letter.event.id <= claim.position);
        self.update(|partition| {
            partition.claim = Some(claim);
            partition.commits += 1;
            partition.letters.extend(letters.cloned());
        });
    }

    fn committed(&mut self, draft: &Drafted<'_>, added: u64, begun: Instant) {
        self.claim.position = draft.to;
        self.claim.totals = draft.totals;
        self.claim.added = added;
        let claim = self.claim;
        self.update(|partition| {
            partition.claim = Some(claim);
            partition.commits += 1;
            partition.commit_last = begun.elapsed();
            partition.letters.extend(draft.letters.iter().cloned());
            if !partition.condition.is(&State::Running) {
                partition.condition.set(State::Running);
            }
        });
    }
}

/// How many items come before the one behind the first `kept` that are not skipped.
fn length_of(items: &[Item<'_>], kept: u64) -> usize {
    let mut left = kept;
    for (index, item) in items.iter().enumerate() {
        if left == 0 {
            return index;
        }
        left -= u64::from(!matches!(item.verdict, Verdict::Skip));
    }
    items.len()
}

/// What to try after the database has refused a piece; what comes first is last.
fn smaller(piece: Piece, reason: String) -> Vec<Piece> {
    let Piece { items, dead } = piece;
    if items.len() > 1 {
        let middle = items.start + items.len() / 2;
        return vec![
            Piece { items: middle..items.end, dead: None },
            Piece { items: items.start..middle, dead: None },
        ];
    }
    let bare = dead.is_some();
    let reason = dead.map_or(reason, |dead| dead.reason);
    vec![Piece { items, dead: Some(Verdicted { reason, bare }) }]
}

fn letter(item: &Item<'_>, reason: &str, bare: bool) -> DeadLetter {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut event = item.event.clone();
    if bare {
        event.image = None;
        event.document.truncate(BARE_DOCUMENT_BYTES);
    }
    DeadLetter {
        event,
        reason: reason.chars().take(REASON_CHARS_MAX).collect(),
        failed_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
    }
}

/// The most characters of a reason that are kept.
const REASON_CHARS_MAX: usize = 1_000;
