//! Where traces go, and what is said of the process: our flags, and the variables that OpenTelemetry's own libraries read.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::wire::KeyValue;

/// Where a collector takes traces, below its address (OTLP, section "OTLP/HTTP Request").
const TRACES_PATH: &str = "v1/traces";

/// How long a collector may take for its answer unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise: what OpenTelemetry's
/// libraries have.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the service is called unless somebody says otherwise.
const SERVICE: &str = "gitboot";

/// Where traces go.
#[derive(Clone)]
pub struct Settings {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) certificates: Option<std::path::PathBuf>,
    pub(super) resource: Vec<KeyValue>,
    pub(super) sample: f64,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers are credentials.
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// Why there are no traces although somebody wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The flag cannot be used.
    Flag(String),
    /// A variable cannot be used. Platforms set those for all programs alike, so it must not keep machines from booting.
    Variable(String),
}

/// The part of requests that begin no trace of their own which is traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample(f64);

impl Sample {
    /// Reads a number from 0 to 1.
    ///
    /// # Errors
    /// Says what it looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let part = text.trim().parse().ok();
        let part = part.filter(|part| (0.0..=1.0).contains(part));
        part.map(Self)
            .ok_or_else(|| "a part is a number from 0 to 1, like `0.01`".to_owned())
    }
}

impl Settings {
    /// Reads the variables; the flag wins over them. `None` where nobody wants traces.
    ///
    /// # Errors
    /// Says what cannot be used. It repeats neither headers nor the user and password of a URL.
    pub fn read(
        flag: Option<&str>,
        sample: Sample,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Unusable> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is = |name: &str, word: &str| {
            variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word))
        };
        let of_flag = flag.map(|text| base(text).map_err(|why| Unusable::Flag(why.to_owned())));
        if flag.is_none() && (is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none"))
        {
            return Ok(None);
        }
        let name =
            |name: &'static str| move |why: &str| Unusable::Variable(format!("{name}: {why}"));
        let whole = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let any = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let url = match (of_flag, variable(whole), variable(any)) {
            (Some(url), ..) => url?,
            (None, Some(text), _) => url(&text).map_err(name(whole))?,
            (None, None, Some(text)) => base(&text).map_err(name(any))?,
            (None, None, None) => return Ok(None),
        };
        let either = |suffix: &str| {
            let of_traces = variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{suffix}"));
            of_traces.or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{suffix}")))
        };
        let timeout = either("TIMEOUT").and_then(|millis| millis.trim().parse().ok());
        let headers = either("HEADERS").unwrap_or_default();
        let attributes = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        Ok(Some(Self {
            url,
            headers: self::headers(&headers).map_err(name("OTEL_EXPORTER_OTLP_HEADERS"))?,
            timeout: timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis),
            certificates: either("CERTIFICATE").map(Into::into),
            resource: resource(variable("OTEL_SERVICE_NAME"), &attributes),
            sample: sample.0,
        }))
    }
}

/// The address of a collector, as a whole.
fn url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or("collectors look like `http://localhost:4318`, without a password")
}

/// The same, to which the path of traces is added.
fn base(text: &str) -> Result<Url, &'static str> {
    let mut url = url(text)?;
    let path = format!("{}/{TRACES_PATH}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// `key=value` between commas, as in W3C's Baggage: values are percent-encoded.
fn pairs(text: &str) -> impl Iterator<Item = (&str, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| {
        let mut bytes = Vec::new();
        crate::label::decode_percent(value.trim(), &mut bytes);
        (key.trim(), String::from_utf8_lossy(&bytes).into_owned())
    })
}

