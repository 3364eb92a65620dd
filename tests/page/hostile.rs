//! Machines say what they like, and so do manifests; nobody but us runs anything in the page.

use std::fmt::Write as _;
use std::net::{IpAddr, UdpSocket};

use crate::browser::{Browser, DESK};
use crate::site::{FLEET, Site};
use crate::support::git::Repository;

const PAYLOADS: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "' onmouseover='alert(4)' x='",
    "\" autofocus onfocus=\"alert(5)\" x=\"",
    "javascript:alert(6)",
    "</title></style></script><svg onload=alert(7)>",
    "{{ 7*7 }}${alert(8)}&lt;b&gt;",
    "SN\u{202e}tpircs\u{2066}\u{200b}42",
];

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        write!(encoded, "%{byte:02X}").unwrap();
    }
    encoded
}

/// Nothing of a payload became part of the page.
fn owns_nothing(browser: &Browser, where_: &str) {
    assert!(!browser.has_dialog(), "{where_}");
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{where_}");
    for selector in [
        "main script",
        "main style",
        "img",
        "iframe",
        "b",
        "main svg:not(.sign)",
        "base",
        "object",
    ] {
        assert_eq!(browser.count(selector), 0, "{selector} at {where_}");
    }
    assert_eq!(browser.count("script"), 1, "{where_}");
    let odd = "return [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on') \
               || (a.name === 'href' && !/^(https?:|\\/|#|data:image\\/svg)/.test(a.value)) || a.name === 'style')).length";
    assert_eq!(browser.eval(odd), 0, "{where_}");
    let invisible =
        "return /[\\u202a-\\u202e\\u2066-\\u2069\\u200b]/.test(document.documentElement.outerHTML)";
    assert_eq!(browser.eval(invisible), false, "{where_}");
}

#[test]
fn labels_own_nothing() {
    let manifests = FLEET.replace("site: [x]", "nothing: [x]");
    let site = Site::start(&manifests, &[]);
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let value = encoded(payload);
        let query = format!(
            "mac=52:54:00:00:01:0{number}&serial={value}&hostname={value}&asset={value}&{value}={value}"
        );
        assert_eq!(site.ask(&query), 404);
        let named = format!("mac=52:54:00:00:00:01&serial={value}");
        assert_eq!(site.ask(&named), 200);
    }
    let browser = Browser::open(DESK);
    browser.go(&site.url("/"));
    owns_nothing(&browser, "/");
    assert_eq!(
        browser.count(".cards > li"),
        u64::try_from(PAYLOADS.len()).unwrap()
    );
    let page = browser.text("main");
    assert!(page.contains("<img src=x onerror=alert(3)>"), "{page}");
    assert!(
        page.contains("SN⟨U+202E⟩tpircs⟨U+2066⟩⟨U+200B⟩42"),
        "{page}"
    );
    for payload in PAYLOADS {
        let value = encoded(payload);
        for path in [
            format!("/search?q={value}"),
            format!("/explain?serial={value}&{value}={value}"),
            format!("/explain?mac=52:54:00:00:00:01&uuid={value}"),
            format!("/{value}"),
        ] {
            browser.go(&site.url(&path));
            if path.starts_with("/s") || path.starts_with("/e") {
                owns_nothing(&browser, &path);
            } else {
                assert_eq!(browser.text("body").trim(), "not found");
                browser.complaints();
            }
        }
    }
}

#[test]
fn manifests_own_nothing() {
    let odd = "'\"><img src=x onerror=alert(1)>'";
    let manifests = FLEET
        .replace(
            "metadata: {name: disk}",
            &format!("metadata: {{name: disk, labels: {{{odd}: {odd}}}}}"),
        )
        .replace(
            "#!ipxe\\nexit\\n",
            "#!ipxe\\necho <img src=x onerror=alert(1)>\u{202e}\\nexit\\n",
        )
        .replace("site: [x]", &format!("{odd}: [{odd}]"));
    let site = Site::start(&manifests, &[]);
    let browser = Browser::open(DESK);
    for path in ["/", "/explain?mac=52:54:00:00:00:01&x=y"] {
        browser.go(&site.url(path));
        owns_nothing(&browser, path);
    }
    assert!(
        browser
            .text("#script + pre")
            .contains("<img src=x onerror=alert(1)>⟨U+202E⟩")
    );
    site.push(&manifests.replace("profile: disk", "profile: '<img src=x onerror=alert(1)>'"));
    browser.go(&site.url("/"));
    browser.wait("document.getElementById('diagnostics')");
    owns_nothing(&browser, "diagnostics");
}

/// An address of this machine that is not loopback, if it has one.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: only the route is looked up.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn elsewhere_people_are_asked_for_the_token() {
    let Some(address) = outer_address() else {
        return;
    };
    let beside = Repository::with_files(&[("token", "a long token\n")]);
    let file = format!("--ops-token-file={}", beside.path().join("token").display());
    let site = Site::start(FLEET, &[&format!("--ops-listen={address}:0"), &file]);
    let browser = Browser::open(DESK);
    browser.go(&site.url("/explain?mac=52:54:00:00:00:01"));
    assert_eq!(browser.count("input[type=password]"), 1);
    assert!(!browser.text("body").contains("disk"));
    browser.type_into("#token", "a wrong one\n");
    browser.wait("document.querySelector('.wrong')");
    browser.type_into("#token", "a long token\n");
    browser.wait("location.pathname === '/explain' && document.querySelector('#result')");
    assert_eq!(
        browser.eval("return document.cookie"),
        "",
        "no script reads the cookie"
    );
    browser.go(&site.url("/"));
    assert_eq!(browser.text("h1"), "Healthy");
    browser.click(".leave button");
    browser.wait("document.querySelector('input[type=password]')");
    browser.go(&site.url("/"));
    assert_eq!(browser.count("input[type=password]"), 1);
}
