//! The table of known symptoms. A row fires on lines that Istio, Envoy and Kubernetes write in the cases of its
//! reference, and stays silent on what stands there when all is well.

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Symptom {
    /// Stable kebab-case id, which `meshproof explain` takes.
    pub id: &'static str,
    /// What is seen, in one phrase.
    pub title: &'static str,
    /// What it means; `${ISTIO_NAMESPACE}` is filled in, here and in the command.
    pub meaning: &'static str,
    /// Section of the guide, or threads about it.
    pub reference: &'static str,
    /// The command to look closer.
    pub look: &'static str,
    /// Whether the symptom may stand in the file of this name.
    pub stands_in: fn(&str) -> bool,
    /// The line of a text that shows it.
    pub sign: fn(&str) -> Option<&str>,
}

/// What is known, in the order of the guide's steps.
pub const SYMPTOMS: &[Symptom] = &[
    Symptom {
        id: "host-limit-reached",
        title: "a limit of the host is reached",
        meaning: "inotify instances or open files are used up, so kubelets, proxies and istiod fail in odd places",
        reference: "kind: known issues, pod errors due to too many open files",
        look: "sysctl fs.inotify.max_user_instances fs.inotify.max_user_watches",
        stands_in: anywhere,
        sign: |text| line(text, |line| any(line, &["too many open files", "inotify_init", "inotify watches"])),
    },
    Symptom {
        id: "disk-full",
        title: "the disk is full",
        meaning: "a node or the host has no space left; kubelets evict pods and refuse images",
        reference: "the README's requirements",
        look: "df -h /var/lib/docker; meshproof images prune",
        stands_in: anywhere,
        sign: |text| {
            line(text, |line| {
                any(line, &["no space left on device", "had untolerated taint {node.kubernetes.io/disk-pressure"])
            })
        },
    },
    Symptom {
        id: "image-not-on-node",
        title: "an image is not on the node",
        meaning: "the lab pulls nothing from the internet: the image was not loaded, or has another name than the manifest says",
        reference: "meshproof images --help",
        look: "meshproof images verify",
        stands_in: said_by_kubernetes,
        sign: |text| line(text, |line| any(line, &["ErrImageNeverPull", "ImagePullBackOff", "ErrImagePull"])),
    },
    Symptom {
        id: "pod-without-room",
        title: "a pod finds no room",
        meaning: "requests of all pods are more than the node has, so this one waits for ever",
        reference: "the README's requirements",
        look: "kubectl --context=\"${CTX_CLUSTER1}\" describe nodes",
        stands_in: said_by_kubernetes,
        sign: |text| line(text, |line| any(line, &["Insufficient cpu", "Insufficient memory", "OOMKilled"])),
    },
    Symptom {
        id: "no-route-between-pods",
        title: "pods of the two clusters have no route to each other",
        meaning: "on one network the guide relies on direct routes between pods; without them only the local version answers",
        reference: "guide, before you begin: one network; istio/istio#29970, #31271",
        look: "ip route, on the node that network.txt names",
        stands_in: anywhere,
        sign: |text| {
            line(text, |line| {
                let route = line.contains(" via ") && line.ends_with(": missing");
                route || any(&line.to_ascii_lowercase(), &["no route to host", "network is unreachable"])
            })
        },
    },
    Symptom {
        id: "gateways-collide",
        title: "two Gateways claim the same port and host",
        meaning: "the east-west gateway refuses its whole listener, or never becomes ready",
        reference: "istio/istio#56107",
        look: "kubectl --context=\"${CTX_CLUSTER1}\" get gateways.networking.istio.io -A -o yaml",
        stands_in: log_or_cause,
        sign: |text| {
            line(text, |line| {
                let line = line.to_ascii_lowercase();
                let both =
                    line.contains("duplicate") && (line.contains("filter chain") || line.contains("filterchain"));
                both || (line.contains("filter chain")
                    && any(&line, &["same matching rules", "overlapping matching rules"]))
            })
        },
    },
    Symptom {
        id: "remote-cluster-not-synced",
        title: "istiod has not synced the remote cluster",
        meaning: "istiod has the remote secret and cannot list what is in cluster2: endpoints, webhooks and configmaps stay as they are",
        reference: "guide, attach cluster2; istio/istio#58047, #31081",
        look: "istioctl --context=\"${CTX_CLUSTER1}\" remote-clusters --istioNamespace ${ISTIO_NAMESPACE}",
        stands_in: |name| name.ends_with("clusterz.json") || log_of_istiod(name),
        sign: |text| {
            line(text, |line| {
                let page = line.contains("\"syncStatus\"")
                    && any(line, &["\"timeout\"", "\"syncing\"", "\"closed\"", "\"failed\""]);
                page || (line.contains("remote cluster") && any(line, &["timed out", "timeout waiting"]))
            })
        },
    },
    Symptom {
        id: "secret-names-localhost",
        title: "a remote secret names an API server at 127.0.0.1",
        meaning: "that is istiod's own pod; kind's kubeconfig names the host's port, so the guide's command needs --server with the node's address",
        reference: "guide, attach cluster2: the note on kind; istio/istio#58047, #31290",
        look: "istioctl create-remote-secret --context=\"${CTX_CLUSTER2}\" --name=cluster2 --istioNamespace ${ISTIO_NAMESPACE} --server=https://NODE_ADDRESS:6443",
        stands_in: |name| log_of_istiod(name) || is_cause(name),
        sign: |text| {
            line(text, |line| {
                any(line, &["https://127.0.0.1:", "https://localhost:"])
                    && any(line, &["connection refused", "context deadline exceeded", "i/o timeout", "certificate"])
            })
        },
    },
    Symptom {
        id: "cluster-names-differ",
        title: "names of the clusters do not fit together",
        meaning: "a proxy or an injection path says another cluster id than clusterName of the install or the name of the remote secret",
        reference: "guide, attach cluster2: --name; istio/istio#46090, #52388",
        look: "kubectl --context=\"${CTX_CLUSTER1}\" -n ${ISTIO_NAMESPACE} get secrets -l istio/multiCluster=true -o yaml | grep networking.istio.io/cluster",
        stands_in: anywhere,
        sign: |text| {
            line(text, |line| {
                // Before it has any remote secret, istiod rightly refuses every token of cluster2 in these words.
                let claims = line.contains("client claims to be in cluster") && !line.contains("remote clusters []");
                claims || (line.contains("could not get cluster") && line.contains("kube client"))
            })
        },
    },
    Symptom {
        id: "token-not-trusted",
        title: "istiod does not trust a proxy's token",
        meaning: "the proxy's cluster has no remote secret in cluster1 yet, or another cluster's",
        reference: "guide, attach cluster2; istio/istio#30869, #42144",
        look: "kubectl --context=\"${CTX_CLUSTER1}\" -n ${ISTIO_NAMESPACE} logs -l app=istiod --tail=-1 | grep 'Failed to authenticate'",
        stands_in: |name| log_of_proxy(name) || is_cause(name),
        sign: |text| {
            until_cured(
                text,
                |line| any(line, &["code = Unauthenticated", "status: Unauthenticated"]),
                "Envoy proxy is ready",
            )
        },
    },
    Symptom {
        id: "istiod-does-not-lead",
        title: "istiod does not lead in the remote cluster",
        meaning: "when it read the remote secret, namespace ${ISTIO_NAMESPACE} of cluster2 had no annotation with cluster1's name, or istiod no EXTERNAL_ISTIOD; it asks once, so re-create the secret after you set it",
        reference: "guide, set the control plane cluster for cluster2; istio/istio#41389, #32244",
        look: "kubectl --context=\"${CTX_CLUSTER2}\" get namespace ${ISTIO_NAMESPACE} -o yaml",
        stands_in: |name| log_of_istiod(name) || is_cause(name),
        sign: does_not_lead,
    },
    Symptom {
        id: "istiod-may-not-write",
        title: "istiod may not write in the remote cluster",
        meaning: "the account of the remote secret lacks rights that the remote profile gives; after the rights are back, change the webhook object, as istiod does not try again by itself",
        reference: "guide, configure cluster2 as a remote; istio/istio#28562, #35068, #47433",
        look: "kubectl --context=\"${CTX_CLUSTER2}\" get clusterrole istio-reader-clusterrole-${ISTIO_NAMESPACE} -o yaml",
        stands_in: |name| log_of_istiod(name) || is_cause(name),
        sign: |text| {
            line(text, |line| {
                line.contains("forbidden")
                    && any(line, &["mutatingwebhookconfigurations", "istio-reader-service-account"])
            })
        },
    },
    Symptom {
        id: "webhook-without-ca",
        title: "an injection webhook has no CA",
        meaning: "istiod has not patched its root into it: it does not lead or is not synced there, may not write, or has INJECTION_WEBHOOK_CONFIG_NAME empty; no pod can be injected",
        reference: "guide, attach cluster2; istio/istio#42327, #51595, #36858",
        look: "kubectl --context=\"${CTX_CLUSTER2}\" get mutatingwebhookconfigurations -o yaml | grep -B2 -A8 clientConfig",
        stands_in: |name| name.ends_with("trust.txt") || is_cause(name),
        sign: |text| {
            line(text, |line| {
                let line = line.to_ascii_lowercase();
                line.contains("cabundle") && any(&line, &["empty", "absent", "is not set", "no cabundle"])
            })
        },
    },
    Symptom {
        id: "root-of-another-ca",
        title: "a CA root is not cluster1's",
        meaning: "a webhook or a namespace has the root of another or an earlier control plane, or somebody wrote it by hand; istiod writes its own again where it leads and may",
        reference: "istio/istio#60774, #61779, #33852",
        look: "trust.txt of this cluster; in the remote cluster audit.jsonl says who wrote",
        stands_in: |name| name.ends_with("trust.txt"),
        sign: |text| line(text, |line| line.ends_with("which is not cluster1's root")),
    },
    Symptom {
        id: "webhook-not-trusted",
        title: "an API server does not trust the injection webhook",
        meaning: "the webhook's caBundle is empty or of an older root, so no pod is created where injection is on",
        reference: "istio/istio#42327, #23561, #60774",
        look: "compare trust.txt of both clusters",
        stands_in: |name| said_by_kubernetes(name),
        sign: |text| line(text, |line| line.contains("x509: certificate signed by unknown authority")),
    },
    Symptom {
        id: "istiod-not-trusted",
        title: "a proxy does not trust istiod",
        meaning: "its namespace has the root of another control plane or of an earlier one, or its traffic reaches another istiod",
        reference: "istio/istio#60774, #23591",
        look: "compare trust.txt of both clusters",
        stands_in: log_of_proxy,
        sign: |text| {
            until_cured(
                text,
                |line| {
                    any(
                        line,
                        &[
                            "x509: certificate signed by unknown authority",
                            "x509: certificate is valid for",
                            "CERTIFICATE_VERIFY_FAILED",
                        ],
                    )
                },
                "Envoy proxy is ready",
            )
        },
    },
    Symptom {
        id: "webhook-not-reached",
        title: "an API server does not reach the injection webhook",
        meaning: "its way goes by cluster2's Service istiod to the east-west gateway and port 15017: one of them is missing or leads elsewhere",
        reference: "guide, expose the control plane in cluster1; istio/istio#58445, #58998",
        look: "kubectl --context=\"${CTX_CLUSTER2}\" -n ${ISTIO_NAMESPACE} get services,endpointslices -o wide",
        stands_in: said_by_kubernetes,
        sign: |text| {
            line(text, |line| {
                let ways = [
                    "deadline exceeded",
                    "connection refused",
                    "no endpoints available",
                    "endpoints \"istiod\" not found",
                    "service \"istiod\" not found",
                    "i/o timeout",
                    "EOF",
                ];
                line.contains("failed calling webhook") && any(line, &ways)
            })
        },
    },
    Symptom {
        id: "pods-wait-for-root",
        title: "pods wait for the root certificate",
        meaning: "istiod has not written configmap istio-ca-root-cert into their namespace: it does not lead in this cluster",
        reference: "guide, set the control plane cluster for cluster2; istio/istio#41389, #32244",
        look: "kubectl --context=\"${CTX_CLUSTER2}\" get configmaps -A | grep istio-ca-root-cert",
        stands_in: said_by_kubernetes,
        sign: |text| {
            line(text, |line| {
                line.contains("not found") && any(line, &["\"istio-ca-root-cert\"", "\"istiod-ca-cert\""])
            })
        },
    },
    Symptom {
        id: "proxy-without-configuration",
        title: "a proxy has no configuration from istiod",
        meaning: "port 15012 is not reached by Service istiod and the east-west gateway: not exposed, another address, or istiod is not ready",
        reference: "guide, expose the control plane in cluster1; istio/istio#39707, #23859",
        look: "kubectl --context=\"${CTX_CLUSTER2}\" -n ${ISTIO_NAMESPACE} get endpointslices -l kubernetes.io/service-name=istiod -o yaml",
        stands_in: |name| log_of_proxy(name) || is_cause(name),
        sign: |text| {
            until_cured(
                text,
                |line| {
                    let closed = line.contains("StreamAggregatedResources")
                        && line.contains("closed: ")
                        && !line.contains("closed: 0");
                    closed || line.contains("config not received from XDS server")
                },
                "Envoy proxy is ready",
            )
        },
    },
    Symptom {
        id: "traffic-to-network-gateway",
        title: "traffic is sent to a network gateway",
        meaning: "the clusters name different networks, so istiod sends traffic to port 15443 of a gateway, where nothing listens on one network",
        reference: "guide, configure cluster1 and cluster2: values.global.network",
        look: "kubectl --context=\"${CTX_CLUSTER2}\" get mutatingwebhookconfigurations -o yaml | grep /inject/",
        stands_in: |name| log_of_proxy(name) || is_cause(name),
        sign: |text| {
            line(text, |line| {
                line.contains(":15443") && any(&line.to_ascii_lowercase(), &["refused", "\"uf", "503", "111"])
            })
        },
    },
    Symptom {
        id: "no-healthy-endpoint",
        title: "Envoy has no healthy endpoint",
        meaning: "istiod sent none for this service: the other cluster is not synced, its pods are not ready, or the remote secret was changed and its endpoints were lost",
        reference: "istio/istio#61043, #60612, #29970",
        look: "istioctl --context=\"${CTX_CLUSTER1}\" -n meshproof-sample proxy-config endpoints deployment/caller",
        stands_in: log_or_cause,
        sign: |text| line(text, |line| line.contains("no healthy upstream") || line.contains("no_healthy_upstream")),
    },
];

