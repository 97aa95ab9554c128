//! Hints: what a symptom in the collected texts means, where the guide or a thread speaks of it, and the command to
//! look closer. The table is in `symptoms.rs`.

use std::fmt;

use crate::scenario::IstioNamespace;

pub use super::symptoms::{SYMPTOMS, Symptom};

/// Largest part of a line that is quoted, in characters.
const QUOTE: usize = 240;

/// A symptom that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Id of the row, which `meshproof explain` takes.
    pub id: &'static str,
    /// What was found, in one phrase.
    pub symptom: &'static str,
    /// What it means.
    pub meaning: String,
    /// Section of the guide, or threads about it.
    pub reference: &'static str,
    /// The command to look closer.
    pub look: String,
    /// Files in which it stands.
    pub seen_in: Vec<String>,
    /// The line of the first of them.
    pub line: String,
}

impl Hint {
    /// The first file that has it, and how many more do.
    pub fn places(&self) -> String {
        match self.seen_in.as_slice() {
            [] => "no file".to_string(),
            [one] => one.clone(),
            [first, more @ ..] => format!("{first} and {} more", more.len()),
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hint { id, symptom, meaning, reference, look, .. } = self;
        let places = self.places();
        write!(f, "{symptom} ({places}): {meaning} ({reference}; meshproof explain {id}). Look closer: {look}")
    }
}

/// The symptoms that stand in these texts, by file, in the order of the table; each fires once. `istio` is where Istio
/// is.
pub fn hints(texts: &[(String, String)], istio: &IstioNamespace) -> Vec<Hint> {
    SYMPTOMS.iter().filter_map(|symptom| found(symptom, texts, istio)).collect()
}

fn found(symptom: &Symptom, texts: &[(String, String)], istio: &IstioNamespace) -> Option<Hint> {
    let seen: Vec<(&str, &str)> = texts
        .iter()
        .filter(|(name, _)| (symptom.stands_in)(name))
        .filter_map(|(name, text)| Some((name.as_str(), (symptom.sign)(text)?)))
        .collect();
    let (_, line) = seen.first()?;
    let filled = |text: &str| text.replace("${ISTIO_NAMESPACE}", istio);
    Some(Hint {
        id: symptom.id,
        symptom: symptom.title,
        meaning: filled(symptom.meaning),
        reference: symptom.reference,
        look: filled(symptom.look),
        seen_in: seen.iter().map(|(name, _)| name.to_string()).collect(),
        line: line.trim().chars().take(QUOTE).collect(),
    })
}
