//! Databases for one test each; servers are shared by the tests that run at the same time.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use reef_sinks::{Destination, MySql, Postgres, Server, Sqlite, Tls};
use tempfile::TempDir;

use super::peer::{Running, command, folder, free_port, listening, required, until_connected};

/// A database of a test's own.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(Arc<PostgresServer>, String),
    MariaDb(Arc<MariaDbServer>, String),
}

impl Database {
    pub(crate) fn sqlite() -> Option<Self> {
        Some(Self::Sqlite(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn postgres() -> Option<Self> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        let server = match shared.upgrade() {
            Some(server) => server,
            None => Arc::new(PostgresServer::start()?),
        };
        *shared = Arc::downgrade(&server);
        Some(Self::postgres_of(server))
    }

    /// In a server of its own.
    pub(crate) fn postgres_of(server: Arc<PostgresServer>) -> Self {
        let name = fresh_name();
        server.query("postgres", &format!("CREATE DATABASE {name}"));
        Self::Postgres(server, name)
    }

    pub(crate) fn mariadb() -> Option<Self> {
        static SHARED: Mutex<Weak<MariaDbServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        let server = match shared.upgrade() {
            Some(server) => server,
            None => Arc::new(MariaDbServer::start()?),
        };
        *shared = Arc::downgrade(&server);
        Some(Self::mariadb_of(server))
    }

    pub(crate) fn mariadb_of(server: Arc<MariaDbServer>) -> Self {
        let name = fresh_name();
        server.query("mysql", &format!("CREATE DATABASE {name}"));
        Self::MariaDb(server, name)
    }

    /// All rows that a query gives, as text.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Sqlite(folder) => sqlite_query(&folder.path().join("rows.db"), sql),
            Self::Postgres(server, name) => server.query(name, sql),
            Self::MariaDb(server, name) => server.query(name, sql),
        }
    }

    /// The only value that a query gives.
    pub(crate) fn one(&self, sql: &str) -> String {
        let rows = self.query(sql);
        rows[0][0].clone().unwrap_or_default()
    }

    /// Where to write, making what is missing.
    pub(crate) fn destination(&self) -> Arc<dyn Destination> {
        self.destination_at(None, true)
    }

    pub(crate) fn server(&self) -> Option<Server> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(server, name) => Some(server.address(name)),
            Self::MariaDb(server, name) => Some(server.address(name)),
        }
    }

    /// By way of another port, perhaps.
    pub(crate) fn destination_at(
        &self,
        port: Option<u16>,
        create_tables: bool,
    ) -> Arc<dyn Destination> {
        let server = self.server().map(|server| {
            let port = port.unwrap_or(server.port);
            Server { port, ..server }
        });
        match (self, server) {
            (Self::Postgres(..), Some(server)) => Arc::new(Postgres { server, create_tables }),
            (Self::MariaDb(..), Some(server)) => Arc::new(MySql { server, create_tables }),
            (Self::Sqlite(folder), _) => {
                Arc::new(Sqlite { path: folder.path().join("rows.db"), create_tables })
            }
            (_, None) => unreachable!("only SQLite has no server"),
        }
    }

    /// The same as an address for `examples/carry.rs`.
    pub(crate) fn url(&self, port: Option<u16>) -> String {
        let of = |scheme: &str, server: Server| {
            format!(
                "{scheme}://{}@127.0.0.1:{}/{}",
                server.user,
                port.unwrap_or(server.port),
                server.database
            )
        };
        match (self, self.server()) {
            (Self::Postgres(..), Some(server)) => of("postgresql", server),
            (Self::MariaDb(..), Some(server)) => of("mysql", server),
            (Self::Sqlite(folder), _) => {
                format!("sqlite:{}", folder.path().join("rows.db").display())
            }
            (_, None) => unreachable!("only SQLite has no server"),
        }
    }
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("sinks_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn sqlite_query(path: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    use rusqlite::types::ValueRef;
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(super::LONG).unwrap();
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let width = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let text = |index| match row.get_ref(index).unwrap() {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Text(text) | ValueRef::Blob(text) => {
                Some(String::from_utf8_lossy(text).into_owned())
            }
        };
        found.push((0..width).map(text).collect());
    }
    found
}

/// Waits for one answer on a connection of its own.
fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A server of PostgreSQL with its default durability.
pub(crate) struct PostgresServer {
    folder: TempDir,
    program: PathBuf,
    pub(crate) port: u16,
    running: Mutex<Option<Running>>,
    extra: Vec<String>,
}

