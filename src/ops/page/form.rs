//! The form for the token, where the listener is not on a loopback address.

use std::time::SystemTime;

use ::http::{HeaderValue, StatusCode};
use maud::html;

use super::frame::Page;
use super::health::Level;
use super::query;
use crate::ops::reply::Reply;
use crate::ops::session;

/// What somebody filled in.
pub(in crate::ops) struct Filled {
    token: String,
    /// The page that was asked for.
    to: String,
    /// Whether the session is to end.
    leaves: bool,
}

impl Filled {
    /// Reads a form's body.
    pub(in crate::ops) fn read(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let field = |name| query::field(&body, name);
        Self {
            token: field("token").unwrap_or_default(),
            to: field("to").unwrap_or_default(),
            leaves: field("leave").is_some(),
        }
    }

    /// The answer where this is the token.
    pub(in crate::ops) fn reply(&self, token: Option<&[u8]>) -> Reply {
        if self.leaves {
            return to("/", &session::end());
        }
        let is_same = |token: &&[u8]| super::super::hook::is_same(token, self.token.as_bytes());
        match token.filter(is_same) {
            Some(token) => to(local(&self.to), &session::begin(token, SystemTime::now())),
            None => form(&self.to, true),
        }
    }
}

/// The form. It stands where nothing is for whoever has no token, so that is what the status says (contract, section 7).
pub(in crate::ops) fn form(asked_for: &str, is_wrong: bool) -> Reply {
    let main = html! {
        section.panel.token aria-labelledby="token-title" {
            h1 #token-title { "gitboot" }
            @if is_wrong { p.wrong role="alert" { "This is not the token." } }
            form action="/" method="post" {
                label for="token" { "Token" }
                input #token name="token" type="password" required autocomplete="current-password" autofocus;
                input name="to" type="hidden" value=(local(asked_for));
                button type="submit" { "Show" }
            }
            p.more { "It is in the file of " code { "--ops-token-file" } " on the server. You are asked again in 12 hours." }
        }
    };
    let page = Page {
        status: StatusCode::NOT_FOUND,
        title: "gitboot".to_owned(),
        level: Level::Waiting,
        is_live: false,
        typed: None,
        can_leave: false,
        main,
    };
    let reply = page.reply();
    if is_wrong { reply.late() } else { reply }
}

/// Where a browser goes next, with what becomes of its cookie.
fn to(place: &str, cookie: &str) -> Reply {
    let header = |text: &str| HeaderValue::try_from(text);
    match (header(place), header(cookie)) {
        (Ok(place), Ok(cookie)) => Reply::see_other(place, Some(cookie)),
        _ => Reply::not_found(),
    }
}

/// A place on this very server, else `/`: nobody is sent elsewhere by what a link says.
fn local(place: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let is_local = place.starts_with('/') && !place.starts_with("//");
    if is_local && place.bytes().all(is_plain) {
        place
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_server() {
        assert_eq!(local("/explain?mac=1&x=%20"), "/explain?mac=1&x=%20");
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "explain",
            "/\r\nX: y",
            "/ä",
        ] {
            assert_eq!(local(other), "/", "{other}");
        }
    }
}
