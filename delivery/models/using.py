"""Which apps use a type: what they declare, and what a cluster is still to run of them."""

from collections.abc import Iterator

from django.db.models import F

from delivery.models.app import App
from delivery.models.revision import Revision
from delivery.rules.allowing import uses
from reconcile.values import JSON


def apps_using(word: str, type_: str) -> list[str]:
    """Name the apps that use a type of `component` or `trait`, as `tenant/project/app`."""
    found = {
        "/".join(names)
        for names, spec in _specs()
        if any(use.type == type_ and use.kind == word for _, use in uses(spec))
    }
    return sorted(found)


def _specs() -> Iterator[tuple[tuple[str, ...], JSON]]:
    keys = ("project__tenant__name", "project__name", "name")
    for *names, components, overrides in (
        App.objects.order_by().values_list(*keys, "components", "overrides").iterator()
    ):
        yield tuple(map(str, names)), {"components": components, "overrides": overrides}
    earlier = Revision.objects.filter(number=F("app__placements__target")).exclude(
        number=F("app__revision")
    )
    rows = earlier.order_by().values_list(*(f"app__{key}" for key in keys), "spec")
    for *names, spec in rows.iterator():
        yield tuple(map(str, names)), spec
