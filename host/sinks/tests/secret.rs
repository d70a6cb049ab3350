//! TLS to databases and brokers: encrypted indeed, and only with a server that proves who it is.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reef_sinks::{Destination, MySql, Pipeline, Postgres, State, Tls};
use tempfile::TempDir;

use crate::messages::NatsServer;
use crate::support::database::{Database, MariaDbServer, PostgresServer};
use crate::support::peer::{folder, is_root};
use crate::support::planner::Documents;
use crate::support::stream::Stream;
use crate::support::{LONG, drained, settings, tables};

/// Certificates on the spot: who vouches, a server, and a stranger who vouches for others.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let folder = folder();
        let issuer = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (issuer, stranger) = (issuer(), issuer());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let server = params.signed_by(&key, &issuer).unwrap();
        let certificates = Self { folder };
        for (name, text) in [
            ("ca.pem", issuer.pem()),
            ("stranger.pem", stranger.pem()),
            ("server.pem", server.pem()),
            ("server.key", key.serialize_pem()),
        ] {
            let path = certificates.path(name);
            std::fs::write(&path, text).unwrap();
            let mode = Command::new("chmod").arg("600").arg(&path).status().unwrap();
            assert!(mode.success());
            if is_root() {
                assert!(Command::new("chown").arg("nobody").arg(&path).status().unwrap().success());
            }
        }
        certificates
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn verified(&self, ca: &str) -> Tls {
        Tls::Verified { ca: Some(self.path(ca)) }
    }
}

/// Carries one document for each way of encryption that must work; `encrypted` says whether the
/// connection that is open is.
fn carries_in_secret(
    certificates: &Certificates,
    destination: impl Fn(Tls) -> Arc<dyn Destination>,
    encrypted: impl Fn() -> bool,
) {
    let stream = Stream::default();
    let run = |tls: Tls| {
        let (source, planner) = (Box::new(stream.clone()), Box::new(Documents));
        Pipeline::start(settings(), tables(), source, planner, destination(tls)).unwrap()
    };
    for tls in [certificates.verified("ca.pem"), Tls::Unverified] {
        let pipeline = run(tls);
        drained(&pipeline, stream.insert("ledger:1", "{}"));
        assert!(encrypted());
    }
    for tls in [certificates.verified("stranger.pem"), Tls::Verified { ca: None }] {
        let pipeline = run(tls);
        let down = pipeline.wait_for(LONG, |status| match &status.state {
            State::Down { reason, .. } => reason.to_lowercase().contains("certificate"),
            _ => false,
        });
        assert!(down, "{:?}", pipeline.status());
    }
    let pipeline = run(certificates.verified("nobody.pem"));
    let down = pipeline.wait_for(LONG, |status| match &status.state {
        State::Down { reason, .. } => reason.contains("nobody.pem"),
        _ => false,
    });
    assert!(down, "{:?}", pipeline.status());
}

#[test]
fn postgres_is_spoken_to_in_secret() {
    let certificates = Certificates::new();
    let at = |name: &str| certificates.path(name).display().to_string();
    let extra = [
        "-c".to_owned(),
        "ssl=on".to_owned(),
        "-c".to_owned(),
        format!("ssl_cert_file={}", at("server.pem")),
        "-c".to_owned(),
        format!("ssl_key_file={}", at("server.key")),
    ];
    let Some(server) = PostgresServer::start_with(&extra).map(Arc::new) else { return };
    let database = Database::postgres_of(server);
    let destination = |tls| -> Arc<dyn Destination> {
        let mut server = database.server().unwrap();
        server.tls = tls;
        Arc::new(Postgres { server, create_tables: true })
    };
    let encrypted = || {
        let ours = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                    WHERE application_name = 'reef'";
        database.one(ours) == "t"
    };
    carries_in_secret(&certificates, destination, encrypted);
}

#[test]
fn mariadb_is_spoken_to_in_secret() {
    let certificates = Certificates::new();
    let at = |name: &str| certificates.path(name).display().to_string();
    let extra =
        [format!("--ssl-cert={}", at("server.pem")), format!("--ssl-key={}", at("server.key"))];
    let Some(server) = MariaDbServer::start_with(&extra).map(Arc::new) else { return };
    // Who may come in secret only.
    server.query("mysql", "CREATE USER secret@'%' IDENTIFIED BY 'pass word' REQUIRE SSL");
    server.query("mysql", "GRANT ALL ON *.* TO secret@'%'");
    let database = Database::mariadb_of(server);
    let destination = |tls| -> Arc<dyn Destination> {
        let mut server = database.server().unwrap();
        server.user = "secret".to_owned();
        server.password = Some("pass word".to_owned());
        server.tls = tls;
        Arc::new(MySql { server, create_tables: true })
    };
    let encrypted = || {
        let ours = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'secret'";
        database.one(ours) != "0"
    };
    carries_in_secret(&certificates, destination, encrypted);
    is_refused_in_the_open(&destination);
}

#[test]
fn nats_is_spoken_to_in_secret() {
    let certificates = Certificates::new();
    let at = |name: &str| certificates.path(name).display().to_string();
    let (cert, key) = (at("server.pem"), at("server.key"));
    let extra = ["--tls", "--tlscert", &cert, "--tlskey", &key].map(str::to_owned).to_vec();
    let Some(server) = NatsServer::start_with(extra) else { return };
    let destination = |tls| server.destination(None, tls);
    // It has no other connections than encrypted ones.
    carries_in_secret(&certificates, destination, || true);
    is_refused_in_the_open(&destination);
}

/// Whoever comes unencrypted is not let in.
fn is_refused_in_the_open(destination: &dyn Fn(Tls) -> Arc<dyn Destination>) {
    let (source, planner) = (Box::new(Stream::default()), Box::new(Documents));
    let target = destination(Tls::Off);
    let pipeline = Pipeline::start(settings(), tables(), source, planner, target).unwrap();
    let refused = pipeline.wait_for(LONG, |status| matches!(&status.state, State::Down { .. }));
    assert!(refused, "{:?}", pipeline.status());
}
