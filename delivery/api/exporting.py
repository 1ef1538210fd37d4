"""Apps as files: `GET …/export` writes one as YAML, `POST /apps:import` declares what files say."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.plainyaml import Bounds, Malformed, load_all
from delivery.api.serializers import AppSerializer
from delivery.api.views import AppView
from delivery.models import App
from delivery.rules.canonical import KIND, canonical
from reconcile.api.bodies import MAX_DEPTH, JSONBodyParser, parse_json, pointer
from reconcile.api.idempotency import once
from reconcile.api.plans import plannable
from reconcile.refusals import Fault, Invalid, Refusal, TooLarge
from reconcile.values import JSON

MEDIA_TYPE = "application/yaml"
MOST_APPS = 50
_BOUNDS = Bounds(depth=MAX_DEPTH, nodes=50_000, documents=MOST_APPS)
_UNREAD = "The body cannot be read."


class YAMLParser(BaseParser):
    """Reads `application/yaml`: one or several documents, without anchors, tags and repeated keys.

    What they hold is held to the rules of JSON bodies.
    """

    media_type = MEDIA_TYPE

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the documents that are not empty. Raises TooLarge, Invalid."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"A body may hold at most {limit} bytes.")
        try:
            found = load_all(body, _BOUNDS)
        except Malformed as error:
            text = " ".join(f"The text {error.where} {error.message}.".split())
            raise Invalid(_UNREAD, errors=[Fault("yaml", text)]) from None
        return parse_json(json.dumps([each for each in found if each is not None]).encode())


class ImportedSerializer(serializers.Serializer[Any]):
    """What became of one document."""

    tenant = serializers.CharField()
    project = serializers.CharField()
    name = serializers.CharField()
    result = serializers.ChoiceField(choices=["created", "changed", "unchanged"])
    generation = serializers.IntegerField()
    revision = serializers.IntegerField()


class ImportedListSerializer(serializers.Serializer[Any]):
    """What became of each document, in their order."""

    items = ImportedSerializer(many=True)


class AppExport(AppView):
    """An app as a file."""

    @extend_schema(responses={(200, MEDIA_TYPE): OpenApiTypes.STR})
    def export(self, request: Request, **kwargs: Any) -> HttpResponse:
        """Return the app as YAML, ready for Git: the same app is always the same text.

        Only what was declared is in it, and nothing that is as by default; `apps:import` takes it.
        """
        row = self.find()
        shown = self.serializer_for(instance=row)
        fields = ["name", "tenant", "project", *(name for name, _ in shown.spec_fields())]
        blank = {str(field.source): name for name, field in shown.spec_fields()}
        empty = App()
        defaults = {name: getattr(empty, source) for source, name in blank.items()}
        body = {name: shown.data[name] for name in dict.fromkeys(fields)}
        answer = HttpResponse(canonical(body, defaults), content_type=MEDIA_TYPE)
        answer["Content-Disposition"] = f'attachment; filename="{row.name}.yaml"'
        answer["ETag"] = f'"{row.generation}"'
        return answer


class AppImport(AppView):
    """Apps out of a file."""

    document: JSON | None = None

    def get_parsers(self) -> list[BaseParser]:
        """YAML; JSON is YAML too."""
        return [YAMLParser(), JSONBodyParser()]

    def body(self) -> JSON:
        """Return the document that is being declared; before the first there is none."""
        return self.document or {}

    @extend_schema(
        request={MEDIA_TYPE: OpenApiTypes.STR, "application/json": AppSerializer},
        responses=ImportedListSerializer,
    )
    @plannable
    def bring(self, request: Request, **kwargs: Any) -> Response:
        """Create or replace the app of each document, all of them or none.

        What is as the file says already stays untouched, so the same file again changes nothing.
        Each document names its project, unless path or query does. Pointers of problems start with
        the number of the document.
        """
        return once(request, self._all)

    def _all(self) -> Response:
        with transaction.atomic():
            items = [self._one(index, each) for index, each in enumerate(_documents(self.request))]
        return Response(ImportedListSerializer({"items": items}).data)

    def _one(self, index: int, document: object) -> JSON:
        with _pointing(index):
            self.document = _app(document)
            name = self.document["name"]
            before = self.rows().filter(name=name).values_list("uid", "generation")
            known = dict(before[:2])
            answer = self.replace(self.request, **{**self.kwargs, "name": name})
        found = answer.data
        generation = {str(uid): number for uid, number in known.items()}.get(str(found["uid"]))
        same = generation == found["generation"]
        result = "created" if generation is None else "unchanged" if same else "changed"
        told = {str(key): found[key] for key in ImportedSerializer().fields if key in found}
        return {**told, "result": result}


def _documents(request: Request) -> list[object]:
    data = request.data
    found = data if isinstance(data, list) else [data]
    if not found or found == [{}]:
        raise Invalid(_UNREAD, errors=[Fault("required", "There is no app in it.")])
    return found


def _app(document: object) -> JSON:
    """Return the body of the app that a document is about. Raises Invalid."""
    if not isinstance(document, dict):
        raise Invalid(_UNREAD, errors=[Fault("object", "A document has to be an object.")])
    body = {key: value for key, value in document.items() if key != "kind"}
    if document.get("kind", KIND) != KIND:
        raise Invalid(_UNREAD, errors=[Fault("kind", f"Only {KIND} is known.", "/kind")])
    if not isinstance(body.get("name"), str):
        raise Invalid(_UNREAD, errors=[Fault("required", "Name the app.", "/name")])
    return body


@contextmanager
def _pointing(index: int) -> Iterator[None]:
    """Let what is refused point into the document of that number."""
    try:
        yield
    except Refusal as refusal:
        refusal.errors = tuple(
            fault if fault.parameter else Fault(fault.code, fault.detail, _inside(index, fault))
            for fault in refusal.errors
        )
        raise
    except ValidationError as error:
        raise ValidationError({str(index): error.detail}) from None


def _inside(index: int, fault: Fault) -> str:
    return f"{pointer(index)}{fault.pointer}"
