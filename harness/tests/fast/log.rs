//! What the log says, and what it never says.

use std::time::Duration;

use harness::tool::Tool;
use harness::wait::{Look, Wait};
use tracing_test::traced_test;

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl";

#[tokio::test]
#[traced_test]
async fn a_timeout_logs_its_last_reason_and_how_often_it_was_seen() {
    let wait = Wait::new("both versions to answer", Duration::from_millis(40)).every(Duration::from_millis(5));
    let result = wait.until(|| async { Look::<()>::NotYet("no healthy upstream".to_string()) }).await;
    let timeout = result.expect_err("it never comes");
    assert!(timeout.seen[0].times > 1, "{timeout}");
    assert!(logs_contain("waited"));
    assert!(logs_contain("both versions to answer"));
    assert!(logs_contain("no healthy upstream (x"));
}

#[tokio::test]
#[traced_test]
async fn what_a_tool_is_fed_is_not_logged() {
    // First the proof that this test would see it.
    tracing::debug!("planted {TOKEN}");
    assert!(logs_contain(TOKEN));
    let planted = "another-secret-on-standard-input";
    let tool = Tool::new("sh").args(["-c", "cat >/dev/null; exit 3"]).input(format!("token: {planted}"));
    let error = tool.run().await.expect_err("it fails on purpose");
    tracing::warn!("{error}");
    assert!(logs_contain("exit 3"));
    assert!(!logs_contain(planted));
}

#[tokio::test]
async fn a_tool_that_takes_too_long_is_stopped_with_all_its_children() {
    let marker = format!("sleep 61{}", std::process::id() % 1000);
    let tool = Tool::new("sh").args(["-c", &format!("{marker} & {marker}; true")]).limit(Duration::from_millis(200));
    let error = tool.run().await.expect_err("it does not end in time");
    assert!(error.to_string().contains("did not end"), "{error}");
    let gone = Wait::new("its children to go", Duration::from_secs(5));
    gone.until(|| async {
        let found = Tool::new("pgrep").args(["-f", &format!("^{marker}")]).run().await;
        match found {
            Ok(output) => Look::NotYet(output.stdout),
            Err(_) => Look::Yes(()),
        }
    })
    .await
    .expect("no child goes on");
}
