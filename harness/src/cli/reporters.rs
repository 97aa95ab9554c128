//! The reporters of a run: its files, and what a person is told.

use std::path::Path;

use super::args::Request;
use crate::event::{Recorder, Reporter};
use crate::lab::{Home, status};
use crate::report::github::{Job, Step};
use crate::report::terminal::{Left, Manner, Terminal};
use crate::report::{Summary, files, jsonl, junit};
use crate::tool::quote;

/// What a person is told beyond the events.
#[derive(Default)]
pub struct Told {
    manner: Option<Manner>,
    flags: Option<String>,
    left: Option<Box<Left>>,
    job: Option<Job>,
}

impl Told {
    /// As much as is asked for.
    pub fn of(request: &Request) -> Told {
        let manner = Some(Manner::detect(request.telling.volume()));
        Told { manner, flags: retyped(std::env::args()), left: None, job: Job::from_environment() }
    }

    /// With what can be done with what is left of a lab.
    pub fn leaving_lab(self, home: &Home, lab: &str) -> Told {
        let (home, lab) = (home.clone(), lab.to_string());
        self.leaving(Box::new(move |_: &Summary| status::left(&home, &lab)))
    }

    /// Without a word to GitHub: what is judged here is no verdict of the call.
    pub fn apart_from_job(self) -> Told {
        Told { job: None, ..self }
    }

    /// With what can be done with what is left.
    pub fn leaving(self, left: Box<Left>) -> Told {
        Told { left: Some(left), ..self }
    }
}

/// The reporters of a run in this folder. Nobody is told anything by the default of [`Told`].
///
/// # Errors
/// [`std::io::Error`] when a file cannot be made.
pub fn recorder(folder: &Path, told: Told) -> std::io::Result<Recorder> {
    let mut reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(jsonl::Jsonl::create(folder.join("events.jsonl"))?),
        Box::new(junit::File::create(folder.join("junit.xml"))),
        Box::new(files::Folder::new(folder)),
    ];
    if let Some(manner) = told.manner {
        let below = folder.parent().unwrap_or(folder).display().to_string();
        let terminal = Terminal::new(std::io::stderr(), manner).below(below).by(told.flags).leaving(told.left);
        reporters.push(Box::new(terminal));
    }
    if let Some(job) = told.job {
        reporters.push(Box::new(Step::new(job, folder)));
    }
    Ok(Recorder::new(reporters))
}

/// Flags of `run` that say what is made, as they were typed: without those that choose checks, name the lab, or say how often
/// it is run and what stays. None for other verbs.
fn retyped(mut arguments: impl Iterator<Item = String>) -> Option<String> {
    const WITH_VALUE: [&str; 7] = ["--only", "--skip", "--lab", "--keep", "--repeat", "--pause-after", "--runs"];
    const ALONE: [&str; 6] = ["--until-fail", "--quiet", "-q", "--verbose", "-v", "-vv"];
    if arguments.nth(1)? != "run" {
        return None;
    }
    let mut kept = Vec::new();
    while let Some(word) = arguments.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            arguments.next();
        } else if !ALONE.contains(&word.as_str())
            && !WITH_VALUE.iter().any(|flag| word.starts_with(&format!("{flag}=")))
        {
            kept.push(quote(&word));
        }
    }
    Some(kept.join(" "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::retyped;

    #[rstest]
    #[case::bare(&["run"], Some(""))]
    #[case::what_is_made_stays(&["run", "--istio", "1.29.2", "--overlay=primary=a b.yaml"], Some("--istio 1.29.2 '--overlay=primary=a b.yaml'"))]
    #[case::what_is_judged_goes(&["run", "--only", "D1,D2", "--nodes", "2", "--keep=never", "-q"], Some("--nodes 2"))]
    #[case::another_verb(&["matrix", "--istio", "1.29.2"], None)]
    fn a_run_is_typed_again_without_what_chooses_checks(#[case] words: &[&str], #[case] flags: Option<&str>) {
        let words = std::iter::once("meshproof").chain(words.iter().copied()).map(str::to_string);
        assert_eq!(retyped(words).as_deref(), flags);
    }
}