impl PostgresServer {
    /// A new one, or nothing where there is no PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(extra: &[String]) -> Option<Self> {
        let initdb = required("initdb")?;
        let program = required("postgres")?;
        let folder = folder();
        let data = folder.path().join("data");
        let made = command(&initdb)
            .args([
                "--no-sync",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "-U",
                "reef",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let running = Mutex::new(None);
        let extra = extra.to_vec();
        let server = Self { folder, program, port: free_port(), running, extra };
        server.up();
        Some(server)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it, unless it runs.
    pub(crate) fn up(&self) {
        let mut running = self.running.lock().unwrap();
        if running.is_some() {
            return;
        }
        let mut line = command(&self.program);
        line.arg("-D").arg(self.data());
        line.arg("-p").arg(self.port.to_string());
        line.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100"]);
        line.args(&self.extra);
        line.arg("-c").arg(format!("unix_socket_directories={}", self.folder.path().display()));
        let log = self.folder.path().join("log");
        let ours = folder();
        let log = if log.exists() { log } else { ours.path().join("log") };
        *running = Some(Running::start(line, &log));
        listening(self.port, &log);
        let begun = std::time::Instant::now();
        while block_on(self.connect("postgres")).is_err() {
            assert!(begun.elapsed() < super::LONG, "not ready");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Stops it at once, as by a power cut: no checkpoint, no good-bye.
    pub(crate) fn stop_immediately(&self) {
        let mut running = self.running.lock().unwrap();
        let program = self.program.with_file_name("pg_ctl");
        let stopped = command(&program)
            .args(["stop", "-m", "immediate", "-D"])
            .arg(self.data())
            .output()
            .unwrap();
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        *running = None;
    }

    pub(crate) fn address(&self, database: &str) -> Server {
        Server {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            database: database.to_owned(),
            user: "reef".to_owned(),
            password: None,
            tls: Tls::Off,
        }
    }

    async fn connect(
        &self,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("reef").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        client.simple_query("SELECT 1").await?;
        Ok(client)
    }

    pub(crate) fn query(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        let answer = block_on(async {
            let client = self.connect(database).await.expect("a connection");
            client.simple_query(sql).await
        });
        let messages = answer.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
            }
            _ => None,
        };
        messages.into_iter().filter_map(row).collect()
    }
}

/// Several servers run side by side in the tests: 96 MB of redo log each, laid down before the
/// first statement, is what a small disk does not have.
const REDO_LOG: &str = "--innodb-log-file-size=16M";

/// A server of MariaDB with its default durability.
pub(crate) struct MariaDbServer {
    folder: TempDir,
    program: PathBuf,
    pub(crate) port: u16,
    running: Mutex<Option<Running>>,
    extra: Vec<String>,
}

impl MariaDbServer {
    /// A new one, or nothing where there is no MariaDB.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(extra: &[String]) -> Option<Self> {
        let install = required("mariadb-install-db").or_else(|| required("mysql_install_db"))?;
        let program = required("mariadbd").or_else(|| required("mysqld"))?;
        let folder = folder();
        let made = command(&install)
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(REDO_LOG)
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            // Whoever starts clears the tables of all others from a folder that is shared.
            .env("TMPDIR", folder.path())
            .output()
            .unwrap();
        let said = [made.stdout, made.stderr].concat();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&said));
        let running = Mutex::new(None);
        let extra = extra.to_vec();
        let server = Self { folder, program, port: free_port(), running, extra };
        server.up();
        server.query("mysql", "CREATE USER reef@'%'");
        server.query("mysql", "GRANT ALL ON *.* TO reef@'%'");
        Some(server)
    }

    pub(crate) fn up(&self) {
        let mut running = self.running.lock().unwrap();
        if running.is_some() {
            return;
        }
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let mut line = command(&self.program);
        line.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", REDO_LOG]);
        line.arg(format!("--datadir={}", at("data")));
        line.arg(format!("--tmpdir={}", self.folder.path().display()));
        line.arg(format!("--socket={}", at("socket")));
        line.arg(format!("--pid-file={}", at("pid")));
        line.arg(format!("--port={}", self.port));
        line.args(&self.extra);
        let ours = folder();
        let log = ours.path().join("log");
        *running = Some(Running::start(line, &log));
        listening(self.port, &log);
        // It binds the socket after the port.
        until_connected(|| UnixStream::connect(at("socket")).is_ok(), &log);
    }

    /// Kills it.
    pub(crate) fn stop_immediately(&self) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).expect("its pid");
        let killed = Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
        assert!(killed.success());
        *self.running.lock().unwrap() = None;
    }

    pub(crate) fn address(&self, database: &str) -> Server {
        Server {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            database: database.to_owned(),
            user: "reef".to_owned(),
            password: None,
            tls: Tls::Off,
        }
    }

    pub(crate) fn query(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        use mysql_async::prelude::Queryable;
        let user = if database == "mysql" { "root" } else { "reef" };
        let socket = self.folder.path().join("socket").display().to_string();
        let options = mysql_async::OptsBuilder::default()
            .socket(Some(socket))
            .user(Some(user))
            .db_name(Some(database));
        let rows: Result<Vec<mysql_async::Row>, mysql_async::Error> = block_on(async {
            let mut connection = mysql_async::Conn::new(options).await?;
            let rows = connection.query(sql).await;
            connection.disconnect().await?;
            rows
        });
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = |value: mysql_async::Value| match value {
            mysql_async::Value::NULL => None,
            mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
        };
        rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
    }
}
