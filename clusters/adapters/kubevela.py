"""The kinds of KubeVela that KubeNova works with (`core.oam.dev`). Pure."""

from reconcile.values import Kind

GROUP = "core.oam.dev"
APPLICATION = Kind(f"{GROUP}/v1beta1", "Application", "applications")
WORKFLOW_RUN = Kind(f"{GROUP}/v1alpha1", "WorkflowRun", "workflowruns")
COMPONENT_DEFINITION = Kind(f"{GROUP}/v1beta1", "ComponentDefinition", "componentdefinitions")
TRAIT_DEFINITION = Kind(f"{GROUP}/v1beta1", "TraitDefinition", "traitdefinitions")
STEP_DEFINITION = Kind(f"{GROUP}/v1beta1", "WorkflowStepDefinition", "workflowstepdefinitions")
DEFINITIONS_NAMESPACE = "vela-system"
# The types that apps can use, by the names of KubeVela's own definitions.
COMPONENT_TYPES = ("cron-task", "daemon", "statefulset", "task", "webservice", "worker")
TRAIT_TYPES = (
    *("affinity", "annotations", "env", "expose", "gateway", "hpa", "init-container", "labels"),
    *("resource", "scaler", "securitycontext", "service-account", "sidecar", "startup-probe"),
    "storage",
)
# By these KubeNova has KubeVela add what no trait of an app says: its marks, and the hardening.
PATCH_TYPES = ("json-merge-patch", "json-patch")
# The account of a project that KubeVela acts by, and the first baseline that has its role.
DEPLOYER = "kubenova-deployer"
DEPLOYER_RIGHTS = "baseline.5"
RUN_RIGHTS = "baseline.7"  # the first one by which KubeNova writes WorkflowRuns
