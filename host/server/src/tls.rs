//! TLS: certificates and keys from files, and who must show one.
//!
//! Protocols and ciphers are rustls's: TLS 1.2 and 1.3 with modern suites. Names of OpenSSL's
//! suites, Diffie-Hellman parameters and encrypted keys are not known here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// Whether clients show a certificate (`tls-auth-clients`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They must.
    #[default]
    Required,
    /// They may; one that is shown must be valid.
    Optional,
    /// They are not asked.
    No,
}

/// What TLS needs to know of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// `tls-port`; 0: no TLS.
    pub port: u16,
    /// `tls-cert-file`: the server's chain, PEM.
    pub certificates: PathBuf,
    /// `tls-key-file`, PEM.
    pub key: PathBuf,
    /// `tls-ca-cert-file`: whom to trust with clients' certificates, PEM.
    pub authorities: Option<PathBuf>,
    /// `tls-ca-cert-dir`: the same, a folder of PEM files.
    pub authorities_folder: Option<PathBuf>,
    /// Who must show one.
    pub client_certificates: ClientCertificates,
    /// `tls-protocols`; empty: all.
    pub protocols: String,
}

/// Why TLS cannot be offered.
#[derive(Debug)]
pub enum TlsError {
    /// A file that cannot be read or holds nothing of use.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The directive is needed.
    Missing(&'static str),
    /// Certificates and key that do not fit, or the like.
    Refused(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Missing(directive) => write!(f, "TLS needs the directive '{directive}'"),
            Self::Refused(reason) => write!(f, "TLS cannot be set up: {reason}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Reads the files; `None` if TLS is not asked for.
pub(crate) fn server_config(options: &TlsOptions) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    if options.port == 0 {
        return Ok(None);
    }
    let refused = |error: &dyn fmt::Display| TlsError::Refused(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(&options.protocols)?)
        .map_err(|error| refused(&error))?;
    let builder = match options.client_certificates {
        ClientCertificates::No => builder.with_no_client_auth(),
        how => {
            let roots = Arc::new(authorities(options)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match how {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
        }
    };
    if options.certificates.as_os_str().is_empty() {
        return Err(TlsError::Missing("tls-cert-file"));
    }
    let key_path =
        if options.key.as_os_str().is_empty() { &options.certificates } else { &options.key };
    let key = PrivateKeyDer::from_pem_file(key_path)
        .map_err(|error| TlsError::File { path: key_path.clone(), reason: error.to_string() })?;
    let config = builder
        .with_single_cert(certificates(&options.certificates)?, key)
        .map_err(|error| refused(&error))?;
    Ok(Some(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?.collect();
    let found = found.map_err(|error| failed(error.to_string()))?;
    if found.is_empty() { Err(failed("no certificate in it".to_owned())) } else { Ok(found) }
}

fn authorities(options: &TlsOptions) -> Result<RootCertStore, TlsError> {
    let mut files: Vec<PathBuf> = options.authorities.iter().cloned().collect();
    if let Some(folder) = &options.authorities_folder {
        let failed = |error: std::io::Error| TlsError::File {
            path: folder.clone(),
            reason: error.to_string(),
        };
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            files.push(entry.map_err(failed)?.path());
        }
    }
    if files.is_empty() {
        return Err(TlsError::Missing("tls-ca-cert-file"));
    }
    let mut roots = RootCertStore::empty();
    for file in files {
        for certificate in certificates(&file)? {
            roots.add(certificate).map_err(|error| TlsError::File {
                path: file.clone(),
                reason: error.to_string(),
            })?;
        }
    }
    Ok(roots)
}

/// The protocols by the names that `tls-protocols` gives them; those before TLS 1.2 are not offered.
fn versions(names: &str) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    if names.trim().is_empty() {
        return Ok(vec![&TLS12, &TLS13]);
    }
    let mut versions = Vec::new();
    for name in names.split_ascii_whitespace() {
        match name.to_ascii_lowercase().as_str() {
            "tlsv1.2" => versions.push(&TLS12),
            "tlsv1.3" => versions.push(&TLS13),
            "tlsv1" | "tlsv1.1" => {
                tracing::warn!("tls-protocols: {name} is not offered any more");
            }
            _ => return Err(TlsError::Refused(format!("no protocol is called '{name}'"))),
        }
    }
    if versions.is_empty() {
        return Err(TlsError::Refused("no protocol of tls-protocols is offered".to_owned()));
    }
    Ok(versions)
}
