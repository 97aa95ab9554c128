//! What a wait counts, remembers and blames.

use std::time::{Duration, Instant};

use harness::budget::Budgets;
use harness::check::Fault;
use harness::event::{Event, Recorder};
use harness::wait::{Hurry, Look, Timeout, Wait};
use rstest::rstest;

/// A wait that ends at once, with what its only look found.
async fn one_look(look: Look<()>) -> Timeout {
    let wait = Wait::new("it", Duration::from_millis(1)).every(Duration::from_millis(10));
    wait.until(|| std::future::ready(look.clone())).await.expect_err("it never comes")
}

#[tokio::test]
async fn time_in_which_the_process_stood_still_is_not_waited() {
    let wait = Wait::new("the second look", Duration::from_secs(2)).every(Duration::from_millis(1));
    let mut looks = 0;
    let found = wait
        .until(|| {
            looks += 1;
            // Holds the whole runtime, as a stop signal does.
            if looks == 1 {
                std::thread::sleep(Duration::from_secs(4));
            }
            let look = if looks == 1 { Look::NotYet("not yet".to_string()) } else { Look::Yes(()) };
            std::future::ready(look)
        })
        .await;
    assert_eq!(found, Ok(()));
}

#[tokio::test]
async fn a_slow_look_uses_the_budget_up() {
    let wait = Wait::new("an answer", Duration::from_millis(600)).every(Duration::from_millis(1));
    let mut looks = 0;
    let slow = wait.until(|| {
        looks += 1;
        async {
            harness::wait::pause(Duration::from_millis(400)).await;
            Look::<()>::NotYet("refused".to_string())
        }
    });
    let timeout = slow.await.expect_err("it never comes");
    assert!(timeout.waited >= Duration::from_millis(600), "{timeout}");
    assert!(looks <= 2, "{looks} looks of 400 ms in 600 ms");
}

#[rstest]
#[case::what_was_seen_is_blamed(Look::NotYet("HTTP 503".to_string()), Some("HTTP 503"))]
#[case::a_look_that_could_not_be_made_is_not(Look::Unable("the probe could not ask".to_string()), None)]
#[tokio::test]
async fn only_a_look_that_told_is_blamed(#[case] look: Look<()>, #[case] blamed: Option<&str>) {
    let timeout = one_look(look).await;
    assert_eq!(timeout.last().ok(), blamed);
}

#[tokio::test]
async fn nothing_is_blamed_where_no_look_came_to_an_end() {
    let wait = Wait::new("an answer", Duration::from_millis(10));
    let timeout = wait.until(std::future::pending::<Look<()>>).await.expect_err("it never comes");
    let fault = Fault::from(timeout.last().expect_err("no look told anything"));
    assert!(matches!(&fault, Fault::Unknown(why) if why.contains("waited") && why.contains("an answer")), "{fault:?}");
}

#[tokio::test]
async fn what_was_seen_is_not_blamed_once_it_cannot_be_looked_at() {
    let mut looks = 0;
    let wait = Wait::new("an answer", Duration::from_millis(60)).every(Duration::from_millis(1));
    let result = wait
        .until(|| {
            looks += 1;
            std::future::ready(if looks < 3 {
                Look::<()>::NotYet("1 of 2".to_string())
            } else {
                Look::unable("cut off")
            })
        })
        .await;
    assert!(result.expect_err("it never comes").last().is_err());
}

#[tokio::test]
async fn never_says_what_came_and_when() {
    let wait = Wait::new("nothing", Duration::from_secs(20)).every(Duration::from_millis(5));
    let mut looks = 0;
    let result = wait
        .never(|| {
            looks += 1;
            let seen = looks;
            async move { if seen == 3 { Look::Yes("a stray answer") } else { Look::NotYet(String::new()) } }
        })
        .await;
    assert_eq!(result.expect_err("it came").0, "a stray answer");
}

#[tokio::test]
async fn steady_wants_them_in_a_row() {
    let wait = Wait::new("three in a row", Duration::from_secs(2)).every(Duration::from_millis(1));
    let mut looks = 0;
    wait.steady(3, || {
        looks += 1;
        let miss = looks == 2;
        async move { if miss { Look::NotYet("a miss".to_string()) } else { Look::Yes(()) } }
    })
    .await
    .expect("it gets there");
    assert_eq!(looks, 5, "the miss starts the row anew");
}

#[tokio::test]
async fn a_look_that_hangs_does_not_hide_the_reason_before_it() {
    let mut looks = 0;
    let wait = Wait::new("an answer", Duration::from_millis(60)).every(Duration::from_millis(1));
    let result = wait
        .until(|| {
            looks += 1;
            let hangs = looks > 1;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Look::<()>::NotYet("connection refused".to_string())
            }
        })
        .await;
    assert_eq!(result.expect_err("it never comes").last(), Ok("connection refused"));
}

#[tokio::test]
async fn a_hurried_wait_has_only_so_much_time_and_a_window_stays_whole() {
    let hurry = Hurry::default();
    let wait = Wait::new("it", Duration::from_secs(60)).hurried(&hurry, Duration::from_millis(300), Duration::ZERO);
    let window = Wait::new("it", Duration::from_millis(900)).hurried(&hurry, Duration::ZERO, Duration::ZERO);
    let began = Instant::now();
    hurry.up();
    let (waited, looks) = futures::join!(
        wait.until(|| async { Look::<()>::NotYet("not there".to_string()) }),
        window.never(|| async { Look::<()>::NotYet("not there".to_string()) })
    );
    assert_eq!(waited.expect_err("it never comes").last(), Ok("not there"));
    assert!(looks.is_ok() && began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wait_that_begins_when_a_hurry_has_used_up_its_time_still_has_time_for_a_look() {
    let hurry = Hurry::default();
    hurry.up();
    let wait = Wait::new("it", Duration::from_secs(60)).hurried(&hurry, Duration::ZERO, Duration::from_secs(30));
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Look::Yes(())
    };
    assert_eq!(wait.until(slow).await, Ok(()));
    let short = Wait::new("it", Duration::from_secs(60)).hurried(&hurry, Duration::ZERO, Duration::from_millis(100));
    let began = Instant::now();
    short.until(|| async { Look::<()>::NotYet("not there".to_string()) }).await.expect_err("it never comes");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[rstest]
#[case::after_the_second_look(2, Some(("converge", 30.0)))]
#[case::at_the_first_look(1, None)]
#[tokio::test]
async fn a_wait_tells_how_long_it_took_under_which_limit(#[case] looks: u32, #[case] told: Option<(&str, f64)>) {
    let recorder = Recorder::new(Vec::new());
    let wait = Wait::new("it", Budgets::default().converge()).shown(&recorder, "D9").every(Duration::from_millis(1));
    let mut left = looks;
    let found = wait.until(|| {
        left -= 1;
        std::future::ready(if left == 0 { Look::Yes(()) } else { Look::NotYet("not there".to_string()) })
    });
    assert_eq!(found.await, Ok(()));
    let records = recorder.records();
    let waited = records.iter().find_map(|record| match &record.event {
        Event::Waited { scope, seconds, limit, limit_seconds, .. } if scope == "D9" => {
            assert!(*seconds < 30.0, "{seconds}");
            Some((limit.as_str(), *limit_seconds))
        }
        _ => None,
    });
    assert_eq!(waited, told);
}
