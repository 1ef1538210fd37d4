"""The canary: a secret's plain text shows nowhere but in `reveal()`."""

import base64
import copy
import json
import logging
import pickle
import traceback

import pytest
from django.core import serializers
from django.db import connection
from django.forms import modelform_factory
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext

from tests.vault.columns import CANARY, all_fields, column, fresh, overwrite
from tests.vault.models import Locker
from vault.errors import TamperedSeal

pytestmark = pytest.mark.django_db


def _spellings(text: str) -> list[str]:
    data = text.encode()
    return [text, data.hex(), base64.b64encode(data).decode(), ascii(text)[1:-1], repr(data)[2:-1]]


def _shows(output: str | bytes) -> bool:
    text = output if isinstance(output, str) else output.decode("latin-1")
    return any(spelling in text for spelling in _spellings(CANARY))


@pytest.fixture(params=["draft", "just saved", "loaded"])
def holder(request, db):
    row = Locker(name="one", secret=CANARY)
    if request.param != "draft":
        row.save()
    return fresh(row) if request.param == "loaded" else row


VIEWS = {
    "str": lambda row: str(row.secret),
    "repr": lambda row: repr(row.secret),
    "format": lambda row: f"{row.secret}",
    "percent": lambda row: "%s %r" % (row.secret, row.secret),  # noqa: UP031
    "dict of the row": lambda row: repr(vars(row)),
    "model_to_dict": lambda row: repr(model_to_dict(row)),
    "list": lambda row: repr([row.secret]),
    "JSON of the row": lambda row: serializers.serialize("json", [row]),
    "XML of the row": lambda row: serializers.serialize("xml", [row]),
    "JSON with default=str": lambda row: json.dumps({"s": row.secret}, default=str),
    "form": lambda row: str(modelform_factory(Locker, fields=["name"])(instance=row)),
    "serializer": lambda row: repr(all_fields(row).data),
    "deep copy": lambda row: repr(vars(copy.deepcopy(row))),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_no_view_shows_it(holder, view):
    assert not _shows(view(holder))


def test_no_log_shows_it(holder, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tests").warning("%s %r %s", holder.secret, holder.secret, vars(holder))

    assert caplog.messages and not _shows(caplog.text)


def test_no_pickle_holds_it():
    row = Locker(name="one", secret=CANARY)
    with pytest.raises(TypeError, match="save its row"):
        pickle.dumps(row)
    row.save()

    for saved in (row, fresh(row)):
        pickled = pickle.dumps(saved)
        assert not _shows(pickled)
        assert pickle.loads(pickled).secret.reveal() == CANARY


def test_no_query_shows_it():
    with CaptureQueriesContext(connection) as captured:
        Locker.objects.create(secret=CANARY)

    assert "INSERT" in repr(captured.captured_queries)
    assert not _shows(repr(captured.captured_queries))


def test_no_error_shows_it_or_the_sealed_text():
    locker = Locker.objects.create(secret=CANARY)
    text = column(locker)
    other = Locker.objects.create(secret="mine")
    overwrite(other, text)

    try:
        fresh(other).secret.reveal()
    except TamperedSeal:
        shown = traceback.format_exc()
    assert str(other.uid) in shown
    assert not _shows(shown) and text not in shown and text[-20:] not in shown
