"""Template tags of plans."""

import yaml
from django import template

from reconcile.values import JSON

register = template.Library()


@register.filter
def as_yaml(manifest: JSON) -> str:
    """Write a manifest as people know them."""
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)
