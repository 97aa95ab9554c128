//! What is done to a mesh once it is installed, and what is judged meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expected::Expected;
use super::upgrade::{IstiodWish, TagWish, TrafficWish};
use crate::role::Role;
use crate::sabotage::Act;

/// One entry of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Moment {
    /// Some checks are asked, as things are at that moment.
    Judge(Round),
    /// A step of the guide is carried out: one that was left out, or one more time.
    Step(String),
    /// Nothing is done for this long, such as `45s` or `2m`.
    Pause(String),
    /// A sabotage of the catalogue is carried out.
    Sabotage(String),
    /// What a sabotage broke is put back, and mended as its file says.
    PutBack(String),
    /// Another control plane is installed by revision in the primary, and what the remote needs of it.
    Istiod(IstiodWish),
    /// A revision tag is set in a cluster.
    Tag(TagWish),
    /// The east-west gateway is upgraded in place to this revision.
    EastWestGateway(String),
    /// The control plane of this revision is uninstalled in both clusters.
    Uninstall(String),
    /// Steady traffic across clusters begins or ends.
    Traffic(TrafficWish),
    /// An act.
    #[serde(untagged)]
    Act(Act),
}

impl Moment {
    /// Names of the moments that are no acts.
    pub const NAMES: [&'static str; 10] =
        ["judge", "step", "pause", "sabotage", "putBack", "istiod", "tag", "eastWestGateway", "uninstall", "traffic"];

    /// The cluster on which it acts; the primary for what acts on none or on both.
    pub fn role(&self) -> Role {
        match self {
            Moment::Act(act) => act.role(),
            Moment::Tag(wish) => wish.cluster,
            _ => Role::Primary,
        }
    }

    /// What happens, one line in the present tense.
    pub fn title(&self) -> String {
        match self {
            Moment::Judge(round) => format!("Checks are judged as {}", round.name),
            Moment::Step(id) => format!("Step {id} of the guide is carried out"),
            Moment::Pause(length) => format!("Nothing is done for {length}"),
            Moment::Sabotage(id) => format!("Sabotage {id} is carried out"),
            Moment::PutBack(id) => format!("Sabotage {id} is put back"),
            Moment::Istiod(IstiodWish { istio, revision }) => {
                format!("istiod {istio} is installed beside the others as revision {revision}")
            }
            Moment::Tag(TagWish { cluster, name, revision }) => {
                format!("Tag {name} of the {cluster} is set to revision {revision}")
            }
            Moment::EastWestGateway(revision) => format!("The east-west gateway goes over to revision {revision}"),
            Moment::Uninstall(revision) => format!("The control plane of revision {revision} is uninstalled"),
            Moment::Traffic(TrafficWish::Start) => "Steady traffic across clusters begins".to_string(),
            Moment::Traffic(TrafficWish::Stop) => "Steady traffic across clusters ends".to_string(),
            Moment::Act(act) => act.title(),
        }
    }
}

/// The id of a moment in plans, events and reports, by its place in the timeline from 0 on.
pub fn moment_id(index: usize) -> String {
    format!("timeline-{}", index + 1)
}

/// Checks that are asked within a timeline. Reports tell them as `NAME/ID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Round {
    /// Its name, such as `late`.
    pub name: String,
    /// Only these checks, with all that they need: ids, names or globs such as `D1*`; all of them if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// All but these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// The control plane that is judged, by its revision; the guide's own if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub revision: Option<String>,
    /// Checks whose verdict shall be another than passed in this round, each with that verdict; `traffic` is the
    /// steady traffic since the round before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, Expected>,
}

/// Which checks are asked, with all that they need: ids, names or globs such as `D1*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CheckWish {
    /// Only these; all of them if nothing is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// All but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
}

impl CheckWish {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == CheckWish::default()
    }
}

/// The length of time that a text says, or why it says none and what to write instead.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn length(text: &str) -> Result<Duration, (String, String)> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    parsed.filter(|time| !time.is_zero()).ok_or_else(|| {
        (format!("`{text}` is no length of time"), "a number with its unit, such as 20m, 90s or `1h 30m`".to_string())
    })
}
