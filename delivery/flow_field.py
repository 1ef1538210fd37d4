"""The field of an app's workflow: steps as YAML, or the name of a workflow."""

from typing import Any

from delivery.environment_form import YAMLField, as_yaml

_HELP = (
    "As YAML: name, for a workflow of the project; or steps, as workflows have them, and mode. It "
    "brings each new revision to the clusters instead of waves: a step deploy does so to its "
    "clusters, or to all. Empty: new revisions come by themselves."
)
_EXAMPLE = """steps:
- {name: staging, type: deploy, properties: {clusters: [staging]}}
- {name: approve, type: suspend}
- {name: everywhere, type: deploy}"""


class FlowField(YAMLField):
    """An object that is written as YAML; blank is an empty one."""

    nothing = dict

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label="Workflow",
            required=False,
            rows=6,
            max_length=200_000,
            placeholder=_EXAMPLE,
            help_text=_HELP,
            **kwargs,
        )

    def prepare_value(self, value: Any) -> Any:
        """Write an object for people."""
        if isinstance(value, dict):
            return as_yaml(value) if value else ""
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare texts as the page shows them."""
        return super().has_changed(self.prepare_value(initial), data)
