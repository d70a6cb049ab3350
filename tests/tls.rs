//! TLS, judged by redis-cli: who is let in, what passes through, what is refused.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::served::{Served, free_port, is_here};

/// An authority and what it has signed: files in a folder of their own.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
            .expect("an authority");
        std::fs::write(folder.path().join("ca.crt"), authority.pem()).expect("written");
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            let mut params = CertificateParams::new(names).expect("names");
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &authority).expect("signed");
            let file = |ending| folder.path().join(format!("{name}.{ending}"));
            std::fs::write(file("crt"), certificate.pem()).expect("written");
            std::fs::write(file("key"), key.serialize_pem()).expect("written");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A server that speaks TLS at a port of its own.
struct Encrypted {
    certificates: Certificates,
    port: u16,
    server: Served,
}

impl Encrypted {
    fn start(auth_clients: &str) -> Self {
        let (certificates, port) = (Certificates::new(), free_port());
        let file = |name| certificates.path(name).display().to_string();
        let server = Served::start(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &file("server.crt"),
            "--tls-key-file",
            &file("server.key"),
            "--tls-ca-cert-file",
            &file("ca.crt"),
            "--tls-auth-clients",
            auth_clients,
        ]);
        Self { certificates, port, server }
    }

    fn cli(&self, with_certificate: bool) -> Command {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--tls", "--cacert"]);
        command.arg(self.certificates.path("ca.crt"));
        if with_certificate {
            let file = |name: &str| self.certificates.path(name);
            command.arg("--cert").arg(file("client.crt")).arg("--key").arg(file("client.key"));
        }
        command.stdin(Stdio::null());
        command
    }

    fn ask(&self, with_certificate: bool, args: &[&str]) -> Output {
        self.cli(with_certificate).args(args).output().expect("redis-cli runs")
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn who_shows_a_certificate_is_let_in_and_others_as_the_directive_says() {
    if !is_here("redis-cli") {
        return;
    }
    for (auth_clients, stranger_enters) in [("yes", false), ("optional", true), ("no", true)] {
        let encrypted = Encrypted::start(auth_clients);
        assert_eq!(text(&encrypted.ask(true, &["PING"])), "PONG", "{auth_clients}");
        let stranger = text(&encrypted.ask(false, &["PING"]));
        assert_eq!(stranger == "PONG", stranger_enters, "{auth_clients}: {stranger}");
    }
}

#[test]
fn large_values_and_pipelines_pass_through() {
    if !is_here("redis-cli") {
        return;
    }
    let encrypted = Encrypted::start("no");
    let value = "v".repeat(3 << 20);
    let mut cli = encrypted.cli(false);
    let mut child = cli
        .args(["-x", "SET", "big"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli runs");
    child.stdin.take().expect("piped").write_all(value.as_bytes()).expect("written");
    assert_eq!(text(&child.wait_with_output().expect("it ends")), "OK");
    assert_eq!(text(&encrypted.ask(false, &["GET", "big"])), value);
    let commands = "INCR n\n".repeat(2000);
    let mut child = encrypted
        .cli(false)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli runs");
    let mut input = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || input.write_all(commands.as_bytes()));
    let replies = text(&child.wait_with_output().expect("it ends"));
    writer.join().expect("a thread").expect("written");
    assert_eq!(replies.lines().last(), Some("2000"));
}

#[test]
fn what_is_no_tls_is_closed_and_everybody_else_is_served() {
    if !is_here("redis-cli") {
        return;
    }
    let encrypted = Encrypted::start("no");
    for bytes in [&b"PING\r\n"[..], &[0; 5000], b"\x16\x03\x01\xff\xff"] {
        let mut stream = TcpStream::connect(("127.0.0.1", encrypted.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        let _ = stream.write_all(bytes);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        assert!(!String::from_utf8_lossy(&reply).contains("PONG"));
    }
    assert_eq!(text(&encrypted.ask(false, &["PING"])), "PONG");
    // The port in clear is another one, and knows nothing of it.
    let deadline = Instant::now() + Duration::from_secs(5);
    while encrypted.server.info("connected_clients") != "1" {
        assert!(Instant::now() < deadline, "somebody is still connected");
    }
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start() {
    let certificates = Certificates::new();
    let start = |certificate: &Path, key: &Path| {
        crate::served::sentence(&crate::served::run(&[
            "serve",
            "--port",
            "0",
            "--tls-port",
            &free_port().to_string(),
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &certificate.display().to_string(),
            "--tls-key-file",
            &key.display().to_string(),
        ]))
    };
    let (certificate, key) = (certificates.path("server.crt"), certificates.path("server.key"));
    let missing = certificates.path("missing.crt");
    assert!(start(&missing, &key).contains("missing.crt"));
    assert!(start(&key, &key).contains("no certificate in it"));
    let other = certificates.path("client.key");
    assert!(start(&certificate, &other).contains("TLS cannot be set up"));
}
