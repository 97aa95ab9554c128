//! `report.html` as people see it: what stands on it and where, in both themes, on a phone, in print, by keyboard, and with hostile
//! words in every place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness::check::{Evidence, Finding, Sample, Verdict};
use harness::event::{Event, Record};
use harness::exit::Exit;
use harness::report::files::Beside;
use harness::report::{History, Summary, html, jsonl};
use rstest::rstest;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::place::reader;
use crate::story::Story;

const DESK: (u32, u32) = (1280, 800);
const PHONE: (u32, u32) = (390, 844);

fn recorded(name: &str) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs").join(name);
    jsonl::read(&path).expect("a recorded run can be read")
}

/// The page of a run in a file of its own.
fn page(name: &str, records: &[Record]) -> PathBuf {
    let folder = reader("").join("pages");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(format!("{name}.html"));
    let beside = Beside { folder, diagnostics: true };
    std::fs::write(&path, html::render(records, &beside)).expect("the page can be written");
    path
}

/// Words that a browser, a style sheet or a careless template would obey.
const HOSTILE: &str = "</script><script>hacked=1</script><img src=x onerror=hacked=1>\" onmouseover=\"hacked=1\" '&lt;&#x1b;\u{1b}[31m{{7*7}}<style>body{display:none}</style>";

/// A run in which every word that comes from outside is hostile.
fn hostile() -> Vec<Record> {
    let mut seen = Evidence::new();
    seen.saw(HOSTILE, HOSTILE, HOSTILE).note(HOSTILE);
    seen.counted(Sample {
        from: HOSTILE.into(),
        to: HOSTILE.into(),
        answers: [(HOSTILE.to_string(), 3)].into(),
        calm: (1, 2),
    });
    let finding = Finding::new(HOSTILE).expected_got(HOSTILE, HOSTILE).hint(HOSTILE).evidence(&seen);
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "primary-install".into() });
    story.waits("primary-install", HOSTILE, HOSTILE);
    story.case("D0", 1.0, Verdict::Failed { finding: Box::new(finding) });
    story.attempts("D1", 1.0, Verdict::Passed { evidence: seen }, &[HOSTILE]);
    story.case("D12", 1.0, Verdict::Skipped { reason: HOSTILE.into() });
    story.add(Event::Note { text: HOSTILE.into() });
    story.finish(Exit::Red);
    story.records.clone()
}

/// A run of so many checks, each with as much evidence as a large one has.
fn many(checks: usize) -> Vec<Record> {
    let mut records = recorded("green.jsonl");
    let Event::RunStarted { plan, .. } = &mut records[0].event else { panic!("a run begins with its plan") };
    let known = plan.cases.clone();
    plan.cases = (0..checks)
        .map(|number| {
            let mut case = known[number % known.len()].clone();
            case.id = format!("round-{}/{}", number / known.len(), case.id);
            case
        })
        .collect();
    let ids: Vec<String> = plan.cases.iter().map(|case| case.id.clone()).collect();
    let verdicts: BTreeMap<String, Record> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::CaseFinished { id, .. } => Some((id.clone(), record.clone())),
            _ => None,
        })
        .collect();
    let end = records.pop().expect("a run has an end");
    records.retain(|record| !matches!(record.event, Event::CaseStarted { .. } | Event::CaseFinished { .. }));
    for id in ids {
        let told = verdicts.get(id.rsplit('/').next().expect("an id")).expect("every check was judged");
        let mut told = told.clone();
        told.at = end.at;
        if let Event::CaseFinished { id: of, .. } = &mut told.event {
            of.clone_from(&id);
        }
        let started = Event::CaseStarted { id, attempt: 1 };
        records.extend([Record { at: end.at - 1.0, event: started, ..told.clone() }, told]);
    }
    records.push(end);
    records
}