fn anywhere(_: &str) -> bool {
    true
}

fn is_cause(name: &str) -> bool {
    name.ends_with("causes.txt")
}

fn is_log(name: &str) -> bool {
    name.ends_with(".log")
}

fn log_of_istiod(name: &str) -> bool {
    is_log(name) && name.contains("/istiod-")
}

/// Gateways and sidecars; the kubelet's log is none of them.
fn log_of_proxy(name: &str) -> bool {
    is_log(name) && name.contains("/logs/") && !log_of_istiod(name)
}

fn log_or_cause(name: &str) -> bool {
    is_log(name) || is_cause(name)
}

/// Where Kubernetes says why a pod is not there; a cause may quote it.
fn said_by_kubernetes(name: &str) -> bool {
    ["events.txt", "pods.yaml", "replicasets.yaml", "deployments.yaml"].iter().any(|file| name.ends_with(file))
        || is_cause(name)
}

fn any(line: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| line.contains(part))
}

fn line(text: &str, is_sign: impl Fn(&str) -> bool) -> Option<&str> {
    text.lines().find(|line| is_sign(line))
}

/// The first sign, unless it was cured later: every proxy is without configuration at first.
fn until_cured<'a>(text: &'a str, is_sign: impl Fn(&str) -> bool, cure: &str) -> Option<&'a str> {
    let last_cure = text.lines().enumerate().filter(|(_, line)| line.contains(cure)).map(|(at, _)| at).last();
    text.lines()
        .enumerate()
        .find(|(at, line)| last_cure.is_none_or(|cure| *at > cure) && is_sign(line))
        .map(|(_, line)| line)
}

/// The last answer for each cluster counts: a secret that was made anew makes istiod ask again.
fn does_not_lead(text: &str) -> Option<&str> {
    const ASKED: &str = "should join leader-election for cluster ";
    let mut last: std::collections::BTreeMap<&str, (bool, &str)> = std::collections::BTreeMap::new();
    for line in text.lines() {
        let Some((_, answer)) = line.split_once(ASKED) else { continue };
        let Some((cluster, leads)) = answer.split_once(": ") else { continue };
        last.insert(cluster, (leads.starts_with("true"), line));
    }
    last.into_values().find(|(leads, _)| !leads).map(|(_, line)| line)
}
