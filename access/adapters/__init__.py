"""Translations of grants to ways into a cluster, chosen by how the cluster is registered."""

from access.adapters.capsule_proxy import CapsuleProxy
from access.adapters.kubenova_proxy import KubenovaProxy

OWN_PROXY, CAPSULE_PROXY = "kubenova-proxy", "capsule-proxy"
GRANTS = {OWN_PROXY: KubenovaProxy(), CAPSULE_PROXY: CapsuleProxy()}
