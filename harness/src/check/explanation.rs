//! What a check tells a person who stands before its verdict: `meshproof explain` and the catalogue print it.

use crate::context::own_id;

/// What a check judges, why that matters, and how to look by hand.
///
/// Its texts may have the names of [`crate::sabotage::PLANNED`], as `${ISTIO_NAMESPACE}`; its commands also
/// `${CTX_CLUSTER1}` and `${CTX_CLUSTER2}`, the contexts of the primary and the remote cluster as the guide calls them.
#[derive(Debug, Clone, Copy)]
pub struct Explanation {
    /// What is judged, in a few sentences: the title says it in one line.
    pub judges: &'static str,
    /// Why it matters: what users of the mesh lose where it does not hold.
    pub why: &'static str,
    /// Commands that show it to a person.
    pub by_hand: &'static [ByHand],
}

/// One command, and what it shows where all is well.
#[derive(Debug, Clone, Copy)]
pub struct ByHand {
    /// What is to be seen, as `an external address`.
    pub shows: &'static str,
    /// The command, for a shell.
    pub command: &'static str,
    /// Whether it takes what only a mesh has that meshproof installed: its workloads, or a lab's nodes.
    pub on_a_lab: bool,
}

impl ByHand {
    /// A command for any mesh.
    pub const fn new(shows: &'static str, command: &'static str) -> ByHand {
        ByHand { shows, command, on_a_lab: false }
    }

    /// A command that takes the workloads or nodes of a lab.
    pub const fn on_a_lab(shows: &'static str, command: &'static str) -> ByHand {
        ByHand { shows, command, on_a_lab: true }
    }
}

/// The command that explains a check, `meshproof explain D3`, by its id as reports tell it: `late/D8` of a round or of a
/// remote. None for what is in no catalogue, as a round's steady traffic.
pub fn command(told: &str) -> Option<String> {
    let id = own_id(told);
    (!id.is_empty() && id != crate::traffic::ID).then(|| format!("meshproof explain {id}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::command;

    #[rstest]
    #[case::a_check("D3", Some("meshproof explain D3"))]
    #[case::of_a_round("late/D8", Some("meshproof explain D8"))]
    #[case::of_a_round_and_a_remote("late/cluster3/D8", Some("meshproof explain D8"))]
    #[case::steady_traffic("late/traffic", None)]
    #[case::nothing("", None)]
    fn a_check_leads_to_what_is_known_of_it(#[case] told: &str, #[case] typed: Option<&str>) {
        assert_eq!(command(told).as_deref(), typed);
    }
}
