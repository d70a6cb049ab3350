//! A host that carries events into a database until all are there: `carry URL EVENTS BATCH`.
//!
//! Events are made from their numbers, so that a host that is started again sees the same stream.
//! Those of even numbers are lines of a ledger, which has no key and so would show a duplicate; odd
//! ones change one of forty documents. The tests kill it, cut its connections, and set two of them
//! against each other. Ends with 0 when everything is applied, with 3 when another host took over.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use reef_sinks::{
    Applied, Destination, Event, EventKind, Extent, MySql, Pipeline, Plan, Planner, PlannerFault,
    Postgres, Server, Settings, Source, SourceFault, Sqlite, State, StreamId, Table, Tls, Verb,
};

/// Events that are made from their numbers, from 1 on.
struct Numbers {
    last: u64,
}

impl Source for Numbers {
    fn read(
        &mut self,
        after: StreamId,
        count_max: usize,
        wait: Duration,
    ) -> Result<Vec<Event>, SourceFault> {
        let until = self.last.min(after.ms + count_max as u64);
        if after.ms >= until {
            std::thread::sleep(wait);
        }
        Ok((after.ms + 1..=until).map(event).collect())
    }

    fn extent(&mut self, position: StreamId) -> Result<Extent, SourceFault> {
        Ok(Extent {
            first: Some(StreamId::new(1, 0)),
            last: StreamId::new(self.last, 0),
            added: self.last,
            deleted_max: StreamId::ZERO,
            behind: Some(self.last - position.ms),
            holds_position: position.ms > 0,
        })
    }

    fn mirrored(&mut self) -> Result<StreamId, SourceFault> {
        Ok(StreamId::ZERO)
    }

    fn applied(&mut self, _report: &Applied<'_>) -> Result<(), SourceFault> {
        Ok(())
    }
}

fn event(number: u64) -> Event {
    let document = if number.is_multiple_of(2) {
        format!("line:{number}")
    } else {
        format!("doc:{}", number % 80)
    };
    Event {
        id: StreamId::new(number, 0),
        entity: "numbers".to_owned(),
        document: document.into_bytes(),
        kind: EventKind::Update,
        timestamp_ms: number as i64,
        image: Some(format!("[{number}]").into_bytes()),
        version: number,
    }
}

/// Lines to the ledger, documents to their table.
struct Documents;

impl Planner for Documents {
    fn plan(&mut self, events: &[Event]) -> Result<Plan, PlannerFault> {
        let mut plan = Plan::with_capacity(events.len(), events.len() * 32);
        for event in events {
            plan.apply(1);
            let table = usize::from(event.document.starts_with(b"line:"));
            let values = [Some(&event.document[..]), event.image.as_deref()];
            plan.change(table, Verb::Upsert, values);
        }
        Ok(plan)
    }
}

/// `sqlite:PATH`, `postgresql://USER@HOST:PORT/DATABASE` or `mysql://USER@HOST:PORT/DATABASE`.
fn destination(url: &str) -> Option<Arc<dyn Destination>> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return Some(Arc::new(Sqlite { path: PathBuf::from(path), create_tables: true }));
    }
    let (scheme, rest) = url.split_once("://")?;
    let (user, rest) = rest.split_once('@')?;
    let (host, rest) = rest.split_once(':')?;
    let (port, database) = rest.split_once('/')?;
    let server = Server {
        host: host.to_owned(),
        port: port.parse().ok()?,
        database: database.to_owned(),
        user: user.to_owned(),
        password: None,
        tls: Tls::Off,
    };
    match scheme {
        "postgresql" => Some(Arc::new(Postgres { server, create_tables: true })),
        "mysql" => Some(Arc::new(MySql { server, create_tables: true })),
        _ => None,
    }
}

fn start() -> Option<(Pipeline, u64)> {
    let mut arguments = std::env::args().skip(1);
    let destination = destination(&arguments.next()?)?;
    let events: u64 = arguments.next()?.parse().ok()?;
    let mut settings = Settings::new("stream:numbers");
    settings.batch_events_max = arguments.next()?.parse().ok()?;
    settings.backoff_max = Duration::from_millis(100);
    let mut ledger = Table::payload("ledger");
    ledger.key = 0;
    let tables = vec![Table::payload("documents"), ledger];
    let source = Box::new(Numbers { last: events });
    Pipeline::start(settings, tables, source, Box::new(Documents), destination)
        .ok()
        .map(|pipeline| (pipeline, events))
}

fn main() -> ExitCode {
    let Some((pipeline, events)) = start() else { return ExitCode::from(2) };
    let all = StreamId::new(events, 0);
    loop {
        let over = pipeline.wait_for(Duration::from_secs(600), |status| {
            status.position >= all || matches!(status.state, State::Fenced | State::Alarm { .. })
        });
        let status = pipeline.status();
        match status.state {
            State::Fenced => return ExitCode::from(3),
            State::Alarm { .. } => return ExitCode::from(4),
            _ if over && status.position >= all => return ExitCode::SUCCESS,
            _ => {}
        }
    }
}
