//! The wire to an Electrum server: TCP, or TLS with a certificate that this machine's roots vouch for.
//!
//! `electrum_client` brings a TLS of its own that switches on a second cryptography provider for the whole
//! program; so the stream is made here and given to it.

use bdk_electrum::electrum_client::raw_client::RawClient;
use bdk_electrum::electrum_client::{ElectrumApi as _, Param};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

/// How long connecting, and each read and write, may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The versions of the protocol that are spoken.
const VERSIONS: [&str; 2] = ["1.4", "1.4.3"];

/// A client of the protocol.
pub(super) type Client = RawClient<Stream>;

/// What carries it.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Connect to `url` and agree on a version.
pub(super) fn connect(url: &str) -> Result<Client, Box<dyn Error + Send + Sync>> {
    let wrong = || format!("'{url}' is not ssl://host:port or tcp://host:port");
    let (scheme, address) = url.split_once("://").ok_or_else(wrong)?;
    let (host, _) = address.rsplit_once(':').ok_or_else(wrong)?;
    let stream = match scheme {
        "tcp" => Stream::Plain(dial(address)?),
        "ssl" => Stream::Tls(Box::new(secure(host, dial(address)?)?)),
        _ => return Err(wrong().into()),
    };
    let client = Client::from(stream);
    let versions = VERSIONS.map(str::to_owned).to_vec();
    let hello = [Param::String("hashguild".to_owned()), Param::StringVec(versions)];
    let _agreed = client.raw_call("server.version", hello)?;
    Ok(client)
}

fn dial(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn secure(
    host: &str,
    stream: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Box<dyn Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream))
}
