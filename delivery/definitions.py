"""Pages of the types of components and traits: a browser of what the clusters serve."""

import json

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from delivery.models.definitions import definitions_for
from delivery.rules.definitions import APP_KINDS, Definition
from reconcile.pages.finding import PageRequest, page
from reconcile.pages.lists import PAGE_SIZE


@require_safe
@page
def definitions(request: PageRequest) -> HttpResponse:
    """All types that one of the person's clusters serves."""
    words, kind = request.GET.get("q", "").strip()[:63], request.GET.get("kind", "")
    rows = [
        row
        for row in definitions_for(request.user)
        if kind in ("", row.kind) and words.lower() in f"{row.type} {row.description}".lower()
    ]
    shown = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": shown, "q": words, "kind": kind, "kinds": list(APP_KINDS)}
    return render(request, "delivery/definitions.html", context)


@require_safe
@page
def definition(request: PageRequest, kind: str, type: str) -> HttpResponse:
    """One type: its properties, and where it can be used."""
    rows = definitions_for(request.user)
    found = next((row for row in rows if (row.kind, row.type) == (kind, type)), None)
    if found is None:
        raise Http404
    context = {"definition": found, "properties": _properties(found)}
    context["schema"] = json.dumps(found.parameters, indent=2, ensure_ascii=False)
    return render(request, "delivery/definition.html", context)


def _properties(row: Definition) -> list[dict[str, object]]:
    """What the table shows of each property: name, type, required, and what to use."""
    required = row.parameters.get("required", [])
    return [
        {
            "name": name,
            "type": schema.get("type", ""),
            "required": name in required,
            "text": _told(schema),
        }
        for name, schema in sorted(row.parameters.get("properties", {}).items())
    ]


def _told(schema: dict[str, object]) -> str:
    choices = schema.get("enum")
    listed = ", ".join(str(each) for each in choices) if isinstance(choices, list) else ""
    return str(schema.get("description") or (f"one of {listed}" if listed else ""))
