//! Waiting until servers serve a revision, by asking each for its `/status`.

use std::io::Read as _;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::blocking::Client;
use serde_json::Value;

/// How long to rest between two rounds: a push is served within a second where a hook tells of it.
const PAUSE: Duration = Duration::from_millis(500);

/// How long one answer may take, so that one server that hangs keeps no other from being asked.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The most bytes of an answer: a hundred diagnostics have some kilobytes.
const MAX_ANSWER_BYTES: u64 = 4 << 20;

/// The fewest digits that name a commit: as many as git prints.
const MIN_DIGITS: usize = 7;

/// The most digits: a whole SHA-1.
const MAX_DIGITS: usize = 40;

/// A commit by its id, or by the beginning of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted(String);

impl Wanted {
    /// Reads 7 to 40 hex digits.
    ///
    /// # Errors
    /// Says what they look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(MIN_DIGITS..=MAX_DIGITS).contains(&text.len()) {
            return Err(format!(
                "a revision is {MIN_DIGITS} to {MAX_DIGITS} hex digits; `git rev-parse {text}` may tell them"
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    fn is(&self, revision: &Value) -> bool {
        revision
            .as_str()
            .is_some_and(|revision| revision.starts_with(&self.0))
    }
}

/// An operations listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server(Url);

impl Server {
    /// Reads `http://host:port`, perhaps with a path.
    ///
    /// # Errors
    /// Says what it looks like; repeats no password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let Some(mut url) = url else {
            return Err("servers look like `http://localhost:8081`, without a password".to_owned());
        };
        let path = format!("{}/status", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

/// How the waiting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every server serves the revision.
    Served,
    /// A server refuses it.
    Refused {
        /// Which one.
        server: String,
        /// Its diagnostics, a line each.
        diagnostics: Vec<String>,
    },
    /// The time is over.
    TimedOut {
        /// What each server said last that does not serve it.
        behind: Vec<String>,
    },
}

/// What one server said.
enum Said {
    Serves,
    Refuses(Vec<String>),
    NotYet(String),
}

/// Asks all servers until each serves the revision, one refuses it, or the time is over.
///
/// # Errors
/// When there can be no connections at all.
pub fn wait(servers: &[Server], wanted: &Wanted, time: Duration) -> anyhow::Result<End> {
    // The first caller in the process wins; ring is the only provider compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().timeout(ANSWER_TIME).build()?;
    let until = Instant::now() + time;
    let mut asked: Vec<&Server> = servers.iter().collect();
    loop {
        let mut behind = Vec::new();
        let mut left = Vec::new();
        for server in asked {
            match ask(&client, server, wanted) {
                Said::Serves => {}
                Said::Refuses(diagnostics) => {
                    return Ok(End::Refused {
                        server: server.0.to_string(),
                        diagnostics,
                    });
                }
                Said::NotYet(why) => {
                    behind.push(format!("{}: {why}", server.0));
                    left.push(server);
                }
            }
        }
        if left.is_empty() {
            return Ok(End::Served);
        }
        let now = Instant::now();
        if now >= until {
            return Ok(End::TimedOut { behind });
        }
        std::thread::sleep(PAUSE.min(until - now));
        asked = left;
    }
}

fn ask(client: &Client, server: &Server, wanted: &Wanted) -> Said {
    let response = match client.get(server.0.clone()).send() {
        Ok(response) => response,
        Err(error) => return Said::NotYet(format!("it does not answer: {}", causes(error))),
    };
    let code = response.status();
    let mut body = Vec::new();
    let read = response.take(MAX_ANSWER_BYTES).read_to_end(&mut body);
    let status: Option<Value> = read.ok().and_then(|_| serde_json::from_slice(&body).ok());
    let Some(status) = status.filter(|status| code.is_success() && status.is_object()) else {
        return Said::NotYet(format!("it has no status ({code})"));
    };
    if wanted.is(&status["served_revision"]) {
        return Said::Serves;
    }
    let refused = &status["refused"];
    if wanted.is(&refused["revision"]) {
        let lines = refused["diagnostics"].as_array().into_iter().flatten();
        let lines = lines.filter_map(Value::as_str).map(str::to_owned);
        return Said::Refuses(lines.collect());
    }
    let current = status["served_revision"].as_str().unwrap_or("nothing yet");
    let message = status["last_error"]["message"].as_str();
    Said::NotYet(match message {
        Some(message) => format!("it serves {current}, and cannot read the repository: {message}"),
        None => format!("it serves {current}"),
    })
}

/// What went wrong, with what led to it.
fn causes(error: reqwest::Error) -> String {
    let error = anyhow::Error::new(error.without_url());
    format!("{error:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_hex_digits() {
        for good in ["4f2a91c", "4F2A91C0", &"a".repeat(40)] {
            assert!(Wanted::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "main", "4f2a91", "HEAD~1", &"a".repeat(41)] {
            assert!(Wanted::parse(bad).is_err(), "{bad}");
        }
        let wanted = Wanted::parse("4F2A91C").unwrap();
        assert!(wanted.is(&Value::from("4f2a91c0")));
        assert!(!wanted.is(&Value::from("4f2a9")) && !wanted.is(&Value::Null));
    }

    #[test]
    fn servers_are_urls_without_a_password() {
        let url = |text: &str| Server::parse(text).map(|server| server.0.to_string());
        let status = "http://localhost:8081/status".to_owned();
        assert_eq!(url("http://localhost:8081").as_ref(), Ok(&status));
        assert_eq!(url("http://localhost:8081/").as_ref(), Ok(&status));
        assert_eq!(
            url("https://a.example/b/").unwrap(),
            "https://a.example/b/status"
        );
        for bad in [
            "localhost:8081",
            "",
            "ftp://a",
            "http://a:hunter2@b",
            "http://",
        ] {
            let error = url(bad).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
