//! What a forge's API does with comments, as GitHub and GitLab document it, on loopback.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::http_backend::{Answer, HttpBackend, Seen};

/// Which forge is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    GitHub,
    GitLab,
}

/// A comment.
#[derive(Clone, Debug)]
pub(super) struct Comment {
    pub(super) id: usize,
    pub(super) author: &'static str,
    pub(super) body: String,
}

/// What the forge holds.
#[derive(Default)]
pub(super) struct Held {
    pub(super) comments: Vec<Comment>,
    /// What was changed, in order: method and path.
    pub(super) changes: Vec<String>,
    /// What was uploaded to code scanning.
    pub(super) scans: Vec<Value>,
}

/// The forge.
pub(super) struct Forge {
    backend: HttpBackend,
    pub(super) held: Arc<Mutex<Held>>,
    folder: tempfile::TempDir,
}

/// Who the token of the job is.
pub(super) fn robot(kind: Kind) -> &'static str {
    match kind {
        Kind::GitHub => "github-actions[bot]",
        Kind::GitLab => "42",
    }
}

impl Forge {
    pub(super) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = HttpBackend::new(folder.path());
        let held = Arc::<Mutex<Held>>::default();
        let shared = Arc::clone(&held);
        backend.answer(move |seen| {
            let (status, body) = answer(kind, &mut shared.lock().unwrap(), seen);
            Answer::Fixed {
                status,
                headers: vec![("content-type", "application/json".to_owned())],
                body: body.to_string().into(),
            }
        });
        Self {
            backend,
            held,
            folder,
        }
    }

    pub(super) fn url(&self) -> String {
        let url = self.backend.url("");
        url.trim_end_matches('/').to_owned()
    }

    /// A folder for files of a job.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Adds so many comments of somebody.
    pub(super) fn talk(&self, author: &'static str, count: usize, body: &str) {
        let mut held = self.held.lock().unwrap();
        for _ in 0..count {
            held.add(author, body.to_owned());
        }
    }

    /// What was changed since the last call.
    pub(super) fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.held.lock().unwrap().changes)
    }
}

impl Held {
    fn add(&mut self, author: &'static str, body: String) -> Value {
        let id = 1000 + self.comments.len();
        self.comments.push(Comment { id, author, body });
        json!({ "id": id })
    }
}

fn answer(kind: Kind, held: &mut Held, seen: &Seen) -> (u16, Value) {
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok());
    let is_known = match kind {
        Kind::GitHub => seen.authorization() == Some("Bearer secret-token"),
        Kind::GitLab => header("private-token") == Some("secret-token"),
    };
    if !is_known {
        return (401, json!({"message": "Unauthorized"}));
    }
    let body = || -> Value {
        assert_eq!(header("content-type"), Some("application/json"));
        serde_json::from_slice(&seen.body).unwrap()
    };
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let (comments, one) = match kind {
        Kind::GitHub => (
            "/repos/ann/site/issues/7/comments",
            "/repos/ann/site/issues/comments/",
        ),
        Kind::GitLab => (
            "/projects/3/merge_requests/7/notes",
            "/projects/3/merge_requests/7/notes/",
        ),
    };
    if seen.method != "GET" {
        held.changes.push(format!("{} {path}", seen.method));
    }
    let change = if kind == Kind::GitHub { "PATCH" } else { "PUT" };
    match seen.method.as_str() {
        "GET" if path == "/user" => (200, json!({"id": 42})),
        "GET" if path == comments => (200, page(kind, held, query)),
        "POST" if path == comments => {
            let text = body()["body"].as_str().unwrap().to_owned();
            (201, held.add(robot(kind), text))
        }
        "POST" if path == "/repos/ann/site/code-scanning/sarifs" => {
            held.scans.push(body());
            (202, json!({"id": "x"}))
        }
        method if method == change && path.starts_with(one) => {
            let id: usize = path[one.len()..].parse().unwrap();
            let text = body()["body"].as_str().unwrap().to_owned();
            let found = held.comments.iter_mut().find(|comment| comment.id == id);
            found.unwrap().body = text;
            (200, json!({ "id": id }))
        }
        _ => (404, json!({"message": "Not Found"})),
    }
}

/// A page of comments, 30 or 20 unless asked otherwise and 100 at most, the oldest first.
fn page(kind: Kind, held: &Held, query: &str) -> Value {
    let number = |name: &str| -> Option<usize> {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name)?.1.parse().ok()
    };
    let default = if kind == Kind::GitHub { 30 } else { 20 };
    let (size, page) = (
        number("per_page").unwrap_or(default).min(100),
        number("page").unwrap_or(1),
    );
    let comments = held.comments.iter().skip((page - 1) * size).take(size);
    let shown = comments.map(|comment| match kind {
        Kind::GitHub => json!({"id": comment.id, "body": comment.body, "user": {"login": comment.author}}),
        Kind::GitLab => {
            let author: usize = comment.author.parse().unwrap();
            json!({"id": comment.id, "body": comment.body, "system": false, "author": {"id": author}})
        }
    });
    shown.collect()
}
