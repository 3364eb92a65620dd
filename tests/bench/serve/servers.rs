//! The servers that are set side by side, each a process of its own.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::support::http::get;

/// How long a server may take until it serves: a fleet of a million machines is read first.
const PATIENCE: Duration = Duration::from_mins(3);
/// How long it may take to end.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Where a child process that is to be the bare hyper finds its body; the port follows.
pub(crate) const BARE: &str = "GITBOOT_BENCH_BARE";

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // A master of workers takes them with it only when it is asked to end.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").arg(id).status();
        let until = Instant::now() + END_PATIENCE;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK_PAUSE);
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the log of a `gitboot serve` goes.
#[derive(Clone, Copy)]
pub(crate) enum Log<'l> {
    /// Warnings alone.
    Off,
    /// All of it, into a file.
    File(&'l Path),
    /// All of it, into a pipe that somebody reads.
    Pipe,
}

/// `gitboot serve`, once it is ready.
pub(crate) fn gitboot(repository: &Path, log: Log<'_>) -> Server {
    let address = free_address();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitboot"));
    command
        .arg("serve")
        .arg(format!("--repo={}", repository.display()))
        .arg(format!("--listen={address}"))
        .args(["--state-dir=none", "--interval=1h", "--drain-delay=0s"])
        .arg("--ops-listen=127.0.0.1:0")
        .env_clear();
    let mut reader = None;
    match log {
        Log::Off => command.arg("--log-level=warn").stderr(Stdio::inherit()),
        Log::File(path) => command.stderr(File::create(path).unwrap()),
        Log::Pipe => {
            let (read, write) = std::io::pipe().unwrap();
            reader = Some(read);
            command.stderr(write)
        }
    };
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    // The writing end is closed here, so that the reader ends with the server.
    drop(command);
    if let Some(mut reader) = reader {
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
    }
    let server = Server { child, address };
    server.wait(|| get(address, "/ready").status == 200);
    server
}

/// What an administrator writes who wants files served fast, and no connection closed in the middle of it.
pub(crate) const NGINX_SETTINGS: &str = "access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; \
     sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=1000;";

/// nginx with a file for each of these paths, where it is installed.
pub(crate) fn nginx(folder: &Path, files: &[(&str, &str)]) -> Option<Server> {
    let address = free_address();
    for (path, content) in files {
        let file = folder.join("root").join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let folder = folder.display();
    // Its workers would be somebody who may not look into the folder.
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    let user = if user.starts_with(b"0\n") {
        "user root;"
    } else {
        ""
    };
    let settings = format!(
        "daemon off; {user} pid {folder}/pid; error_log {folder}/error.log; worker_processes auto;
events {{ worker_connections 4096; }}
http {{
  {NGINX_SETTINGS}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {address}; root {folder}/root; default_type text/plain; }}
}}
"
    );
    let path = format!("{folder}/nginx.conf");
    fs::write(&path, settings).unwrap();
    let log = format!("{folder}/error.log");
    // The second is where systems have it that hide it from people.
    let mut found = ["nginx", "/usr/sbin/nginx"].into_iter().filter_map(|name| {
        let mut command = Command::new(name);
        command.args(["-e", &log, "-c", &path]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .ok()
    });
    let child = found.next()?;
    let server = Server { child, address };
    server.wait(|| true);
    Some(server)
}

/// hyper without anything around it, which answers everything with one body.
pub(crate) fn bare(body: &Path) -> Server {
    let address = free_address();
    let child = Command::new(std::env::current_exe().unwrap())
        .env(BARE, format!("{} {address}", body.display()))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { child, address };
    server.wait(|| true);
    server
}

/// What the child process for [`bare`] does, for ever: a thread for each processor, each with a runtime of its own on the one
/// socket, as gitboot has them.
pub(crate) fn be_bare(setting: &str) {
    let (path, address) = setting.rsplit_once(' ').unwrap();
    let body = Bytes::from(fs::read(path).unwrap());
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    // Connections take it over.
    socket2::SockRef::from(&listener)
        .set_tcp_nodelay(true)
        .unwrap();
    let processors = std::thread::available_parallelism().unwrap().get();
    let threads = (0..processors).map(|_| {
        let (listener, body) = (listener.try_clone().unwrap(), body.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(answer_bare(listener, body));
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}

async fn answer_bare(listener: TcpListener, body: Bytes) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(|_: Request<Incoming>| {
                let mut response = Response::new(Full::new(body.clone()));
                let text = HeaderValue::from_static("text/plain; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, text);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            // Whoever breaks off is gone.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

impl Server {
    /// The process and its children.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().map(|id| id.parse().unwrap());
        std::iter::once(own).chain(children).collect()
    }

    fn wait(&self, is_ready: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() || !is_ready() {
            assert!(Instant::now() < until, "no server at {}", self.address);
            std::thread::sleep(LOOK_PAUSE);
        }
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
