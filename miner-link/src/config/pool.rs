//! A pool in the configuration.

use crate::error::Error;
use crate::upstream::Account;
use serde::Deserialize;
use std::path::PathBuf;

/// What the configuration file says of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    url: String,
    user: String,
    password: Option<String>,
    authority: Option<PathBuf>,
}

/// A pool, and our account there.
#[derive(Clone, PartialEq, Eq)]
pub struct PoolAt {
    /// Host and port, for people.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// Whose certificates are believed, instead of the system's authorities; PEM.
    pub authority: Option<PathBuf>,
    /// User name.
    pub user: String,
    password: String,
}

impl std::fmt::Debug for PoolAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, tls, user, .. } = self;
        f.debug_struct("PoolAt")
            .field("name", name)
            .field("tls", tls)
            .field("user", user)
            .finish_non_exhaustive()
    }
}

impl PoolAt {
    pub(crate) fn account(&self) -> Account {
        let Self { host, user, password, .. } = self;
        Account { host: host.clone(), user: user.clone(), password: password.clone() }
    }

    pub(super) fn read(settings: Settings) -> Result<Self, Error> {
        let Settings { url, user, password, authority } = settings;
        let bad = |why| Error::Setting { name: "pool.url", value: url.clone(), why };
        let schemes = [("stratum+tcp://", false), ("stratum+ssl://", true), ("stratum+tls://", true)];
        let split = schemes.iter().find_map(|(scheme, tls)| Some((url.strip_prefix(scheme)?, *tls)));
        let expected = "expected stratum+tcp://HOST:PORT or stratum+ssl://HOST:PORT";
        let (name, tls) = split.ok_or_else(|| bad(expected))?;
        let (host, port) = name.trim_end_matches('/').rsplit_once(':').ok_or_else(|| bad(expected))?;
        let port = port.parse().map_err(|_| bad(expected))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad(expected));
        }
        let (name, host) = (name.to_owned(), host.to_owned());
        let password = password.unwrap_or_else(|| "x".to_owned());
        Ok(Self { name, host, port, tls, authority, user, password })
    }
}
