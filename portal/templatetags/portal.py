"""How pages show values: phases, times, conditions, fields of forms."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, HiddenInput, Select
from django.http import QueryDict
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from portal.objects import page_of as _page_of
from portal.standing import standing
from reconcile.models.rows import Row
from reconcile.pages.polling import EVERY, Poll
from reconcile.values import JSON, Phase
from tenancy.models import Tenant

register = template.Library()

# Never by colour alone: each phase has its word, its icon and its colour.
_DELETING = "Deleting"
_ICONS: dict[str, str] = {
    _DELETING: "trash",
    Phase.PENDING: "clock",
    Phase.APPLYING: "arrow-path",
    Phase.DEPLOYED: "check-circle",
    Phase.DRIFTED: "exclamation-triangle",
    Phase.ERROR: "x-circle",
}
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))
_CUT = 300


@register.inclusion_tag("_phase.html")
def phase(row: Row) -> JSON:
    """Show the phase of a row, or that it is on its way out."""
    return phase_name(phase_word(row))


@register.inclusion_tag("_phase.html")
def phase_name(name: str) -> JSON:
    """Show a phase by its name."""
    return {"name": name, "icon": phase_icon(name)}


@register.filter
def phase_word(row: Row) -> str:
    """Return the phase of a row, or that it is being deleted."""
    return _DELETING if row.deleting else row.phase


@register.filter
def phase_icon(name: str) -> str:
    """Return the icon of a phase."""
    return _ICONS[name]


register.filter(standing)


@register.simple_tag
def ago(moment: datetime | str | None) -> SafeString:
    """Say how long ago, or how soon, a moment is; the title holds the moment itself."""
    if isinstance(moment, str):
        moment = parse_datetime(moment)
    if moment is None:
        return mark_safe("never")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        distance(moment),
    )


def distance(moment: datetime) -> str:
    """Return `just now`, `5 minutes ago`, `in 2 hours`."""
    seconds = (timezone.now() - moment).total_seconds()
    for size, unit in _UNITS:
        if count := int(abs(seconds) // size):
            plural = "" if count == 1 else "s"
            return f"{count} {unit}{plural} ago" if seconds > 0 else f"in {count} {unit}{plural}"
    if seconds < -1:
        return f"in {int(-seconds)} seconds"
    return f"{int(seconds)} seconds ago" if seconds >= 10 else "just now"


@register.simple_tag
def page_of(row: Row) -> str:
    """Return the path of the page that shows a row."""
    return _page_of(row)


@register.simple_tag
def follow(poll: Poll) -> SafeString:
    """Return the attributes by which a fragment fetches itself; none once it is settled."""
    if not poll.following:
        return SafeString("")
    return format_html('hx-get="{}" hx-trigger="every {}s" hx-swap="outerHTML"', poll.url, EVERY)


@register.filter
def plain(value: object) -> str:
    """Write a value of a drifted field: absent, a text as it is, all else as JSON."""
    if value is None:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CUT else f"{text[:_CUT]} …"


@register.filter
def seconds(number: float) -> str:
    """Write a duration as people do: 40 ms, 2.5 s, 3 min 20 s."""
    if number < 1:
        return f"{number * 1000:.0f} ms"
    if number < 60:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@register.filter
def quantity(text: str) -> str:
    """Write a quantity as people do: whole cores, and bytes in the largest unit that is whole."""
    if text.endswith("000m"):
        return text.removesuffix("000m")
    size = int(text) if text.isdecimal() else 0
    for power, unit in ((3, "Gi"), (2, "Mi"), (1, "Ki")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return text


@register.filter
def at_most(number: int, most: int) -> int:
    """Bound a number, as a bar is bound."""
    return min(number, most)


@register.filter
def widget(field: BoundField) -> SafeString:
    """Draw the input of a field, with the classes of the design."""
    kinds = {HiddenInput: "", CheckboxInput: "form-check-input", Select: "form-select"}
    found = (name for kind, name in kinds.items() if isinstance(field.field.widget, kind))
    name = next(found, "form-control")
    wrong = " is-invalid" if field.errors else ""
    return field.as_widget(attrs={"class": f"{name}{wrong}"})


@register.filter
def grouped(field: BoundField) -> bool:
    """Whether a field has several inputs, which its label names as a group."""
    return not field.id_for_label


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: object) -> str:
    """Return the query of this page with some parameters changed; None drops one."""
    given: QueryDict = context["request"].GET.copy()
    for name in ("since", "seen"):
        given.pop(name, None)
    for name, value in changes.items():
        given.pop(name, None)
        if value not in (None, ""):
            given[name] = str(value)
    return f"?{given.urlencode()}" if given else "?"


@register.filter
def joined(values: Sequence[object]) -> str:
    """Join values by commas."""
    return ", ".join(str(value) for value in values)


@register.simple_tag(takes_context=True)
def tenant_link(context: Context, tenant: Tenant) -> SafeString:
    """The name of a tenant: a link for whoever sees it; members of a project alone do not."""
    seen = Tenant.objects.visible_to(context["request"].user).filter(pk=tenant.pk).exists()
    if not seen:
        return format_html('<span class="mono">{}</span>', tenant.name)
    path = reverse("tenant", args=[tenant.name])
    return format_html('<a class="mono" href="{}">{}</a>', path, tenant.name)
