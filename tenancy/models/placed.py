"""Where a tenant is placed: by the names of clusters, and by their labels."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import models

from clusters.models import Cluster
from tenancy.models.counted import Counted
from tenancy.models.validators import validate_placement


class Placed(Counted):
    """The part of a tenant that chooses its clusters."""

    placement = models.JSONField(default=dict, blank=True, validators=[validate_placement])

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Refuse clusters that are not registered."""
        try:
            validate_placement(self.placement)
        except ValidationError:
            return  # told with the column
        names = self.placement.get("clusters", [])
        known = set(Cluster.objects.filter(name__in=names).values_list("name", flat=True))
        unknown = [name for name in names if name not in known]
        if unknown:
            message = f"No such cluster is registered: {', '.join(unknown)}."
            raise ValidationError({"placement": message})

    def chosen(self) -> list[Cluster]:
        """The clusters that its placement selects now, within its bounds."""
        found = Cluster.objects.all().selected(
            self.placement.get("clusters", []), self.placement.get("selector", {})
        )
        return self.at_most(found)

    def targets(self) -> Iterable[int]:
        """The clusters that its placement selects now."""
        return [cluster.pk for cluster in self.chosen()]
