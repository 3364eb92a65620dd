//! Chromium, driven by its `chromedriver` (W3C WebDriver: JSON over HTTP).

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::{Client, DEADLINE};

/// How somebody looks at the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eyes {
    pub(crate) is_phone: bool,
    pub(crate) is_dark: bool,
    pub(crate) runs_scripts: bool,
}

/// A desk with a large screen.
pub(crate) const DESK: Eyes = Eyes {
    is_phone: false,
    is_dark: false,
    runs_scripts: true,
};

/// A phone.
pub(crate) const PHONE: Eyes = Eyes {
    is_phone: true,
    ..DESK
};

/// A browser with one window. It ends when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: TempDir,
}

impl Browser {
    pub(crate) fn open(eyes: Eyes) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed; `.ci/run` does that");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("started successfully on port ")?;
                rest.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says on which port it is");
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            profile,
        };
        let folder = browser.profile.path().display().to_string();
        let session = browser.command("POST", "/session", &capabilities(eyes, &folder));
        let session = session["sessionId"].as_str().unwrap();
        session.clone_into(&mut browser.session);
        let scheme = if eyes.is_dark { "dark" } else { "light" };
        let media = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.devtools("Emulation.setEmulatedMedia", &json!({"features": media}));
        browser
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// What a function body returns inside of the page. It works with scripts off, too.
    pub(crate) fn eval(&self, body: &str) -> Value {
        self.post("execute/sync", &json!({"script": body, "args": []}))
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        let selector = Value::from(selector);
        let body = format!("return document.querySelector({selector})?.innerText ?? '(none)'");
        self.eval(&body).as_str().unwrap().to_owned()
    }

    pub(crate) fn count(&self, selector: &str) -> u64 {
        let selector = Value::from(selector);
        let body = format!("return document.querySelectorAll({selector}).length");
        self.eval(&body).as_u64().unwrap()
    }

    /// Clicks as a person does: where the thing is on the screen.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("element/{element}/value"), &json!({"text": text}));
    }

    /// Waits until an expression is true in the page.
    pub(crate) fn wait(&self, expression: &str) {
        let until = Instant::now() + 2 * DEADLINE;
        while self.eval(&format!("return !!({expression})")) != json!(true) {
            let page = self.text("body");
            assert!(Instant::now() < until, "{expression} in\n{page}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether a dialog is open, as `alert` opens one.
    pub(crate) fn has_dialog(&self) -> bool {
        let path = format!("/session/{}/alert/text", self.session);
        let (status, _) = self.send("GET", &path, "");
        status == 200
    }

    /// Everything that the browser complained about since it was asked last: errors, refused policies, failed requests.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let all = self.post("se/log", &json!({"type": "browser"}));
        let all = all.as_array().unwrap().iter();
        all.map(|one| one["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The URLs that the page asked for since the last time, `data:` ones left out.
    pub(crate) fn requests(&self) -> Vec<String> {
        let all = self.post("se/log", &json!({"type": "performance"}));
        let all = all.as_array().unwrap().iter();
        all.filter_map(|one| serde_json::from_str(one["message"].as_str()?).ok())
            .filter(|one: &Value| one["message"]["method"] == "Network.requestWillBeSent")
            .filter_map(|one| {
                one["message"]["params"]["request"]["url"]
                    .as_str()
                    .map(str::to_owned)
            })
            .filter(|url| !url.starts_with("data:"))
            .collect()
    }

    fn element(&self, selector: &str) -> String {
        let using = json!({"using": "css selector", "value": selector});
        let found = self.post("element", &using);
        let id = found.as_object().unwrap().values().next().unwrap();
        id.as_str().unwrap().to_owned()
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.post(
            "goog/cdp/execute",
            &json!({"cmd": command, "params": parameters}),
        );
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.command("POST", &format!("/session/{}/{path}", self.session), body)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, path, &body.to_string());
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer["value"].clone()
    }

    fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut client = Client::connect(self.address);
        let length = body.len();
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let answer = client.response();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session, and the driver does not end Chromium.
        let mut client = Client::connect(self.address);
        client.try_send(format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            self.session
        ));
        let _ = client.wait();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn capabilities(eyes: Eyes, folder: &str) -> Value {
    let args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1440,900",
    ];
    let mut args: Vec<String> = args.map(str::to_owned).into();
    args.push(format!("--user-data-dir={folder}"));
    let mut options = json!({"args": args});
    if eyes.is_phone {
        let metrics = json!({"width": 390, "height": 844, "pixelRatio": 2.0, "touch": true});
        options["mobileEmulation"] = json!({"deviceMetrics": metrics});
    }
    if !eyes.runs_scripts {
        options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
    }
    json!({"capabilities": {"alwaysMatch": {
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        "unhandledPromptBehavior": "ignore",
    }}})
}
