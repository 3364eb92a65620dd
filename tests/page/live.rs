//! What happens while somebody looks.

use serde_json::json;

use crate::browser::{Browser, DESK};
use crate::site::{FLEET, Site};
use crate::support::process::run_in;

/// Ends the pauses between two looks of the page at the server sooner.
const HURRY: &str = "document.dispatchEvent(new Event('visibilitychange'))";

fn wait_for(browser: &Browser, expression: &str) {
    browser.wait(&format!("({HURRY}, {expression})"));
}

#[test]
fn a_push_shows_and_what_was_typed_and_opened_stays() {
    let site = Site::start(FLEET, &[]);
    assert_eq!(site.ask("mac=52:54:00:00:00:09&serial=SN9"), 404);
    let browser = Browser::open(DESK);
    browser.go(&site.url("/"));
    browser.type_into("#q", "half a ser");
    browser.click(".copy summary");
    browser.click(".fleet summary");
    browser.eval("document.body.style.minHeight = '4000px'; scrollTo(0, 300)");
    let opened = browser.count("details[open]");
    assert_eq!(opened, 2);

    let more = FLEET.replace("name: site-x", "name: site-y");
    let revision = site.push(&more);
    let short = revision.get(..7).unwrap();
    wait_for(
        &browser,
        &format!("document.querySelector('.facts .commit').innerText === '{short}'"),
    );
    assert_eq!(site.ask("mac=52:54:00:00:00:01"), 200);
    wait_for(
        &browser,
        "document.querySelectorAll('table.machines tbody tr').length === 2",
    );
    assert_eq!(
        browser.eval("return document.getElementById('q').value"),
        "half a ser"
    );
    assert_eq!(
        browser.eval("return document.activeElement.nodeName"),
        "SUMMARY"
    );
    assert_eq!(browser.count("details[open]"), opened);
    assert_eq!(browser.eval("return scrollY"), json!(300));
    assert_eq!(browser.count(".copy button"), 1);

    // Whoever is assigned meanwhile is not told as unassigned any more.
    site.push(&more.replace("'52:54:00:00:00:01'", "'52:54:00:00:00:09'"));
    wait_for(&browser, "!document.getElementById('unassigned')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_refused_revision_shows_its_diagnostics_as_on_the_terminal() {
    let site = Site::start(FLEET, &[]);
    let browser = Browser::open(DESK);
    browser.go(&site.url("/"));
    site.push(&FLEET.replace("profile: disk\n", "profile: disc\n"));
    wait_for(&browser, "document.getElementById('diagnostics')");
    assert_eq!(browser.text("h1"), "New revision refused");
    let terminal = run_in(site.repo.path(), &["validate"], &[]).stderr;
    let shown = browser.eval("return document.getElementById('diagnostics').textContent");
    assert_eq!(shown, terminal);
    assert!(terminal.contains("^^^^"), "{terminal}");
    // The carets stand below what they mean.
    let lefts = browser.eval(
        "const text = document.getElementById('diagnostics').firstChild;
         const left = (at) => {
           const range = document.createRange();
           range.setStart(text, at);
           range.setEnd(text, at + 1);
           return Math.round(range.getBoundingClientRect().left * 10);
         };
         const at = text.data.indexOf('disc\\n');
         return [left(at), left(text.data.indexOf('^', at))]",
    );
    assert_eq!(lefts[0], lefts[1], "{shown}");

    site.push(&FLEET.replace("site-x", "site-z"));
    wait_for(
        &browser,
        "document.querySelector('h1').innerText === 'Healthy'",
    );
    assert_eq!(browser.count("#diagnostics"), 0);
}

#[test]
fn a_search_leads_to_why_and_where() {
    let source = "--source-url=https://git.example/boot/{revision}/{path}#L{line}";
    let site = Site::start(FLEET, &["--path=fleet", source]);
    assert_eq!(site.ask("mac=52:54:00:00:00:01&serial=A+B%20C"), 200);
    let browser = Browser::open(DESK);
    for typed in ["52-54-00-00-00-01\n", "mac=52:54:00:00:00:01&site=x\n"] {
        browser.go(&site.url("/"));
        browser.type_into("#q", typed);
        browser.wait("location.pathname === '/explain' && document.querySelector('h1')");
        assert_eq!(
            browser.text("h1"),
            "Profile disk, by Assignment racks, machine one"
        );
        assert_eq!(browser.count("#seen"), 1, "it was seen");
    }
    assert_eq!(browser.count("ol.ranked > li"), 2);
    assert_eq!(browser.text("ol.ranked .won .place"), "all.yaml:11");
    let link = browser.eval("return document.querySelector('ol.ranked .won .place').href");
    let revision = site.repo.head();
    assert_eq!(
        link,
        format!("https://git.example/boot/{revision}/fleet/all.yaml#L11")
    );
    // A blank and a plus are not the same.
    browser.go(&site.url("/"));
    browser.type_into("#q", "a+b c\n");
    browser.wait("location.pathname === '/search'");
    assert_eq!(browser.text("#found .total"), "1");
    browser.click("table.machines .machine");
    browser.wait("location.pathname === '/explain'");
    assert!(
        browser.text("main").contains("A+B C"),
        "{}",
        browser.text("main")
    );
}

#[test]
fn a_server_that_is_gone_is_told() {
    let site = Site::start(FLEET, &[]);
    let browser = Browser::open(DESK);
    browser.go(&site.url("/"));
    site.server.signal("KILL");
    wait_for(&browser, "document.querySelector('#pulse.lost')");
    assert!(
        browser
            .text("#pulse")
            .starts_with("The server does not answer")
    );
    assert_eq!(browser.text("h1"), "Healthy", "what was known stays");
}
