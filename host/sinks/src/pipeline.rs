//! A pipeline as its owner sees it.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::board::{Board, PanicAlarm};
use crate::planner::Planner;
use crate::reader::{Reader, Standing};
use crate::request::{Remedy, Request, Selection};
use crate::settings::Settings;
use crate::source::Source;
use crate::status::Status;
use crate::table::{Table, TableError};
use crate::target::Destination;
use crate::work::Settled;

/// Carries one stream into one database, on threads of its own, until it is stopped.
pub struct Pipeline {
    board: Arc<Board>,
    requests: Sender<Request>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}

/// Why a pipeline did not start.
#[derive(Debug)]
pub enum StartError {
    /// A table cannot be used.
    Table(TableError),
    /// There is no thread to be had.
    Thread(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(error) => write!(f, "{error}"),
            Self::Thread(error) => write!(f, "no thread for a pipeline: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Pipeline {
    /// Starts to apply what `source` has; databases that are down are waited for.
    pub fn start(
        settings: Settings,
        tables: Vec<Table>,
        source: Box<dyn Source>,
        planner: Box<dyn Planner>,
        destination: Arc<dyn Destination>,
    ) -> Result<Self, StartError> {
        for table in &tables {
            table.check().map_err(StartError::Table)?;
        }
        let board = Arc::new(Board::default());
        let (requests, received) = channel();
        let reader = Reader {
            board: Arc::clone(&board),
            settings: Arc::new(settings),
            tables: tables.into(),
            source,
            planner,
            destination,
            requests: received,
            holder: holder(),
            standing: Standing::default(),
        };
        let thread = std::thread::Builder::new().name("sink-reader".to_owned());
        let alarm = PanicAlarm(Arc::clone(&board));
        let run = move || {
            let _alarm = alarm;
            reader.run();
        };
        let thread = thread.spawn(run).map_err(StartError::Thread)?;
        Ok(Self { board, requests, reader: Mutex::new(Some(thread)) })
    }

    /// How it is.
    pub fn status(&self) -> Status {
        self.board.lock().status()
    }

    /// Waits until `ready` says so of the status; whether it did within that time.
    pub fn wait_for(&self, longest: Duration, mut ready: impl FnMut(&Status) -> bool) -> bool {
        let reached = |sheet: &mut crate::board::Sheet| ready(&sheet.status()).then_some(());
        self.board.wait(longest, reached).is_some()
    }

    /// Whatever it waits for is looked at now: somebody has mended it.
    pub fn resume(&self) {
        self.board.change(|sheet| sheet.resumed += 1);
    }

    /// Goes on in spite of the alarm that is up: what is gone is gone.
    pub fn accept(&self) {
        self.board.change(|sheet| sheet.accepted = true);
    }

    /// Does something about dead letters, and says what became of them, when it is done. The receiver
    /// ends with the last of the counts; waiting for a database that is down takes as long as that.
    pub fn remedy(&self, selection: Selection, remedy: Remedy) -> Receiver<Settled> {
        let (counted, counts) = channel();
        // Nobody takes it if the pipeline has ended: then the receiver ends at once.
        let _ = self.requests.send(Request { selection, remedy, counted });
        counts
    }

    /// Finishes the batch that is being committed and ends. Returns when all threads have ended.
    pub fn stop(&self) -> Status {
        self.board.change(|sheet| sheet.stop = true);
        if let Some(reader) = self.reader.lock().take()
            && reader.join().is_err()
        {
            tracing::error!("the reader of a pipeline has panicked");
        }
        self.status()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A name that no other run has.
fn holder() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:x}-{:016x}{:016x}", std::process::id(), random(), random())
}
