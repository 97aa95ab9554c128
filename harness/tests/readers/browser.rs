//! A real Chromium, headless, told what to do by its driver.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};

/// A browser with one page.
pub struct Browser {
    driver: Child,
    /// What is asked of the page.
    pub page: Client,
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
    }
}

impl Browser {
    /// Starts one.
    pub async fn start() -> Browser {
        let driver =
            Command::new("chromedriver").args(["--port=0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = driver.expect("chromedriver can be started; `make readers` installs it");
        let mut lines = BufReader::new(driver.stdout.take().expect("it has an output")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_string())
        });
        let port = port.expect("chromedriver says its port");
        // Who reads no further would end it.
        std::thread::spawn(move || lines.for_each(drop));
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(wanted) = wanted else { unreachable!("it is an object") };
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        Browser { driver, page: page.expect("chromium can be started") }
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
