//! A real Chromium, headless, told what to do by its driver.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::JoinHandle;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one page.
pub struct Browser {
    driver: Child,
    /// Reads what driver and browser say, to their end.
    read: Option<JoinHandle<()>>,
    /// What is asked of the page.
    pub page: Client,
    /// What both leave behind them.
    _folder: TempDir,
}

/// A command of chromedriver's own: its path below the session, and its body.
#[derive(Debug)]
struct OfChrome(&'static str, Value);

impl WebDriverCompatibleCommand for OfChrome {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = self.read.take().map(JoinHandle::join);
    }
}

/// Starts a driver, and says the port on which it listens. It takes a port that is free for IPv4, and ends where IPv6 has the
/// same one in use, as happens once in a hundred starts side by side: then another one is started.
fn driver(folder: &Path) -> (Child, String, JoinHandle<()>) {
    let mut said = Vec::new();
    for _ in 0..5 {
        let (output, input) = std::io::pipe().expect("a pipe");
        let errors = input.try_clone().expect("a pipe");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("TMPDIR", folder).stdout(input).stderr(errors);
        let mut driver = command.spawn().expect("chromedriver can be started; `make readers` installs it");
        // With it goes what it holds of the pipe, which would not end else.
        drop(command);
        let mut lines = BufReader::new(output).lines();
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                // Who reads no further would end it.
                let read = std::thread::spawn(move || lines.for_each(drop));
                return (driver, port.trim_end_matches('.').to_string(), read);
            }
            said.push(line);
        }
        let _ = driver.wait();
    }
    panic!("chromedriver says no port:\n{}", said.join("\n"))
}

impl Browser {
    /// Starts one.
    pub async fn start() -> Browser {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (driver, port, read) = driver(folder.path());
        // By a pipe, Chromium ends with its driver, whatever ended that.
        let options = json!({"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"
        ]});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(wanted) = wanted else { unreachable!("it is an object") };
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        Browser { driver, read: Some(read), page: page.expect("chromium can be started"), _folder: folder }
    }

    /// Opens a file.
    pub async fn open(&self, file: &Path) {
        self.page.goto(&format!("file://{}", file.display())).await.expect("the page opens");
    }

    /// Makes the window so large, and its pixels its own.
    pub async fn size(&self, width: u32, height: u32) {
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}),
        )
        .await;
    }

    /// `light` or `dark`, as the system of the reader says, on a `screen` or in `print`.
    pub async fn media(&self, theme: &str, media: &str) {
        let scheme = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.cdp("Emulation.setEmulatedMedia", json!({"media": media, "features": scheme})).await;
    }

    /// All that the console has had since it was asked before: errors of pages, refused loads, warnings.
    pub async fn console(&self) -> Vec<Value> {
        let said =
            self.page.issue_cmd(OfChrome("se/log", json!({"type": "browser"}))).await.expect("the console can be read");
        said.as_array().cloned().unwrap_or_default()
    }

    /// What an expression of JavaScript is on this page.
    pub async fn is(&self, expression: &str) -> Value {
        self.page.execute(&format!("return {expression};"), Vec::new()).await.expect("the expression is sound")
    }

    /// Writes what is seen of the page into this file.
    pub async fn shot(&self, file: &Path) {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder can be made");
        std::fs::write(file, self.page.screenshot().await.expect("a screenshot")).expect("it can be written");
    }

    async fn cdp(&self, command: &str, params: Value) {
        let asked = json!({"cmd": command, "params": params});
        self.page.issue_cmd(OfChrome("goog/cdp/execute", asked)).await.expect("chromium does as it is told");
    }
}