/// What axe-core says against the page: rule, and the first place where it is broken.
async fn complaints(browser: &Browser) -> Vec<String> {
    let axe = std::fs::read_to_string(reader("axe.min.js")).expect("axe-core can be read");
    browser.page.execute(&axe, Vec::new()).await.expect("axe-core can be loaded");
    let found = browser.page.execute_async("axe.run().then(arguments[0])", Vec::new()).await.expect("axe-core runs");
    let violations = found["violations"].as_array().cloned().expect("axe-core answers");
    violations.iter().map(|one| format!("{}: {}", one["id"], one["nodes"][0]["html"])).collect()
}

#[rstest]
#[case::green("green.jsonl", "Green", 27)]
#[case::red("red.jsonl", "Red", 27)]
#[case::upgrade("upgrade/upgrade-1-29-to-1-31.jsonl", "Green", 189)]
#[tokio::test]
async fn a_recorded_run_is_a_page_without_faults_in_both_themes_and_on_a_phone(
    #[case] run: &str,
    #[case] word: &str,
    #[case] cases: u64,
) {
    let records = recorded(run);
    let name = run.rsplit('/').next().expect("a name").trim_end_matches(".jsonl").to_string();
    let file = page(&name, &records);
    let browser = Browser::start().await;
    browser.open(&file).await;
    assert!(browser.page.title().await.expect("a title").starts_with(word));
    assert_eq!(browser.is("document.querySelectorAll('details[id^=case-]').length").await, json!(cases));
    has_no_faults(&browser, &name).await;
    let dangling = "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.getElementById(a.hash.slice(1))).map(a => a.hash)";
    assert_eq!(browser.is(dangling).await, json!([]), "every link on the page leads somewhere");
    let strange = "[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')).filter(a => !/^(https:\\/\\/|#|[a-z]+\\.(jsonl|json|xml|md)$|[a-z-]+\\/$)/.test(a))";
    assert_eq!(browser.is(strange).await, json!([]), "other links are to pages and to files of the run");
}

/// What holds for every page, in both themes, on a desk and on a phone, with a screenshot of each.
async fn has_no_faults(browser: &Browser, name: &str) {
    for (theme, (width, height)) in [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)] {
        browser.media(theme, "screen").await;
        browser.size(width, height).await;
        browser.shot(&reader("").join(format!("pages/{name}-{theme}-{width}.png"))).await;
        assert_eq!(complaints(browser).await, Vec::<String>::new(), "{theme}, {width} wide");
        let wide = browser.is("document.documentElement.scrollWidth").await;
        assert_eq!(wide, json!(width), "nothing is wider than the page");
    }
    assert_eq!(browser.console().await, Vec::<Value>::new(), "the console is silent");
    let loaded = browser.is("performance.getEntriesByType('resource').length").await;
    assert_eq!(loaded, json!(0), "nothing else is loaded");
}

