//! What a remote's answer, or the lack of one, means for the person who has to mend it.

use std::error::Error;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use rustls::{AlertDescription, CertificateError};

use crate::source::credentials::Credentials;
use crate::source::error::{ErrorClass, SourceError, cause, printable};

/// The content types of the smart protocol.
const SMART_TYPES: [&str; 2] = [
    "application/x-git-upload-pack-advertisement",
    "application/x-git-upload-pack-result",
];

/// How long a remote that is asked too often is left alone when it does not say how long: forges count by the minute.
const TOO_OFTEN_PAUSE: Duration = Duration::from_mins(1);

/// Lets a response through that is git's. `is_own` says whether the request was sent with the credentials.
pub(super) fn accept(
    response: Response,
    credentials: &Credentials,
    is_own: bool,
) -> Result<Response, SourceError> {
    let status = response.status();
    let (class, message) = match status {
        StatusCode::OK => {
            let content_type = response
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok());
            let content_type = content_type.unwrap_or("no content type");
            if SMART_TYPES.contains(&content_type.trim()) {
                return Ok(response);
            }
            let message = format!(
                "the remote answers with `{}`, not with git's smart protocol; check the repository URL",
                printable(content_type)
            );
            (ErrorClass::Protocol, message)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            (ErrorClass::Auth, denied(status, credentials, is_own))
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            (ErrorClass::Auth, PROXY_WANTS_LOGIN.to_owned())
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let message = format!("there is no repository at this URL ({})", status.as_u16());
            (ErrorClass::NotFound, message)
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let pause = retry_after(response.headers(), SystemTime::now());
            let error = SourceError::new(ErrorClass::Server, ASKED_TOO_OFTEN);
            return Err(error.with_retry_after(pause.or(Some(TOO_OFTEN_PAUSE))));
        }
        status if status.is_server_error() => {
            let message = format!("the remote cannot answer now ({})", status.as_u16());
            let pause = retry_after(response.headers(), SystemTime::now());
            let error = SourceError::new(ErrorClass::Server, message);
            return Err(error.with_retry_after(pause));
        }
        status => {
            let message = format!(
                "the remote answers with the unexpected status {}",
                status.as_u16()
            );
            (ErrorClass::Protocol, message)
        }
    };
    Err(SourceError::new(class, message))
}

/// How long a remote wants to be left alone, in seconds or until a date. A date that has passed says nothing.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text)
        .ok()?
        .duration_since(now)
        .ok()
}

/// What to do about a 429.
const ASKED_TOO_OFTEN: &str = "the remote is asked too often (429); raise `--interval`, or log in, since forges grant \
                               strangers less";

/// What a proxy that wants a login gets said of it.
const PROXY_WANTS_LOGIN: &str =
    "the proxy of `--git-proxy` wants a login (407), which is not supported";

/// What to look at after a 401 or 403.
fn denied(status: StatusCode, credentials: &Credentials, is_own: bool) -> String {
    let code = status.as_u16();
    let file = |path: &std::path::Path| printable(&path.display().to_string());
    if !is_own {
        return format!(
            "the remote redirects to another host, which wants credentials ({code}); they are sent to the host of the \
             repository URL only, so give the URL that the redirect leads to"
        );
    }
    if let Some(path) = &credentials.password_file {
        let path = file(path);
        return format!(
            "the remote denies access ({code}) to the user of `--git-username` with the password of \
             `--git-password-file` (`{path}`)"
        );
    }
    if let Some(path) = &credentials.bearer_token_file {
        let path = file(path);
        return format!(
            "the remote denies access ({code}) with the token of `--git-bearer-token-file` (`{path}`)"
        );
    }
    if status == StatusCode::FORBIDDEN {
        return "the remote denies access (403)".to_owned();
    }
    "the remote wants credentials (401): give `--git-username` and `--git-password-file`, or `--git-bearer-token-file`; \
     forges say so for a repository that does not exist, too"
        .to_owned()
}

/// Why a request failed before there was a response, or in the middle of one.
pub(super) fn failed(error: &reqwest::Error, credentials: &Credentials) -> SourceError {
    let mut class = if error.is_timeout() {
        ErrorClass::Timeout
    } else {
        ErrorClass::Refused
    };
    let mut is_tunnel = false;
    // The last cause says why; those before it say only that something failed.
    let mut last: &(dyn Error + 'static) = error;
    while let Some(next) = cause(last) {
        let text = next.to_string();
        if let Some(error) = next.downcast_ref::<rustls::Error>() {
            return tls(error);
        } else if text.starts_with("dns error") {
            class = ErrorClass::Dns;
        } else if text.starts_with("invalid HTTP ") {
            class = ErrorClass::Protocol;
        } else if text == "tunnel error: proxy authorization required" {
            return SourceError::new(ErrorClass::Auth, PROXY_WANTS_LOGIN);
        }
        is_tunnel |= text.starts_with("tunnel error") && !text.contains("underlying");
        last = next;
    }
    let has_proxy = credentials.proxy.is_some() && error.is_connect();
    let what = match class {
        _ if is_tunnel => "the proxy of `--git-proxy` does not connect to the remote",
        ErrorClass::Dns if has_proxy => "the name of the proxy of `--git-proxy` cannot be resolved",
        ErrorClass::Refused if has_proxy => "the proxy of `--git-proxy` cannot be reached",
        ErrorClass::Dns => "the remote's name cannot be resolved",
        ErrorClass::Timeout => "the remote did not answer in time",
        ErrorClass::Protocol => "the remote does not speak HTTP",
        _ => "the remote cannot be reached",
    };
    SourceError::new(class, format!("{what}: {}", printable(&last.to_string())))
}

/// Why a TLS handshake failed, and what to do about it. What we showed is a matter of credentials.
fn tls(error: &rustls::Error) -> SourceError {
    let (class, message) = match error {
        rustls::Error::InvalidCertificate(problem) => (ErrorClass::Tls, certificate(problem)),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => {
            let message = "the remote wants a client certificate, or another one: look at `--git-client-cert-file` and \
                           `--git-client-key-file`";
            (ErrorClass::Auth, message.to_owned())
        }
        _ => {
            let message = "the TLS handshake with the remote failed";
            (ErrorClass::Tls, message.to_owned())
        }
    };
    let detail = printable(&error.to_string());
    SourceError::new(class, format!("{message}: {detail}"))
}

fn certificate(problem: &CertificateError) -> String {
    let message = match problem {
        CertificateError::UnknownIssuer => {
            "the remote's certificate is from an authority that is not trusted; name the certificate of the authority \
             with `--git-ca-file`"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the remote's certificate has expired; it has to be renewed there, or the clock of this machine is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the remote's certificate is not valid yet; look at the clock of this machine"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the remote's certificate is for another name than that in the repository URL"
        }
        _ => "the remote's certificate is not accepted",
    };
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_pause_is_told_in_seconds_or_until_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:51:07 GMT", Some(90)),
            ("Sunday, 06-Nov-94 08:51:07 GMT", Some(90)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", None),
            ("-1", None),
            ("1.5", None),
            ("99999999999999999999999", None),
            ("soon", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
