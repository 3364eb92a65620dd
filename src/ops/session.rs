//! Who has shown the token in a form: a cookie that is not the token, holds for some hours, and ends with the token.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::HeaderMap;
use ::http::header::COOKIE;
use hmac::Mac as _;

use super::hook;

/// The cookie's name.
const NAME: &str = "gitboot_ops";

/// How long a person is let in: a working day.
const LIFETIME: Duration = Duration::from_hours(12);

/// What is signed with the token, before the second in which it ends; another use of the token signs something else.
const PURPOSE: &str = "gitboot session 1 until ";

/// The line that hands the cookie to a browser which has shown the token.
pub(super) fn begin(token: &[u8], now: SystemTime) -> String {
    let until = seconds(now + LIFETIME);
    let tag = hook::tag(token, message(until).as_bytes()).finalize();
    let mut hex = String::new();
    for byte in tag.into_bytes() {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    line(&format!("{until}.{hex}"), LIFETIME)
}

/// The line that takes the cookie away.
pub(super) fn end() -> String {
    line("", Duration::ZERO)
}

/// Whether one of the cookies was handed out for this token and has not ended.
pub(super) fn is_open(token: &[u8], headers: &HeaderMap, now: SystemTime) -> bool {
    let lines = headers.get_all(COOKIE).iter();
    let mut cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    cookies.any(|(name, value)| name == NAME && is_good(token, value, now))
}

fn is_good(token: &[u8], value: &str, now: SystemTime) -> bool {
    let Some((until, hex)) = value.split_once('.') else {
        return false;
    };
    let (Ok(until), Some(tag)) = (until.parse::<u64>(), hook::decoded(hex.as_bytes())) else {
        return false;
    };
    let now = seconds(now);
    let is_now = now < until && until <= now.saturating_add(LIFETIME.as_secs());
    is_now && hook::is_tag(token, message(until).as_bytes(), &tag)
}

fn message(until: u64) -> String {
    format!("{PURPOSE}{until}")
}

fn line(value: &str, age: Duration) -> String {
    let age = age.as_secs();
    format!("{NAME}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict")
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"a long token";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn value(line: &str) -> String {
        line.split(';').next().unwrap().to_owned()
    }

    fn is_let_in(cookie: &str, token: &[u8], now: u64) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.parse().unwrap());
        is_open(token, &headers, at(now))
    }

    #[test]
    fn a_cookie_holds_for_its_time_and_its_token() {
        let line = begin(TOKEN, at(1000));
        assert!(line.contains("; HttpOnly; SameSite=Strict"), "{line}");
        assert!(!line.contains("token"), "{line}");
        let cookie = value(&line);
        assert!(is_let_in(&cookie, TOKEN, 1000));
        assert!(is_let_in(&format!("a=b; {cookie}"), TOKEN, 1000 + 43_199));
        assert!(!is_let_in(&cookie, TOKEN, 1000 + 43_200));
        assert!(
            !is_let_in(&cookie, TOKEN, 900),
            "from a clock that was wrong"
        );
        assert!(!is_let_in(&cookie, b"another token", 1000));
        assert!(!is_let_in(&value(&end()), TOKEN, 1000));
    }

    #[test]
    fn nothing_else_is_a_cookie() {
        let cookie = value(&begin(TOKEN, at(1000)));
        let (_, tag) = cookie.split_once('.').unwrap();
        for other in [
            format!("gitboot_ops=44201.{tag}"),
            cookie.replace("gitboot_ops", "gitboot"),
            cookie.get(..cookie.len() - 2).unwrap().to_owned(),
            format!("{cookie}00"),
            "gitboot_ops=44200.".to_owned(),
            "gitboot_ops=a long token".to_owned(),
            "gitboot_ops".to_owned(),
        ] {
            assert!(!is_let_in(&other, TOKEN, 1000), "{other}");
        }
    }
}
