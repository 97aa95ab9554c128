//! TLS: which certificates servers show, and whether callers send under TLS.

use harness::check::{Broken, Context, Layer};
use harness::problem::all_of;

use super::reach::Handshake;
use super::{PORT, SERVICE, Told, host};
use crate::shared::envoy::Proxy;
use crate::shared::sample::{callers, identity};

/// The servers show certificates of the mesh, and the callers' proxies send under TLS.
pub async fn mutual_tls(context: &Context, handshakes: &[Handshake]) -> Told {
    let host = host(context);
    let namespace = context.sample();
    let identity = identity(namespace, SERVICE);
    let shown = match certificates(handshakes, &identity) {
        Ok(shown) => shown,
        Err(broken) => return Ok(Err(broken)),
    };
    for caller in callers(context).await? {
        let proxy = Proxy::of(&caller).await?;
        if proxy.sends_tls(&format!("outbound|{PORT}||{host}")).await? == Some(false) {
            return Ok(Err(Broken {
                layer: Layer::Tls,
                object: proxy.object(),
                seen: format!("it sends requests to {host} in plain text"),
                look: format!(
                    "istioctl --context {} proxy-config cluster {}.{namespace} --fqdn {host} -o json",
                    caller.cluster.context_word(),
                    caller.pod
                ),
            }));
        }
    }
    Ok(Ok(format!("{shown}, and callers send under TLS")))
}

fn certificates(handshakes: &[Handshake], identity: &str) -> Result<String, Broken> {
    for Handshake { from, to, tls } in handshakes {
        let another_root = tls.verify_error.as_ref().filter(|error| !error.contains("not valid for name"));
        let seen = match tls.chain.first() {
            None => format!("no certificate: {}", tls.error.as_deref().unwrap_or("the handshake ended")),
            Some(leaf) if !leaf.uri.iter().any(|uri| uri == identity) => {
                format!("a certificate for {}, not for {identity}", all_of(&leaf.uri))
            }
            Some(leaf) => match another_root {
                Some(error) => {
                    format!("a certificate of {} that does not lead to the mesh's root: {error}", leaf.issuer)
                }
                None => continue,
            },
        };
        return Err(Broken {
            layer: Layer::Tls,
            object: to.object(),
            seen: format!("{} is shown {seen}", from.object()),
            look: format!(
                "istioctl --context {} proxy-config secret {}.{}",
                to.cluster.context_word(),
                to.pod,
                to.cluster.sample
            ),
        });
    }
    Ok(format!("{} servers show certificates for {identity} of the mesh's root", handshakes.len()))
}
