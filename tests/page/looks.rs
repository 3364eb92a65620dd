//! With no machine, with five, and with ten thousand; on a desk and on a phone; light and dark; with scripts and without.

use serde_json::json;

use crate::browser::{Browser, DESK, Eyes, PHONE};
use crate::site::{FLEET, Site, fleet_of};

/// The most bytes that the page may have, however many machines there are.
const MAX_PAGE_BYTES: u64 = 200 << 10;

/// Nothing is to be scrolled sideways, and nothing was asked of anybody else.
fn looks_well(browser: &Browser, site: &Site, path: &str) {
    let url = site.url(path);
    browser.requests();
    browser.go(&url);
    let widths = browser.eval(
        "const e = document.documentElement; return [e.scrollWidth <= e.clientWidth, e.clientWidth <= window.innerWidth]",
    );
    assert_eq!(widths, json!([true, true]), "{url}");
    let bytes = browser.eval("return document.documentElement.outerHTML.length");
    assert!(bytes.as_u64().unwrap() < MAX_PAGE_BYTES, "{bytes}");
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{url}");
    let foreign: Vec<String> = browser
        .requests()
        .into_iter()
        .filter(|asked| !asked.starts_with(&site.url("/")))
        .collect();
    assert_eq!(foreign, Vec::<String>::new(), "{url}");
    assert_eq!(browser.count("main h1"), 1, "{url}");
    assert_eq!(browser.count("[id='']"), 0, "{url}");
    let twice = "const ids = [...document.querySelectorAll('[id]')].map(e => e.id); \
                 return ids.filter((id, at) => ids.indexOf(id) !== at)";
    assert_eq!(browser.eval(twice), json!([]), "{url}");
}

/// The lowest contrast of any text that is seen against what is behind it (WCAG 2.2, 1.4.3).
const LOWEST_CONTRAST: &str = "
    const canvas = document.createElement('canvas'), pen = canvas.getContext('2d', {willReadFrequently: true});
    const rgba = (css) => {
      pen.clearRect(0, 0, 1, 1); pen.fillStyle = css; pen.fillRect(0, 0, 1, 1);
      return pen.getImageData(0, 0, 1, 1).data;
    };
    const behind = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const colour = rgba(getComputedStyle(e).backgroundColor);
        if (colour[3] === 255) return colour;
      }
      return [255, 255, 255, 255];
    };
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    let lowest = [21, ''];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode.nodeValue.trim(), element = walker.currentNode.parentElement;
      if (!text || !element.checkVisibility() || ['SCRIPT', 'STYLE'].includes(element.nodeName)) continue;
      const [one, other] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (contrast < lowest[0]) lowest = [contrast, text];
    }
    return lowest";

fn can_be_read(browser: &Browser) {
    let lowest = browser.eval(LOWEST_CONTRAST);
    assert!(lowest[0].as_f64().unwrap() >= 4.5, "{lowest}");
}

#[test]
fn with_no_machine_and_with_five() {
    let site = Site::start(FLEET, &[]);
    for eyes in [DESK, PHONE] {
        let browser = Browser::open(eyes);
        looks_well(&browser, &site, "/");
        assert_eq!(browser.text("h1"), "Healthy");
        assert!(browser.text("main").contains("No machine has asked"));
    }
    assert_eq!(site.ask("mac=52:54:00:00:00:01"), 200);
    for number in 2..4 {
        assert_eq!(
            site.ask(&format!("mac=52:54:00:00:00:0{number}&site=x")),
            200
        );
    }
    for number in 4..6 {
        let query = format!("mac=52:54:00:00:00:0{number}&serial=SN{number}&hostname=new-{number}");
        assert_eq!(site.ask(&query), 404);
    }
    for (is_phone, is_dark) in [(false, false), (false, true), (true, false), (true, true)] {
        let browser = Browser::open(Eyes {
            is_phone,
            is_dark,
            ..DESK
        });
        looks_well(&browser, &site, "/");
        assert_eq!(browser.count("table.machines tbody tr"), 5);
        assert_eq!(browser.count(".cards > li"), 2);
        can_be_read(&browser);
        let back = browser.eval("return getComputedStyle(document.body).backgroundColor");
        let expected = if is_dark {
            "rgb(15, 19, 24)"
        } else {
            "rgb(245, 246, 248)"
        };
        assert_eq!(back, expected);
        for path in [
            "/explain?mac=52:54:00:00:00:01&site=x",
            "/explain?serial=SN9",
            "/search?q=SN4",
        ] {
            looks_well(&browser, &site, path);
            can_be_read(&browser);
        }
    }
}

#[test]
fn with_ten_thousand_machines() {
    let site = Site::start(&fleet_of(10_000), &[]);
    site.ask_many(10_000);
    for number in 0..1000 {
        assert_eq!(
            site.ask(&format!(
                "mac=06:00:00:00:{:02x}:{:02x}",
                number >> 8,
                number & 255
            )),
            404
        );
    }
    for eyes in [DESK, PHONE] {
        let browser = Browser::open(eyes);
        looks_well(&browser, &site, "/");
        assert_eq!(browser.text("#seen .total"), "11,000");
        assert_eq!(browser.text("#unassigned .total"), "1,000");
        assert_eq!(browser.count("table.machines tbody tr"), 30);
        assert_eq!(browser.count(".cards > li"), 20);
        looks_well(&browser, &site, "/search?q=node-99");
        assert_eq!(browser.text("#found .total"), "111");
        looks_well(&browser, &site, "/explain?mac=02:00:00:00:00:07");
    }
}

#[test]
fn without_scripts_everything_is_there() {
    let site = Site::start(FLEET, &[]);
    assert_eq!(site.ask("mac=52:54:00:00:00:09&serial=SN9"), 404);
    let browser = Browser::open(Eyes {
        runs_scripts: false,
        ..DESK
    });
    browser.go(&site.url("/"));
    assert_eq!(browser.text("h1"), "Healthy");
    assert_eq!(browser.count(".copy button"), 0, "scripts are off");
    assert!(!browser.text(".copy").contains("apiVersion"));
    browser.click(".copy summary");
    assert!(
        browser.text(".copy").contains("serial: \"SN9\"") || browser.text(".copy").contains("SN9")
    );
    browser.type_into("#q", "mac=52:54:00:00:00:01\n");
    browser.wait("document.querySelector('h1').innerText.includes('by Assignment')");
    assert_eq!(
        browser.text("h1"),
        "Profile disk, by Assignment racks, machine one"
    );
}
