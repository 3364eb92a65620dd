//! What every page has around it, and the headers that hold a browser to it.

use std::sync::LazyLock;

use ::http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::super::reply::Reply;
use super::health::Level;
use super::visible::visible;

/// How all pages look.
const STYLE: &str = include_str!("style.css");

/// What makes the page at `/` follow what happens, and copies texts. Everything works without it.
const SCRIPT: &str = include_str!("script.js");

/// What a browser may do with a page: show it with this style and this script, ask this server again, and nothing else. Whatever
/// a label would smuggle in has no hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::try_from(policy).expect("it is printable ASCII")
});

/// A page before it is a document.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    /// What the icon of the page's tab shows.
    pub(super) level: Level,
    /// Whether the page follows what happens.
    pub(super) is_live: bool,
    /// What stands in the search field; `None` for no such field.
    pub(super) typed: Option<String>,
    /// Whether there is a session that can be ended.
    pub(super) can_leave: bool,
    pub(super) main: Markup,
}

impl Page {
    pub(super) fn reply(self) -> Reply {
        let status = self.status;
        let html = visible(self.document().into_string());
        Reply::page(status, html, POLICY.clone())
    }

    fn document(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    link rel="icon" href=(icon(self.level));
                    // Constants: nothing that anybody sends comes here.
                    style { (PreEscaped(STYLE)) }
                }
                body data-live[self.is_live] {
                    a.skip href="#main" { "Skip to content" }
                    (self.header())
                    main #main tabindex="-1" { (self.main) }
                    (footer())
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }

    fn header(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/" { "gitboot" }
                @if let Some(typed) = &self.typed {
                    search {
                        form action="/search" method="get" {
                            label.unseen for="q" { "Search machines by any label" }
                            input #q name="q" type="search" value=(typed) maxlength="4096" autocomplete="off"
                                autocapitalize="off" spellcheck="false"
                                placeholder="MAC, serial, hostname or key=value&…";
                            button type="submit" { "Explain" }
                        }
                    }
                }
                @if self.can_leave {
                    form.leave action="/" method="post" {
                        button type="submit" name="leave" value="1" { "Sign out" }
                    }
                }
            }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer.bottom {
            span { "gitboot " (env!("CARGO_PKG_VERSION")) }
            nav aria-label="For programs" {
                a href="/status" { "status" } " "
                a href="/metrics" { "metrics" } " "
                a href="/api/machines" { "machines" } " "
                a href="/api/profiles" { "profiles" } " "
                a href="/api/assignments" { "assignments" }
            }
            span #pulse role="status" hidden {}
        }
    }
}

/// A square in the colour of the level, with its sign.
fn icon(level: Level) -> String {
    let (colour, sign) = (level.colour(), level.path());
    // `#` would end the URL.
    format!(
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
         <rect width='16' height='16' rx='4' fill='%23{colour}'/>\
         <path d='{sign}' fill='none' stroke='white' stroke-width='2.2' stroke-linecap='round' stroke-linejoin='round'/></svg>"
    )
}

/// The SHA-256 of a text in base64, as a content security policy has it.
fn hash(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(text.as_bytes());
    let mut encoded = String::new();
    for group in digest.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let digit = DIGITS.get(digit as usize).filter(|_| place <= group.len());
            encoded.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_recommendation() {
        // The example of CSP level 2, section 4.2.5.
        assert_eq!(
            hash("alert('Hello, world.');"),
            "qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
    }

    #[test]
    fn what_is_hashed_is_what_browsers_see() {
        for text in [STYLE, SCRIPT] {
            assert_eq!(visible(text.to_owned()), text);
            assert!(!text.contains('\r') && !text.contains("</"));
        }
    }
}
