//! Which of the steps that were proved still hold: a clean-up undoes those of the install, and an install ends a clean-up.
//! `lab.json` keeps all of them, for what is judged asks whether a step was proved at all.

use super::action::Action;
use super::step::Step;
use crate::plan::Phase;
use crate::role::Role;

/// Of these steps, in the order in which they were last proved, those that no later one has undone. `steps` are those of the
/// lab.
pub fn standing<'p>(proved: &'p [String], steps: &[Step]) -> Vec<&'p str> {
    let find = |id: &String| steps.iter().find(|step| step.id == *id);
    let holds = |at: usize| {
        let later = proved[at + 1..].iter().filter_map(find);
        find(&proved[at]).is_none_or(|step| later.into_iter().all(|later| !later.undoes(step) && !step.undoes(later)))
    };
    (0..proved.len()).filter(|at| holds(*at)).map(|at| proved[at].as_str()).collect()
}

impl Step {
    /// Whether it removes, as a step of the clean-up, what that step of the install makes.
    fn undoes(&self, other: &Step) -> bool {
        // What is done to the primary is cleaned up once, for all remotes.
        let same_cluster = self.role == other.role && (self.role == Role::Primary || self.at == other.at);
        let fixtures = matches!(other.action, Action::Manifests(_));
        same_cluster
            && other.phase == Phase::Install
            && match self.action {
                Action::RemoveFixtures => fixtures,
                Action::RemoveTags(_) => matches!(other.action, Action::SetTag(_)),
                Action::Uninstall | Action::DeleteIstioNamespace => !fixtures,
                _ => false,
            }
    }
}
