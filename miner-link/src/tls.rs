//! TLS: to pools, and for miners that can.

use crate::error::Error;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Calls pools whose certificates the system trusts, or `authority` alone if one is given.
pub(crate) fn connector(authority: Option<&Path>) -> Result<TlsConnector, Error> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            let damaged = |what: &str| Error::Damaged { path: path.to_owned(), what: what.to_owned() };
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|_| damaged("not a certificate of an authority"))?;
            }
        }
        None => {
            // One unreadable certificate among the system's takes away only whom it vouches for.
            let (_added, _ignored) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers what both versions of TLS need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Answers miners with this certificate chain and key, both PEM.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let chain = certificates(certificate)?;
    let damaged = |what: String| Error::Damaged { path: key.to_owned(), what };
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| damaged(format!("no private key: {error}")))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers what both versions of TLS need")
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| damaged(error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|error| damaged(format!("no certificate: {error}")))?;
    if chain.is_empty() { Err(damaged("no certificate in it".to_owned())) } else { Ok(chain) }
}
