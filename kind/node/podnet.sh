#!/bin/bash
# Gives a kind node its pod network: ptp with host-local addresses, routed, without NAT between pods of the lab.
#
# Fed to `bash -s` inside the node by the harness, on the nodes of either image source:
#   podnet.sh POD_CIDR API_SERVICE_IP LAB_POD_CIDR...
# It waits for kube-proxy's rule for the API service first: a node that is Ready before that starts pods whose first
# call of the API server is lost, which costs each of them 30 s.
set -euo pipefail
pod_cidr=$1 api_service=$2
shift 2

deadline=$((SECONDS + 100))
until iptables-save -t nat 2>/dev/null | grep -qE -- "-A KUBE-SERVICES -d $api_service/32 .*-j KUBE-SVC-"; do
  if ((SECONDS > deadline)); then
    echo "kube-proxy has written no rule for the API service $api_service" >&2
    exit 1
  fi
  sleep 0.1
done

# What leaves the lab's pods for anything but a pod of the lab wears the node's address, as on most platforms; pods see
# each other's own address, in both clusters.
iptables -w -t nat -N MESHPROOF-POSTROUTING 2>/dev/null || iptables -w -t nat -F MESHPROOF-POSTROUTING
for cidr in "$@"; do
  iptables -w -t nat -A MESHPROOF-POSTROUTING -d "$cidr" -j RETURN
done
iptables -w -t nat -A MESHPROOF-POSTROUTING -d 224.0.0.0/4 -j RETURN
iptables -w -t nat -A MESHPROOF-POSTROUTING -j MASQUERADE
iptables -w -t nat -C POSTROUTING -s "$pod_cidr" -j MESHPROOF-POSTROUTING 2>/dev/null ||
  iptables -w -t nat -A POSTROUTING -s "$pod_cidr" -j MESHPROOF-POSTROUTING

mtu=$(cat /sys/class/net/eth0/mtu)
mkdir -p /etc/cni/net.d
cat >/etc/cni/net.d/.10-podnet.conflist <<JSON
{
  "cniVersion": "0.4.0",
  "name": "podnet",
  "plugins": [
    {
      "type": "ptp",
      "mtu": $mtu,
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "ranges": [[{"subnet": "$pod_cidr"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
# Renamed in one go: containerd watches the folder and must not read half a file.
mv /etc/cni/net.d/.10-podnet.conflist /etc/cni/net.d/10-podnet.conflist
