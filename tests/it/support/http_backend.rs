//! A small HTTP server on loopback that serves repositories through `git http-backend`, and misbehaves on demand.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::git;

/// A request that the server has seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// Whether the request is for objects, not only for refs.
    pub(crate) fn is_fetch(&self) -> bool {
        self.method == "POST" && contains(&self.body, b"command=fetch")
    }
}

impl Seen {
    /// What the client logged in with.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization")?.to_str().ok()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// What git says.
    Git,
    /// What git says to clients of before protocol version 2.
    OldGit,
    /// This, whatever was asked.
    Fixed {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    },
    /// What git says, its body cut to so many bytes, and then silence.
    Stall(usize),
    /// What git says, a byte each time this long has passed.
    Drip(Duration),
    /// What git says, so many bytes each time this long has passed.
    Slow(usize, Duration),
    /// What git says, with its bytes from here on changed.
    Damaged(usize),
}

type Chooser = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;

/// The server; it stops when it is dropped.
pub(crate) struct HttpBackend {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    chooser: Arc<Mutex<Chooser>>,
    /// Dropping it ends all tasks.
    _runtime: Runtime,
}

impl HttpBackend {
    /// Serves every repository below `root`. Pushes are taken, too.
    pub(crate) fn new(root: &Path) -> Self {
        Self::start(root, None)
    }

    /// The same behind TLS.
    pub(crate) fn with_tls(root: &Path, config: ServerConfig) -> Self {
        Self::start(root, Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn start(root: &Path, tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let chooser: Arc<Mutex<Chooser>> = Arc::new(Mutex::new(Arc::new(|_| Answer::Git)));
        let state = State {
            root: root.to_owned(),
            seen: Arc::clone(&seen),
            chooser: Arc::clone(&chooser),
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        runtime.spawn(accept(listener, tls, state));
        Self {
            address,
            scheme,
            seen,
            chooser,
            _runtime: runtime,
        }
    }

    /// The URL of the repository at this path below the root.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.address)
    }

    /// Denies every request without this `Authorization` header from now on.
    pub(crate) fn want(&self, authorization: &str) {
        let expected = authorization.to_owned();
        self.answer(move |seen| match seen.authorization() {
            Some(found) if found == expected => Answer::Git,
            _ => Answer::Fixed {
                status: 401,
                headers: vec![("www-authenticate", "Basic realm=\"git\"".to_owned())],
                body: Bytes::new(),
            },
        });
    }

    /// Decides what to do with each request from now on.
    pub(crate) fn answer(&self, chooser: impl Fn(&Seen) -> Answer + Send + Sync + 'static) {
        *self.chooser.lock().unwrap() = Arc::new(chooser);
    }

    /// The requests since the last call of [`Self::take_seen`].
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests since the last call.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

#[derive(Clone)]
struct State {
    root: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
    chooser: Arc<Mutex<Chooser>>,
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: State) {
    while let Ok((stream, _)) = listener.accept().await {
        let (state, tls) = (state.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, state).await,
                // A client that does not trust us is none of our business either.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, state).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, state: State) {
    let service = service_fn(move |request| handle(request, state.clone()));
    // A client that goes away is none of our business.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Reply = Response<BoxBody<Bytes, Infallible>>;

async fn handle(request: Request<Incoming>, state: State) -> Result<Reply, Infallible> {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    };
    state.seen.lock().unwrap().push(seen.clone());
    let chooser = Arc::clone(&*state.chooser.lock().unwrap());
    let answer = chooser(&seen);
    if let Answer::Fixed {
        status,
        headers,
        body,
    } = answer
    {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        return Ok(response.body(Full::new(body).boxed()).unwrap());
    }
    let mut seen = seen;
    if matches!(answer, Answer::OldGit) {
        seen.headers.remove("git-protocol");
    }
    let root = state.root.clone();
    let (head, body) = tokio::task::spawn_blocking(move || cgi(&root, &seen))
        .await
        .unwrap();
    let mut response = Response::builder();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = if name == "Status" {
            response.status(&value[..3])
        } else {
            response.header(name, value)
        };
    }
    let body = match answer {
        Answer::Git | Answer::OldGit | Answer::Fixed { .. } => Full::new(body).boxed(),
        Answer::Stall(length) => Slow {
            rest: body.slice(..length.min(body.len())),
            pause: None,
            chunk: usize::MAX,
            sleep: None,
        }
        .boxed(),
        Answer::Drip(pause) => Slow::new(body, 1, pause).boxed(),
        Answer::Slow(chunk, pause) => Slow::new(body, chunk, pause).boxed(),
        Answer::Damaged(from) => {
            let mut bytes = body.to_vec();
            for byte in bytes.iter_mut().skip(from) {
                *byte ^= 0x55;
            }
            Full::new(Bytes::from(bytes)).boxed()
        }
    };
    Ok(response.body(body).unwrap())
}

/// Runs `git http-backend` for one request and splits its answer into head and body.
fn cgi(root: &Path, seen: &Seen) -> (String, Bytes) {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let header = |name: &str| {
        let value = seen
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let mut child = git::command(root)
        .args(["-c", "http.receivepack=true", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &seen.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", seen.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // git may answer without reading everything.
    let _ = child.stdin.take().unwrap().write_all(&seen.body);
    let output = Bytes::from(child.wait_with_output().unwrap().stdout);
    let end = output
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(output[..end].to_vec()).unwrap();
    (head, output.slice(end + 4..))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A body that never ends, or only after a long time.
struct Slow {
    rest: Bytes,
    /// How long each chunk takes; `None` sends all at once and then nothing for ever.
    pause: Option<Duration>,
    chunk: usize,
    sleep: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl Slow {
    fn new(rest: Bytes, chunk: usize, pause: Duration) -> Self {
        Self {
            rest,
            pause: Some(pause),
            chunk,
            sleep: None,
        }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        use std::task::Poll;

        if self.rest.is_empty() {
            return if self.pause.is_some() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        }
        if let Some(pause) = self.pause {
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
        let count = self.chunk.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(count)))))
    }
}