#[tokio::test]
async fn the_page_of_history_has_no_faults_either() {
    let runs = ["green.jsonl", "red.jsonl"].map(|run| (PathBuf::from(run), Summary::of(&recorded(run))));
    let hostile = (PathBuf::from(HOSTILE), Summary::of(&hostile()));
    let history = History::of(runs.into_iter().chain([hostile]));
    let file = reader("").join("pages/history.html");
    std::fs::write(&file, history.html(|_| None)).expect("the page can be written");
    let browser = Browser::start().await;
    browser.open(&file).await;
    has_no_faults(&browser, "history").await;
    let text = browser.is("document.body.innerText").await.to_string();
    for words in ["primary-remote", "gateway-taken-away", "D3"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(browser.is("document.scripts.length + document.images.length").await, json!(0), "words are words");
}

#[rstest]
#[case::on_a_desk(DESK)]
#[case::on_a_phone(PHONE)]
#[tokio::test]
async fn a_red_page_names_the_cause_and_what_to_do_above_the_fold(#[case] (width, height): (u32, u32)) {
    let browser = Browser::start().await;
    browser.open(&page(&format!("red-fold-{width}"), &recorded("red.jsonl"))).await;
    browser.size(width, height).await;
    for words in [
        "Red",
        "D3 istiod-exposed",
        "cluster1 Gateway istio-system/istiod-gateway is not there",
        "kubectl apply --context kind-red-cluster1",
    ] {
        let lowest = format!(
            "(() => {{ const all = document.createNodeIterator(document.body, NodeFilter.SHOW_TEXT); let node; \
             while (node = all.nextNode()) if (node.textContent.includes({words:?})) {{ const range = document.createRange(); \
             range.selectNode(node); return range.getBoundingClientRect().bottom; }} return null; }})()"
        );
        let bottom = browser.is(&lowest).await.as_f64().unwrap_or_else(|| panic!("{words} stands on the page"));
        assert!(bottom > 0.0 && bottom <= f64::from(height), "{words} ends at {bottom} of {height}");
    }
    assert_eq!(
        browser.is("[...document.querySelectorAll('svg.picture .way.bad')].length").await,
        json!(3),
        "injection and xDS are red, and their common end at istiod"
    );
}

#[tokio::test]
async fn evidence_unfolds_by_click_and_by_keyboard_and_stands_in_print() {
    let browser = Browser::start().await;
    browser.open(&page("green-keys", &recorded("green.jsonl"))).await;
    browser.size(DESK.0, DESK.1).await;
    let shown = "document.querySelector('#case-D11 td').checkVisibility()";
    assert_eq!(browser.is(shown).await, json!(false), "it is folded at first");
    browser.is("document.querySelector('#case-D11 summary').click()").await;
    assert_eq!(browser.is(shown).await, json!(true), "a click unfolds it");
    browser.is("document.querySelector('#case-D11 summary').focus()").await;
    let focused = browser.page.active_element().await.expect("it has the focus");
    focused.send_keys("\u{e007}").await.expect("Enter can be pressed");
    assert_eq!(browser.is(shown).await, json!(false), "Enter folds it");
    browser.media("light", "print").await;
    let height = browser.is("document.querySelector('#case-D11 td').getBoundingClientRect().height").await;
    assert!(height.as_f64().is_some_and(|height| height > 5.0), "paper cannot be clicked at");
}

#[tokio::test]
async fn hostile_words_are_words() {
    let browser = Browser::start().await;
    browser.open(&page("hostile", &hostile())).await;
    assert_eq!(browser.is("typeof hacked").await, json!("undefined"));
    assert_eq!(
        browser
            .is("document.scripts.length + document.images.length + document.querySelectorAll('[onmouseover]').length")
            .await,
        json!(0)
    );
    assert_eq!(
        browser.is("document.querySelectorAll('style').length").await,
        json!(1),
        "the sheet of the page is the only one"
    );
    let cause = browser.is("document.querySelector('.cause').textContent").await;
    assert!(
        cause.as_str().is_some_and(|cause| cause.contains("<script>hacked=1</script>")),
        "they are shown as they are: {cause}"
    );
    assert_eq!(browser.console().await, Vec::<Value>::new());
    for (width, height) in [DESK, PHONE] {
        browser.size(width, height).await;
        assert_eq!(browser.is("document.documentElement.scrollWidth").await, json!(width), "long words break");
    }
}

#[tokio::test]
async fn a_run_of_500_checks_stays_small() {
    let records = many(500);
    assert_eq!(Summary::of(&records).cases.iter().filter(|case| case.verdict.is_some()).count(), 500);
    let file = page("many", &records);
    let size = std::fs::metadata(&file).expect("it is there").len();
    let browser = Browser::start().await;
    browser.open(&file).await;
    assert_eq!(browser.is("document.querySelectorAll('details[id^=case-]').length").await, json!(500));
    let ready = browser.is("performance.getEntriesByType('navigation')[0].domComplete").await;
    println!("a page of 500 checks: {size} bytes, complete after {ready} ms");
    assert!(size < 3_000_000, "{size} bytes");
}

#[tokio::test]
async fn a_run_that_died_says_so() {
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "primary-install".into() });
    story.waits("primary-install", "istiod to be ready", "0 of 1 pods");
    let browser = Browser::start().await;
    browser.open(&page("died", &story.records)).await;
    let text = browser.is("document.querySelector('.verdict').innerText").await.to_string();
    for words in ["Not finished", "it was killed, or it goes on", "primary-install"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
