"""Translations of tenancy to platforms, chosen by what a cluster can do."""

from tenancy.adapters.capsule import CapsuleTenants
from tenancy.adapters.capsule_projects import CapsuleProjects
from tenancy.adapters.native import NativeProjects, NativeTenants

NATIVE, CAPSULE = "tenancy.native", "tenancy.capsule"
CAPSULE_INSTALLED = "tenancy.capsule.installed"  # served also where Capsule is of no use

TENANTS: dict[str, NativeTenants | CapsuleTenants] = {
    NATIVE: NativeTenants(),
    CAPSULE: CapsuleTenants(),
}
PROJECTS: dict[str, NativeProjects] = {
    NATIVE: NativeProjects(),
    CAPSULE: CapsuleProjects(),
}
