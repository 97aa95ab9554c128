//! `make bench`: meshproof against the guide followed by hand, in turn, on the same machine, images and configuration.
//!
//! What is compared, and what came of it where: `bench/README.md`. Claims are ratios of figures of one call of this.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use harness::milestone::FIRST_ANSWERS;
use harness::report::times::Part;
use harness::report::{Summary, jsonl};
use harness::usage::Usage;

const MESHPROOF: &str = env!("CARGO_BIN_EXE_meshproof");
const LAB: &str = "bench";

fn main() {
    // `cargo test --all-targets` calls benches too, with this flag's absence: nothing is measured by accident.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("suites/ is in the repository").to_path_buf();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the folder can be made");

    meshproof(&folder, "down", &[]);
    meshproof(&folder, "images", &["build"]);
    let unchanged = seconds_of(|| meshproof(&folder, "images", &["build"]));
    let reference = reference(&folder);
    let mut pairs = Vec::new();
    for round in 1..=rounds {
        eprintln!("bench: round {round} of {rounds}, meshproof");
        let ours = run(&folder);
        eprintln!("bench: round {round} of {rounds}, by hand");
        let theirs = by_hand(&root, &reference);
        eprintln!("bench: {:.1} s against {:.1} s", ours.first_answers, theirs.at("first-answers"));
        pairs.push((ours, theirs));
    }
    let report = report(&pairs, unchanged);
    std::fs::write(folder.join("report.md"), &report).expect("the report can be written");
    println!("{report}");
    eprintln!("bench: also in {}", folder.join("report.md").display());
}

