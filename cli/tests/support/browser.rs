//! A real browser for tests of pages: headless Chromium, driven through chromedriver by the WebDriver protocol (W3C).

#![allow(dead_code, reason = "each test program uses its own part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser, then its driver; what fails here has ended by itself.
        let _ = self.try_request("DELETE", "", &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// A browser whose page is `width` by `height` pixels, or `None` after saying what is missing.
    pub fn open(width: u32, height: u32) -> Option<Self> {
        let started = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = started else {
            eprintln!("skipped: no chromedriver; scripts/setup tests installs it");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .parse()
                    .ok()
            })
            .expect("chromedriver did not say its port");
        // Nobody reads on; a full pipe would stop the driver.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        let data = format!("--user-data-dir={}", browser._profile.path().display());
        let mut arguments: Vec<_> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(data);
        let answer = browser.try_request(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": { "args": arguments },
                "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
            } } }),
        );
        match answer {
            Ok(answer) => browser.session = answer["sessionId"].as_str().unwrap().to_owned(),
            Err(reason) => {
                eprintln!("skipped: Chromium does not start: {reason}");
                return None;
            }
        }
        browser.resize(width, height);
        Some(browser)
    }

    fn try_request(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let path = if self.session.is_empty() {
            path.to_owned()
        } else {
            format!("/session/{}{path}", self.session)
        };
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, text) = http(self.port, method, &path, &body)?;
        let answer: Value =
            serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        match status {
            200 => Ok(answer["value"].clone()),
            _ => Err(answer["value"]["message"]
                .as_str()
                .unwrap_or(&text)
                .to_owned()),
        }
    }

    #[track_caller]
    fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        match self.try_request(method, path, body) {
            Ok(value) => value,
            Err(reason) => panic!("{method} {path}: {reason}"),
        }
    }

    #[track_caller]
    fn command(&self, name: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": name, "params": parameters });
        self.request("POST", "/goog/cdp/execute", &body)
    }

    /// Makes the page as large as a screen of `width` by `height`; below 600 one that is touched.
    pub fn resize(&self, width: u32, height: u32) {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.command("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// Opens an address.
    #[track_caller]
    pub fn go(&self, address: &str) {
        self.request("POST", "/url", &json!({ "url": address }));
    }

    /// What `script`, the body of a function, returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.request(
            "POST",
            "/execute/sync",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// Waits until `script` returns true.
    #[track_caller]
    pub fn wait(&self, script: &str) {
        let start = Instant::now();
        while self.run(script) != true {
            assert!(
                start.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {script}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses keys one after the other, as a keyboard does: signs, and the names `Tab`, `Enter`, `Escape`, `ArrowLeft` ...
    #[track_caller]
    pub fn press(&self, keys: &[&str]) {
        let key = |name: &str| match name {
            "Tab" => "\u{e004}".to_owned(),
            "Enter" => "\u{e007}".to_owned(),
            "Escape" => "\u{e00c}".to_owned(),
            "Space" => " ".to_owned(),
            "ArrowLeft" => "\u{e012}".to_owned(),
            "ArrowUp" => "\u{e013}".to_owned(),
            "ArrowRight" => "\u{e014}".to_owned(),
            "ArrowDown" => "\u{e015}".to_owned(),
            "End" => "\u{e010}".to_owned(),
            sign => sign.to_owned(),
        };
        let actions: Vec<_> = keys
            .iter()
            .flat_map(|name| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key(name) }))
            })
            .collect();
        let keyboard = json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] });
        self.request("POST", "/actions", &keyboard);
    }

    /// Writes a screenshot of the page, the whole of it or what is seen, where SRFUSION_SCREENSHOTS names a folder.
    pub fn screenshot(&self, name: &str, whole: bool) {
        let Some(folder) = std::env::var_os("SRFUSION_SCREENSHOTS") else {
            return;
        };
        let shot = json!({ "format": "png", "captureBeyondViewport": whole });
        let shot = self.command("Page.captureScreenshot", &shot);
        use base64::Engine;
        let data = base64::prelude::BASE64_STANDARD
            .decode(shot["data"].as_str().unwrap())
            .unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(name), data).unwrap();
    }

    /// Every address that the page has asked for since the last call.
    pub fn requests(&self) -> Vec<String> {
        let log = self.request("POST", "/se/log", &json!({ "type": "performance" }));
        let messages = log.as_array().unwrap().iter();
        let messages = messages.map(|entry| {
            serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap()
        });
        messages
            .filter(|message| message["message"]["method"] == "Network.requestWillBeSent")
            .map(|message| {
                message["message"]["params"]["request"]["url"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    /// Errors and warnings of the page's program since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.request("POST", "/se/log", &json!({ "type": "browser" }));
        log.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// Milliseconds from the page's request to its first paint with content.
    #[track_caller]
    pub fn first_paint(&self) -> f64 {
        self.wait("return performance.getEntriesByName('first-contentful-paint').length > 0");
        self.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
            .as_f64()
            .unwrap()
    }

    /// Pixels that the page is wider than the screen, and the elements that stick out.
    pub fn too_wide(&self) -> (f64, Value) {
        let over = self
            .run("return document.documentElement.scrollWidth - window.innerWidth")
            .as_f64()
            .unwrap();
        let which = self.run(
            "return [...document.body.querySelectorAll('*')].filter(e => { for (let p = e; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== 'visible') return false; return e.getBoundingClientRect().right > innerWidth + 0.5; }).slice(0, 5).map(e => e.outerHTML.slice(0, 120))",
        );
        (over, which)
    }
}

/// An HTTP request to this machine: status and body of the answer.
pub fn http(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(text)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).map_err(text)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).map_err(text)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("no HTTP: {line}"))?;
    let mut length = None;
    loop {
        line.clear();
        reader.read_line(&mut line).map_err(text)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut data = Vec::new();
    match length {
        // chromedriver keeps the connection open.
        Some(length) => {
            data.resize(length, 0);
            reader.read_exact(&mut data).map_err(text)?;
        }
        None => {
            reader.read_to_end(&mut data).map_err(text)?;
        }
    }
    Ok((status, String::from_utf8_lossy(&data).into_owned()))
}
