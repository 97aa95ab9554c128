//! Where requests across clusters break first: each layer is looked at from the ground up, and the first broken one named.
//!
//! It only explains a finding that stands without it. A layer that cannot be looked at is noted and passed over, for the
//! next may tell more.

mod discovery;
mod proxies;
mod reach;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

use harness::check::{Broken, Context, Evidence, Fault, Finding, Layer};

use super::rows;

pub use reach::{node_routes, unreached};

const SERVICE: &str = "echo";
const PORT: u16 = 8080;

fn host(context: &Context) -> String {
    rows::host(SERVICE, context.sample())
}

/// The finding with the first broken layer of requests to echo, and what was seen of those below it.
///
/// `last` is the layer above which the finding has nothing to say.
pub async fn explained(context: &Context, finding: Finding, last: Layer) -> Finding {
    let mut evidence = finding.evidence.clone();
    // A lab that hangs must not cost the finding itself.
    let looked =
        tokio::time::timeout(*context.budgets.diagnose(), first_broken(context, &finding, last, &mut evidence)).await;
    finding.broken(looked.ok().flatten()).evidence(&evidence)
}

/// A look at one layer: the broken thing, or one line on what is well.
pub type Told = Result<Result<String, Broken>, Fault>;

async fn first_broken(context: &Context, finding: &Finding, last: Layer, evidence: &mut Evidence) -> Option<Broken> {
    // One handshake with each server tells whether it is reached, and later who it is.
    let mut handshakes = None;
    let mut unseen = false;
    for layer in Layer::ALL.into_iter().filter(|layer| *layer <= last) {
        let told = match layer {
            Layer::NodeRoute => reach::node_routes(context).await,
            Layer::PodAddress => {
                let asked = handshakes.insert(reach::handshakes(context).await);
                asked.as_ref().map(|all| reach::pod_addresses(all)).map_err(Clone::clone)
            }
            Layer::Service => discovery::services(context).await,
            Layer::Dns => discovery::names(context).await,
            Layer::EndpointSlice => discovery::endpoint_slices(context).await,
            Layer::Registry => discovery::registry(context).await,
            Layer::Xds => proxies::proxies(context).await,
            Layer::Tls => match handshakes.take() {
                Some(Ok(all)) => tls::mutual_tls(context, &all).await,
                Some(Err(fault)) => Err(fault),
                None => continue,
            },
            // What is left where all below holds, and only there.
            Layer::Http => return (!unseen).then(|| http(context, finding)),
        };
        match told {
            Ok(Err(broken)) => return Some(broken),
            Ok(Ok(line)) => {
                evidence.saw(format!("layer {layer}"), "holds", line);
            }
            Err(fault) => {
                unseen = true;
                evidence.note(format!("layer {layer} could not be looked at: {}", said(fault)));
            }
        }
    }
    None
}

fn http(context: &Context, finding: &Finding) -> Broken {
    let namespace = context.sample();
    let primary = context.primary();
    Broken {
        layer: Layer::Http,
        object: primary.object("Service", &format!("{namespace}/{SERVICE}")),
        seen: if finding.got.is_empty() { finding.cause.clone() } else { finding.got.clone() },
        look: format!("istioctl --context {} analyze -n {namespace}", primary.context_word()),
    }
}

fn said(fault: Fault) -> String {
    match fault {
        Fault::Refuted(finding) => finding.cause,
        Fault::Unknown(why) | Fault::NotAsked(why) => why,
    }
}

/// How addresses differ from those of pods; none where they are the same.
fn otherwise(pods: &BTreeMap<String, String>, listed: &BTreeSet<String>) -> Option<String> {
    if let Some((ip, pod)) = pods.iter().find(|(ip, _)| !listed.contains(*ip)) {
        return Some(format!("{ip} of {pod} is not listed"));
    }
    listed.iter().find(|ip| !pods.contains_key(*ip)).map(|ip| format!("{ip} is listed, which is no ready pod's"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::otherwise;

    #[rstest]
    #[case::the_same(&["10.10.0.8"], None)]
    #[case::missing(&[], Some("10.10.0.8 of cluster1 pod x/a is not listed"))]
    #[case::a_stranger(&["10.10.0.8", "10.10.0.99"], Some("10.10.0.99 is listed, which is no ready pod's"))]
    fn addresses_are_those_of_the_ready_pods(#[case] listed: &[&str], #[case] expected: Option<&str>) {
        let pods = [("10.10.0.8".to_string(), "cluster1 pod x/a".to_string())].into();
        let listed = listed.iter().map(|ip| ip.to_string()).collect();
        assert_eq!(otherwise(&pods, &listed).as_deref(), expected);
    }
}