fn headers(text: &str) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    for (key, value) in pairs(text) {
        let parsed = HeaderName::try_from(key)
            .ok()
            .zip(HeaderValue::try_from(value).ok());
        let (name, mut value) = parsed.ok_or("headers look like `name=value,name=value`")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Who the process is; a name of its own wins over the list.
fn resource(name: Option<String>, attributes: &str) -> Vec<KeyValue> {
    let listed = || pairs(attributes).filter(|(key, _)| !key.is_empty());
    let of_list = listed().find(|(key, _)| *key == "service.name");
    let name = name.or(of_list.map(|(_, value)| value));
    let mut all = vec![
        KeyValue::text("service.name", name.unwrap_or_else(|| SERVICE.to_owned())),
        KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
    ];
    for (key, value) in listed() {
        if !all.iter().any(|known| known.key == key) {
            all.push(KeyValue::text(key, value));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flag: Option<&str>, vars: &[(&str, &str)]) -> Result<Option<Settings>, Unusable> {
        let variable = |name: &str| {
            let mut found = vars.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        Settings::read(flag, Sample(0.5), variable)
    }

    fn url_of(flag: Option<&str>, vars: &[(&str, &str)]) -> Option<String> {
        read(flag, vars)
            .unwrap()
            .map(|settings| settings.url.to_string())
    }

    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const WHOLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    #[test]
    fn the_flag_wins_and_variables_do() {
        assert_eq!(url_of(None, &[(BASE, "")]), None);
        let expected = |url: &str| Some(url.to_owned());
        assert_eq!(
            url_of(Some("http://a:4318/"), &[(BASE, "http://b")]),
            expected("http://a:4318/v1/traces")
        );
        assert_eq!(
            url_of(None, &[(BASE, "https://b/x")]),
            expected("https://b/x/v1/traces")
        );
        assert_eq!(
            url_of(None, &[(BASE, "http://b"), (WHOLE, "http://c/y")]),
            expected("http://c/y")
        );
        let off = ("OTEL_SDK_DISABLED", "TRUE");
        assert_eq!(url_of(None, &[(BASE, "http://b"), off]), None);
        assert_eq!(
            url_of(Some("http://a"), &[off]),
            expected("http://a/v1/traces")
        );
        assert_eq!(
            url_of(
                None,
                &[(BASE, "http://b"), ("OTEL_TRACES_EXPORTER", "none")]
            ),
            None
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for bad in ["b:4318", "ftp://b", "http://u:hunter2@b"] {
            assert!(matches!(read(Some(bad), &[]), Err(Unusable::Flag(_))));
            let Err(Unusable::Variable(why)) = read(None, &[(BASE, bad)]) else {
                panic!("{bad}");
            };
            assert!(why.starts_with(BASE) && !why.contains("hunter2"), "{why}");
        }
        let headers = [
            (BASE, "http://b"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"),
        ];
        let why = format!("{:?}", read(None, &headers).unwrap_err());
        assert!(!why.contains("hunter2"), "{why}");
    }

    #[test]
    fn headers_and_attributes_are_lists() {
        let settings = read(
            Some("http://a"),
            &[
                (
                    "OTEL_EXPORTER_OTLP_HEADERS",
                    "Authorization=Bearer%20hunter2, x-b = c",
                ),
                (
                    "OTEL_RESOURCE_ATTRIBUTES",
                    "service.name=list,deployment.environment=lab%2C1,junk",
                ),
                ("OTEL_SERVICE_NAME", "boot"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ],
        );
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.headers["authorization"], "Bearer hunter2");
        assert_eq!(settings.headers["x-b"], "c");
        assert!(!format!("{settings:?} {:?}", settings.headers).contains("hunter2"));
        assert_eq!(settings.timeout, Duration::from_millis(250));
        let expected = [
            KeyValue::text("service.name", "boot"),
            KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::text("deployment.environment", "lab,1"),
        ];
        assert_eq!(settings.resource, expected);
        assert_eq!(
            resource(None, "service.name=list")[0],
            KeyValue::text("service.name", "list")
        );
        assert_eq!(
            resource(None, "")[0],
            KeyValue::text("service.name", "gitboot")
        );
    }

    #[test]
    fn a_sample_is_a_part() {
        for good in ["0", "0.01", "1", "1.0"] {
            assert!(Sample::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-0.1", "1.1", "NaN", "50%"] {
            assert!(Sample::parse(bad).is_err(), "{bad}");
        }
    }
}