fn seconds_of(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

/// Calls a verb on the lab of the benchmark; a call that does not end well ends the benchmark.
fn meshproof(folder: &Path, verb: &str, args: &[&str]) {
    let mut command = Command::new(MESHPROOF);
    command.arg(verb).args(args).args(["--lab", LAB, "--runs"]).arg(folder).stdin(Stdio::null());
    let output = command.env("CI", "true").output().expect("meshproof can be started");
    assert!(output.status.success(), "meshproof {verb}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What following the guide by hand starts from.
struct Reference {
    folder: PathBuf,
    node_image: String,
}

/// Makes a lab, keeps a copy of the files that it was made with, and removes it.
fn reference(folder: &Path) -> Reference {
    meshproof(folder, "up", &[]);
    meshproof(folder, "install", &[]);
    let lab = harness::lab::Home::from_environment().lab(LAB);
    let copy = folder.join("lab");
    std::fs::create_dir_all(&copy).expect("the folder can be made");
    for entry in std::fs::read_dir(&lab).expect("the lab has a folder").flatten() {
        // Keys stay where they are, and go with the lab.
        if entry.path().extension().is_some_and(|kind| kind == "kubeconfig") {
            continue;
        }
        std::fs::copy(entry.path(), copy.join(entry.file_name())).expect("its files can be copied");
    }
    let node = format!("{LAB}-cluster1-control-plane");
    let output = Command::new("docker").args(["inspect", "-f", "{{.Config.Image}}", &node]).output();
    let node_image =
        String::from_utf8(output.expect("docker can be started").stdout).expect("a name").trim().to_string();
    meshproof(folder, "down", &[]);
    Reference { folder: copy, node_image }
}

/// One thing of a timeline: its id, and when it began and ended, in seconds.
type Row = (String, f64, f64);

struct Ours {
    first_answers: f64,
    /// From the first answers to the last verdict of an installed mesh.
    judged_after: f64,
    clean_up: f64,
    usage: Usage,
    timeline: Vec<Row>,
    critical_path: String,
}

/// `meshproof run`, whole: every second is counted from the start of its process.
fn run(folder: &Path) -> Ours {
    let began = SystemTime::now();
    meshproof(folder, "run", &["--keep", "never"]);
    let records = jsonl::read(&folder.join("latest/events.jsonl")).expect("the run has events");
    let summary = Summary::of(&records);
    let first = records.first().expect("the run has a first event");
    let offset = SystemTime::from(first.time).duration_since(began).map_or(0.0, |time| time.as_secs_f64()) - first.at;
    let reached = *summary.reached.get(FIRST_ANSWERS).unwrap_or(&f64::NAN);
    let spans = summary.times.spans();
    let judged = spans.iter().filter(|span| span.part == Part::Checks && span.id != "D12");
    let clean_up = spans.iter().filter(|span| span.part == Part::CleanUp);
    let finish = summary.finished.as_ref().expect("the run ended");
    let rows = spans.iter().map(|span| (span.id.clone(), span.from + offset, span.to + offset));
    let path = summary.times.critical_path();
    let path: Vec<String> = path
        .iter()
        .filter(|span| span.seconds() >= 0.05)
        .map(|span| format!("{} {:.1}", span.id, span.seconds()))
        .collect();
    Ours {
        first_answers: reached + offset,
        judged_after: judged.map(|span| span.to).fold(f64::NAN, f64::max) - reached,
        clean_up: summary.elapsed - clean_up.map(|span| span.from).fold(f64::NAN, f64::min),
        usage: finish.usage.expect("the system says what a process took"),
        timeline: rows.collect(),
        critical_path: path.join(" > "),
    }
}

struct Theirs {
    timeline: Vec<Row>,
}

impl Theirs {
    /// When this was done, in seconds.
    fn at(&self, id: &str) -> f64 {
        self.timeline.iter().find(|row| row.0 == id).map_or(f64::NAN, |row| row.2)
    }

    fn clean_up(&self) -> f64 {
        self.at("remove-network") - self.at("first-answers")
    }
}

fn by_hand(root: &Path, reference: &Reference) -> Theirs {
    let mut command = Command::new(root.join("bench/guide-by-hand"));
    command.arg(&reference.folder).env("NODE_IMAGE", &reference.node_image).stdin(Stdio::null());
    let output = command.stderr(Stdio::inherit()).output().expect("the script can be started");
    assert!(output.status.success(), "the guide by hand failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let row = |line: &str| {
        let mut cells = line.split('\t');
        Some((cells.next()?.to_string(), cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
    };
    Theirs { timeline: text.lines().filter_map(row).collect() }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn report(pairs: &[(Ours, Theirs)], unchanged: f64) -> String {
    let mut text = String::new();
    let mut line = |row: String| writeln!(text, "{row}").expect("a String takes everything");
    line("| round | meshproof to first answers | by hand | ratio | all judged after | clean-up | by hand | ratio | CPU | memory |".into());
    line("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |".into());
    for (round, (ours, theirs)) in pairs.iter().enumerate() {
        let hand = theirs.at("first-answers");
        line(format!(
            "| {} | {:.1} s | {hand:.1} s | {:.2} | {:.1} s | {:.1} s | {:.1} s | {:.2} | {:.1} s | {} MiB |",
            round + 1,
            ours.first_answers,
            ours.first_answers / hand,
            ours.judged_after,
            ours.clean_up,
            theirs.clean_up(),
            ours.clean_up / theirs.clean_up(),
            ours.usage.cpu_seconds,
            ours.usage.peak_memory >> 20,
        ));
    }
    let ratio = median(pairs.iter().map(|(ours, theirs)| ours.first_answers / theirs.at("first-answers")));
    let clean_up = median(pairs.iter().map(|(ours, theirs)| ours.clean_up / theirs.clean_up()));
    let judged = median(pairs.iter().map(|(ours, _)| ours.judged_after));
    line(String::new());
    line(format!("Median of the ratios: {ratio:.2} to first answers, {clean_up:.2} for the clean-up."));
    line(format!(
        "Every clause but D12, which follows the clean-up, judged {judged:.1} s after first answers (median)."
    ));
    line(format!("An image build that changes nothing: {unchanged:.1} s."));
    // The round whose ratio is the median one, or next to it.
    let nearest = pairs.iter().min_by(|a, b| {
        let off = |pair: &(Ours, Theirs)| (pair.0.first_answers / pair.1.at("first-answers") - ratio).abs();
        off(a).total_cmp(&off(b))
    });
    if let Some((ours, theirs)) = nearest {
        for (name, rows) in [("meshproof", &ours.timeline), ("By hand", &theirs.timeline)] {
            line(format!("\n{name}, seconds from the start:\n"));
            let mut rows = rows.clone();
            rows.sort_by(|a, b| a.1.total_cmp(&b.1));
            for (id, from, to) in rows {
                line(format!("    {from:6.1} to {to:6.1}  {id}"));
            }
        }
        line(format!("\nCritical path of that run, seconds: {}", ours.critical_path));
    }
    text
}
