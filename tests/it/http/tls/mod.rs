//! TLS on the boot listener, over real sockets.

mod clients;
mod handshake;
mod identity;
mod keys;
mod reload;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gitboot::http::tls::Clients;
use gitboot::http::{self, Door, Limits, Settings, Tls};
use gitboot::label::Identity;
use gitboot::publish::Publisher;
use gitboot::snapshot::Snapshot;
use rcgen::{CertificateParams, DistinguishedName, DnType};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version,
};

use super::settings;
use crate::support::http::{Client, DEADLINE, Response};
use crate::support::pki::{Authority, Identity as Pair};

/// The name that the server's certificate is for.
const HOST: &str = "boot.example";

/// Both versions that are spoken.
const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// A connection that speaks TLS.
type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

/// A folder with a server's certificate and the authority of its clients.
struct Files {
    folder: tempfile::TempDir,
    /// Who vouches for the server.
    server: Authority,
    /// Who vouches for the clients.
    clients: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            server: Authority::new("Lab CA"),
            clients: Authority::new("Machines CA"),
        };
        files.show(&files.server.issue(HOST), &files.server);
        files.write("clients.pem", &files.clients.pem);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a certificate with its root, and its key.
    fn show(&self, pair: &Pair, root: &Authority) {
        self.write("tls.crt", &format!("{}{}", pair.certificate, root.pem));
        self.write("tls.key", &pair.key);
    }

    fn settings(&self, clients: Clients) -> http::tls::Settings {
        http::tls::Settings {
            cert_file: self.path("tls.crt"),
            key_file: self.path("tls.key"),
            clients,
        }
    }

    /// Asks clients for certificates, which prove this label.
    fn certified(&self, required: bool, label: Option<Identity>) -> Clients {
        Clients::Certified {
            ca_file: self.path("clients.pem"),
            required,
            label,
        }
    }

    /// A client that trusts the server's authority.
    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        trusting(&self.server, versions, None)
    }

    /// The same with a certificate.
    fn client_as(&self, pair: &Pair) -> ClientConfig {
        trusting(&self.server, &VERSIONS, Some(pair))
    }
}

fn trusting(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    pair: Option<&Pair>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&authority.pem)).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match pair {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            let chain = vec![certificate(&pair.certificate)];
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// What a certificate with this common name and these other names is made of.
fn named(common: Option<&str>, others: &[&str]) -> CertificateParams {
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(others).unwrap();
    params.distinguished_name = DistinguishedName::new();
    if let Some(common) = common {
        params.distinguished_name.push(DnType::CommonName, common);
    }
    params
}

/// A server with a plain door and one with TLS; it ends when dropped.
struct Server {
    plain: SocketAddr,
    address: SocketAddr,
    door: Arc<Door>,
    tls: Arc<Tls>,
    publisher: Publisher,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(tls: http::tls::Settings) -> Self {
        Self::with(tls, settings(), Limits::default())
    }

    fn with(tls: http::tls::Settings, settings: Settings, limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let tls = Tls::load(tls).unwrap();
        let here = ["127.0.0.1:0".parse().unwrap()];
        let mut listeners = http::bind(&here).unwrap();
        listeners.extend(http::bind_tls(&here, &tls).unwrap());
        let [plain, address] = [listeners[0].address(), listeners[1].address()];
        let door = Door::new(limits, settings.access.trusted_proxies.clone());
        let (publisher, current) = Publisher::new(Duration::from_mins(15));
        let settings = Settings {
            client_label: tls.label(),
            ..settings
        };
        let service = http::service(current, Arc::new(settings));
        for listener in listeners {
            runtime.spawn(Arc::clone(&door).serve(listener, service.clone()));
        }
        runtime.spawn(Arc::clone(&tls).watch());
        drop(inside);
        Self {
            plain,
            address,
            door,
            tls,
            publisher,
            _runtime: runtime,
        }
    }

    fn publish(mut self, snapshot: Snapshot) -> Self {
        let moment = gitboot::publish::Moment::now();
        self.publisher.publish(snapshot, moment);
        self
    }

    fn connect(&self, config: &ClientConfig) -> TlsClient {
        try_connect(self.address, config).unwrap()
    }

    /// One GET on a connection of its own.
    fn get(&self, config: &ClientConfig, target: &str) -> Response {
        self.try_get(config, target).unwrap()
    }

    /// The same where the server may not want us.
    fn try_get(&self, config: &ClientConfig, target: &str) -> io::Result<Response> {
        let mut client = try_connect(self.address, config)?;
        client.try_send(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        // With TLS 1.3, a client learns only now that its certificate is not good.
        client.wait()?;
        Ok(client.response())
    }
}

/// Shakes hands.
fn try_connect(address: SocketAddr, config: &ClientConfig) -> io::Result<TlsClient> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(HOST).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(Client::over(StreamOwned::new(connection, stream)))
}
