"""Translations of apps to platforms, chosen by what a cluster can do."""

from delivery.adapters.kubevela import KubeVelaApps
from delivery.adapters.native import NativeApps

NATIVE, KUBEVELA = NativeApps.name, KubeVelaApps.name

APPS: dict[str, NativeApps | KubeVelaApps] = {
    NATIVE: NativeApps(),
    KUBEVELA: KubeVelaApps(),
}
