"""Policy sets, their versions, what they are attached to, and what that imposes on tenants."""

from policies.models.attachment import Attachment
from policies.models.celrule import CelRule, RulePublication
from policies.models.exception import PolicyException
from policies.models.finding import Finding
from policies.models.imposition import Imposition
from policies.models.policyset import PolicySet
from policies.models.simulation import Simulation, SimulationFinding
from policies.models.simulation_run import SimulationRun
from policies.models.version import PolicyVersion

__all__ = [
    "Attachment",
    "CelRule",
    "Finding",
    "Imposition",
    "PolicyException",
    "PolicySet",
    "PolicyVersion",
    "RulePublication",
    "Simulation",
    "SimulationFinding",
    "SimulationRun",
]
