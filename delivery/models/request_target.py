"""Where steps of workflows may send requests: nowhere, but where operators say."""

from ipaddress import ip_network
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Coalesce

from delivery.rules.requests import Place, place_of
from delivery.rules.workflow_types import REQUEST
from delivery.rules.workflows import each_step
from reconcile.refusals import Fault, Unlisted
from reconcile.values import JSON
from tenancy.models import Tenant


def validate_host(value: object) -> None:
    """Refuse what is no name of a host as URLs have it. Raises ValidationError."""
    if not isinstance(value, str) or (found := place_of(f"https://{value}/")) is None:
        raise ValidationError("Give the name of a host, in lower case and without a port.")
    if found.host != value:
        raise ValidationError("Give the name of a host, without a port or a path.")


def validate_networks(value: object) -> None:
    """Refuse what is no list of networks. Raises ValidationError."""
    if not isinstance(value, list) or len(value) > 20:
        raise ValidationError("Give a list of at most 20 networks, such as 10.20.0.0/16.")
    for each in value:
        try:
            ip_network(str(each))
        except ValueError:
            raise ValidationError(f"{str(each)[:50]} is no network such as 10.20.0.0/16.") from None


class RequestTarget(models.Model):
    """A server that steps may send requests to: those of a tenant, or all where it is empty.

    `networks` are those of its private or loopback addresses that may be dialled; without any it
    has to have public ones. Link-local and metadata addresses are never dialled.
    """

    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.CASCADE,
        related_name="request_targets",
        null=True,
        blank=True,
        help_text="Empty: for every tenant.",
    )
    scheme = models.CharField(
        max_length=5, choices=[("https", "https"), ("http", "http")], default="https"
    )
    host = models.CharField(
        max_length=253, validators=[validate_host], help_text="Exactly this name; no patterns."
    )
    port = models.PositiveIntegerField(
        default=443, validators=[MinValueValidator(1), MaxValueValidator(65_535)]
    )
    networks = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_networks],
        help_text="Its private addresses that may be dialled, such as [“10.20.0.0/16”].",
    )
    ca = models.TextField(
        "CA certificates",
        max_length=65_536,
        blank=True,
        default="",
        help_text="PEM; trusted instead of the public authorities.",
    )
    changed_by = models.CharField(max_length=150, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    if TYPE_CHECKING:
        tenant_id: int | None

    class Meta:
        ordering = ["host", "port", "tenant__name"]
        constraints = [
            models.UniqueConstraint(
                Coalesce("tenant", 0), "scheme", "host", "port", name="request_target_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def target_of(tenant: Tenant, place: Place) -> RequestTarget | None:
    """Return what lets a tenant's steps ask a server: its own entry before the platform's."""
    rows = RequestTarget.objects.filter(models.Q(tenant=None) | models.Q(tenant=tenant))
    found = rows.filter(scheme=place.scheme, host=place.host, port=place.port)
    return found.order_by(models.F("tenant").asc(nulls_last=True)).first()


def unlisted(place: Place) -> str:
    """Say that steps may not ask this server, and who can change that."""
    return f"Operators have not allowed requests to {place}. Ask one to add it."


def refuse_unlisted_requests(tenant: Tenant, steps: list[JSON], before: list[JSON]) -> None:
    """Refuse requests to servers that are not allowed; those of `before` stay. Raises Unlisted."""
    known = set(_asked(before).values())
    faults = [
        Fault("host", unlisted(place), pointer)
        for pointer, place in _asked(steps).items()
        if place not in known and target_of(tenant, place) is None
    ]
    if faults:
        raise Unlisted(faults[0].detail, errors=faults)


def _asked(steps: list[JSON]) -> dict[str, Place]:
    """The servers that are asked, by the pointer to the URL; those from inputs come later."""
    found = {}
    for path, step in each_step(steps):
        url = step.get("properties", {}).get("url")
        if step["type"] == REQUEST and url and (place := place_of(url)):
            found["/".join(["/steps", *map(str, path), "properties", "url"])] = place
    return found
