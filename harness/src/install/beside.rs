//! What a scenario asks for beside the guide: overlays, manifests, and another way to say what istiod is.

use super::step::{Step, StepError};
use crate::check::Evidence;
use crate::context::Context;
use crate::plan::Deviation;
use crate::role::Role;
use crate::sabotage::Names;
use crate::scenario::{Ca, Candidate, ExternalIstiod, ManifestWish, Scenario};

/// The further words of `istioctl install` for this cluster, as a person would type them.
pub(super) fn overlay_words(scenario: &Scenario, role: Role) -> Vec<String> {
    let overlay = scenario.clusters[&role].overlay.as_ref();
    overlay
        .map(|_| vec!["-f".to_string(), format!("overlay-{}.json", scenario.clusters.member(role))])
        .unwrap_or_default()
}

/// The commands of a step with those for the scenario's manifests before and after them.
pub(super) fn commands(step: &Step) -> Vec<String> {
    let apply = |wish: &ManifestWish| {
        format!("kubectl apply --context=\"${{{}}}\" -f -  # {}", wish.cluster.context_variable(), wish.object())
    };
    let of = |before: bool| step.beside.iter().filter(move |wish| wish.before.is_some() == before).map(apply);
    of(true).chain(step.commands.iter().cloned()).chain(of(false)).collect()
}

/// Applies and proves a step, and the scenario's manifests before and after it.
///
/// # Errors
/// [`StepError`] of the first of these that fails.
pub async fn carry_out(step: &Step, context: &Context) -> Result<Evidence, StepError> {
    apply(step, context, true).await?;
    step.action.apply(step.role, context).await?;
    let mut evidence = step.proof.verify(step.role, context).await?;
    for applied in apply(step, context, false).await? {
        evidence.saw(applied, "manifest of the scenario", "applied");
    }
    Ok(evidence)
}

async fn apply(step: &Step, context: &Context, before: bool) -> Result<Vec<String>, StepError> {
    let names = Names::planned(context.scenario());
    let mut applied = Vec::new();
    for wish in step.beside.iter().filter(|wish| wish.before.is_some() == before) {
        let cluster = context.cluster(wish.cluster);
        cluster.apply(&names.fill(&wish.manifest.to_string()), "").await?;
        applied.push(format!("{} {}", cluster.name, names.fill(&wish.object())));
    }
    Ok(applied)
}

/// Deletes the scenario's manifests from a cluster, the last first. Namespaces of Istio stay for the guide's own clean-up.
///
/// # Errors
/// [`StepError`] of the first that is refused.
pub(super) async fn remove(context: &Context, role: Role) -> Result<(), StepError> {
    let (cluster, scenario) = (context.cluster(role), context.scenario());
    // In the primary a manifest may stand once for each remote.
    let pairs = if role == Role::Primary { scenario.pairs() } else { vec![scenario.clone()] };
    for names in pairs.iter().map(Names::planned) {
        for wish in scenario.install.manifests.iter().rev().filter(|wish| wish.cluster == role) {
            if names.fill(&wish.object()).trim() != format!("Namespace {}", cluster.istio_namespace) {
                cluster.delete(&names.fill(&wish.manifest.to_string()), "").await?;
            }
        }
    }
    Ok(())
}

/// The namespaces that the scenario's manifests make in a cluster; the clean-up waits for them to go.
pub(super) fn namespaces(scenario: &Scenario, role: Role) -> Vec<String> {
    let pairs = if role == Role::Primary { scenario.pairs() } else { vec![scenario.clone()] };
    let made = scenario.install.manifests.iter().filter(|wish| wish.cluster == role).map(ManifestWish::object);
    let made: Vec<String> = made.collect();
    let names = pairs.iter().map(Names::planned);
    let mut made: Vec<String> = names.flat_map(|names| made.iter().map(move |object| names.fill(object))).collect();
    made.sort();
    made.dedup();
    made.iter().filter_map(|object| object.strip_prefix("Namespace ")).map(str::to_string).collect()
}

/// The rows of the table of deviations for all of it.
pub(super) fn deviations(scenario: &Scenario) -> Vec<Deviation> {
    let why = "the scenario asks for it".to_string();
    let row = |what: String| Deviation { what, why: why.clone() };
    let mut rows = Vec::new();
    match scenario.install.external_istiod {
        ExternalIstiod::Env => {}
        ExternalIstiod::Value => {
            rows.push(row("values.global.externalIstiod in the place of values.pilot.env.EXTERNAL_ISTIOD".to_string()));
        }
        ExternalIstiod::None => rows.push(row("istiod is not told that it serves other clusters".to_string())),
    }
    let other =
        |envoy: &String| row(format!("Envoy {envoy} in the place of the one that goes with Istio {}", scenario.istio));
    rows.extend(scenario.envoy.iter().map(other));
    let Candidate { hub, tag, istioctl, .. } = &scenario.candidate;
    if let (Some(hub), Some(tag)) = (hub, tag) {
        rows.push(row(format!("hub: {hub}, tag: {tag}, so Istio's images are not those of {}", scenario.istio)));
    }
    rows.extend(istioctl.iter().map(|path| row(format!("{} in the place of the release's istioctl", path.display()))));
    if scenario.install.ca == Ca::PluggedIn {
        rows.push(row("Secret cacerts has a CA under a root of the harness, before istiod is installed".to_string()));
    }
    let revision = scenario.install.revision();
    if !revision.is_default() {
        rows.push(row(format!(
            "--revision {revision} for istioctl install and gen-eastwest-gateway.sh, and expose-istiod-rev.yaml.tmpl in the \
             place of expose-istiod.yaml"
        )));
        let (label, value) = scenario.install.injection_label();
        let tag = scenario.install.tag.iter().map(|tag| format!("tag {tag} is set to it in each cluster; "));
        rows.push(row(format!("{}the sample's namespaces have the label {label}={value}", tag.collect::<String>())));
    }
    rows.extend(scenario.install.without.iter().map(|step| row(format!("step {step} is left out of the install"))));
    for (member, wish) in scenario.clusters.iter().filter(|(_, wish)| wish.overlay.is_some()) {
        rows.push(row(format!("overlay-{member}.json is laid over the operator of {}", wish.name)));
    }
    let names = Names::planned(scenario);
    rows.extend(scenario.install.manifests.iter().map(|wish| {
        let order = if wish.before.is_some() { "before" } else { "after" };
        let cluster = &scenario.clusters[&wish.cluster].name;
        row(format!("{} is applied in {cluster} {order} step {}", names.fill(&wish.object()), wish.step()))
    }));
    rows
}
