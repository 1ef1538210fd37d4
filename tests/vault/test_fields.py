"""The sealed field: rows hold secrets that nothing but `reveal()` shows."""

from uuid import uuid4

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.forms import modelform_factory
from django.test.utils import isolate_apps
from encrypted_fields.fields import EncryptedTextField

from tests.vault.columns import CANARY, all_fields, column, fresh, overwrite
from tests.vault.models import Locker
from vault.errors import KeyFileMissing, MisplacedSecret, SealError, TamperedSeal, UnknownKey
from vault.fields import SealedTextField
from vault.keys import KeyFile
from vault.sealed import MASK, Draft, Sealed

pytestmark = pytest.mark.django_db


@pytest.fixture
def locker(db):
    return Locker.objects.create(name="one", secret=CANARY)


def test_it_seals_at_save_and_opens_on_request(locker):
    assert column(locker).startswith("kn1:")
    assert CANARY not in column(locker)
    assert locker.secret.reveal() == fresh(locker).secret.reveal() == CANARY


def test_it_gives_a_draft_before_the_first_save():
    assert Locker(secret=CANARY).secret.reveal() == CANARY


@pytest.mark.parametrize("blank", [None, ""], ids=repr)
def test_blank_is_none(blank):
    locker = Locker(secret=blank)
    locker.full_clean()
    locker.save()

    assert locker.secret is None and fresh(locker).secret is None
    assert list(Locker.objects.filter(secret=None)) == [locker]
    assert list(Locker.objects.filter(secret__isnull=True)) == [locker]


@pytest.mark.parametrize("plain", ["0", "False", "null", " ", "gAAAAA", "a\x00b", "x" * 50_000])
def test_it_keeps_every_other_text_as_it_is(plain):
    locker = Locker(secret=plain)
    locker.full_clean()
    locker.save()

    assert fresh(locker).secret.reveal() == plain


@pytest.mark.parametrize("value", [0, False, b"bytes", {"a": 1}, ["a"]], ids=repr)
def test_it_takes_nothing_but_text(value):
    with pytest.raises(TypeError, match="secret takes text"):
        Locker(secret=value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(MASK, id="the mask"),
        pytest.param("***", id="asterisks"),
        pytest.param("kn1:", id="a prefix"),
        pytest.param("kn2:later", id="a later format"),
        pytest.param("lone \ud800 surrogate", id="not Unicode"),
    ],
)
def test_it_refuses_what_is_no_secret(value):
    with pytest.raises(ValidationError) as caught:
        Locker(secret=value)

    assert list(caught.value.message_dict) == ["secret"]


def test_it_refuses_its_own_sealed_text(locker):
    with pytest.raises(ValidationError):
        locker.secret = column(locker)


def test_the_mask_that_a_client_was_shown_cannot_come_back(locker):
    with pytest.raises(ValidationError):
        locker.secret = str(locker.secret)
    assert fresh(locker).secret.reveal() == CANARY


def test_it_changes_with_an_assignment(locker):
    row = fresh(locker)
    row.secret = "new"
    row.save()
    row.name = "two"
    row.save()

    assert fresh(locker).secret.reveal() == row.secret.reveal() == "new"


def test_it_is_cleared_with_none(locker):
    row = fresh(locker)
    row.secret = None
    row.save()

    assert fresh(locker).secret is None


def test_a_save_that_failed_is_not_forgotten(locker):
    row = fresh(locker)
    row.secret = "new"
    row.name = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()
    row.name = "again"
    row.save()

    assert fresh(locker).secret.reveal() == "new"


def test_a_row_loaded_before_never_overwrites_a_newer_secret(locker):
    stale = fresh(locker)
    newer = fresh(locker)
    newer.secret = "newer"
    newer.save()

    stale.name = "late"
    stale.save()

    assert fresh(locker).secret.reveal() == "newer"
    assert fresh(locker).name == "late"


def test_deferred_secrets_stay_where_they_are(locker):
    row = Locker.objects.only("name").get(pk=locker.pk)
    row.name = "two"
    row.save()
    row.save(update_fields=["name", "secret"])

    assert row.secret.reveal() == fresh(locker).secret.reveal() == CANARY


def test_it_is_written_by_all_verbs_that_know_the_row(db):
    one, two = Locker.objects.bulk_create([Locker(secret="one"), Locker(secret="two")])
    three, _ = Locker.objects.update_or_create(name="three", defaults={"secret": "first"})
    Locker.objects.update_or_create(name="three", defaults={"secret": "three"})

    assert [fresh(row).secret.reveal() for row in (one, two, three)] == ["one", "two", "three"]


def test_refreshing_gives_what_is_stored(locker):
    row = fresh(locker)
    row.secret = "unsaved"
    row.refresh_from_db()

    assert row.secret.reveal() == CANARY


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda row: Locker.objects.update(secret="plain"), id="update"),
        pytest.param(lambda row: Locker.objects.update(secret=row.secret), id="update, sealed"),
        pytest.param(lambda row: Locker.objects.bulk_update([row], ["secret"]), id="bulk_update"),
        pytest.param(lambda row: Locker.objects.filter(secret="x").exists(), id="filter"),
        pytest.param(lambda row: Locker(secret=row.secret).save(), id="copy of another row"),
        pytest.param(lambda row: Locker(spare=row.secret).save(), id="copy of another field"),
    ],
)
def test_it_refuses_what_knows_no_row(locker, write):
    with pytest.raises(MisplacedSecret), transaction.atomic():
        write(locker)
    assert fresh(locker).secret.reveal() == CANARY


@pytest.mark.parametrize("lookup", ["contains", "startswith", "in", "regex", "gt"])
def test_it_cannot_be_searched(locker, lookup):
    with pytest.raises(FieldError):
        Locker.objects.filter(**{f"secret__{lookup}": "c"}).exists()


def test_a_clone_with_another_identity_is_refused(locker):
    clone = fresh(locker)
    clone.pk, clone.uid = None, uuid4()
    clone._state.adding = True

    with pytest.raises(SealError), transaction.atomic():
        clone.save()
    clone.secret = locker.secret.reveal()
    clone.save()
    assert fresh(clone).secret.reveal() == CANARY


def test_values_have_no_row_and_do_not_open(locker):
    secret = Locker.objects.values_list("secret", flat=True).get()

    assert str(secret) == MASK
    with pytest.raises(MisplacedSecret):
        secret.reveal()


# --- What someone with the database in hands could do.


def test_a_secret_swapped_into_another_row_does_not_open(locker):
    other = Locker.objects.create(secret="mine")
    overwrite(other, column(locker))

    with pytest.raises(TamperedSeal, match=str(other.uid)):
        fresh(other).secret.reveal()


def test_a_secret_swapped_into_another_field_does_not_open(locker):
    overwrite(locker, column(locker), "spare")

    with pytest.raises(TamperedSeal, match="spare"):
        fresh(locker).spare.reveal()
    assert fresh(locker).secret.reveal() == CANARY


@pytest.mark.parametrize("text", ["plain text", "kn1:", "gAAAAABk", MASK])
def test_a_column_that_is_not_sealed_is_never_given_out(locker, text):
    overwrite(locker, text)

    with pytest.raises(SealError) as caught:
        fresh(locker).secret.reveal()
    assert text not in str(caught.value) and str(fresh(locker).secret) == MASK


def test_a_wrong_key_raises_and_a_save_keeps_the_column(locker, keys):
    before = column(locker)
    keys.path.unlink()
    keys.make()

    row = fresh(locker)
    with pytest.raises(UnknownKey, match="restore"):
        row.secret.reveal()
    row.save()
    assert column(locker) == before


def test_a_lost_key_file_is_not_replaced_by_a_new_one(locker, keys):
    keys.path.unlink()

    with pytest.raises(KeyFileMissing, match="restore"):
        Locker.objects.create(secret="next")
    assert not keys.exists()


# --- Nothing decrypts by itself.


def test_a_list_of_a_thousand_rows_opens_nothing(monkeypatch, django_assert_num_queries):
    Locker.objects.bulk_create(Locker(name=f"{n}", secret=CANARY) for n in range(1000))
    opened = []
    unwrap = KeyFile.unwrap

    def counting(self, *args):
        opened.append(1)
        return unwrap(self, *args)

    monkeypatch.setattr(KeyFile, "unwrap", counting)
    with django_assert_num_queries(1):
        rows = list(Locker.objects.all())
        shown = [(row.name, str(row.secret), row.secret is None) for row in rows]
    assert len(shown) == 1000 and opened == []

    assert rows[7].secret.reveal() == CANARY
    assert len(opened) == 1


def test_a_list_needs_no_key_at_all(locker, keys):
    keys.path.unlink()

    assert [f"{row.name} {row.secret}" for row in Locker.objects.all()] == [f"one {MASK}"]


# --- How the field fits into Django.


def test_no_form_and_no_serializer_takes_it_by_itself():
    assert "secret" not in modelform_factory(Locker, fields="__all__")().fields
    assert all_fields(Locker()).fields["secret"].read_only


def test_a_form_shows_the_refusal_at_its_field(locker):
    class Row(models.Model):
        uid = Locker._meta.get_field("uid").clone()
        secret = SealedTextField(editable=True)

        class Meta:
            app_label = "vault_tests_forms"

    form = modelform_factory(Row, fields=["secret"])({"secret": "kn1:abc"})
    assert not form.is_valid() and list(form.errors) == ["secret"]
    assert modelform_factory(Row, fields=["secret"])({"secret": "plain"}).is_valid()


def test_a_migration_rebuilds_the_field():
    name, path, args, kwargs = Locker._meta.get_field("secret").deconstruct()

    assert (name, path, args) == ("secret", "vault.fields.SealedTextField", [])
    assert kwargs == {"null": True, "blank": True, "editable": False}


@isolate_apps("tests.vault")
def test_a_check_asks_for_a_lasting_identity():
    class Nameless(models.Model):
        secret = SealedTextField()

        class Meta:
            app_label = "vault_tests"

    assert [problem.id for problem in Nameless.check()] == ["vault.E002"]
    assert Locker.check() == []


def test_a_row_without_identity_cannot_be_sealed():
    with pytest.raises(MisplacedSecret, match="no uid"):
        Locker(uid=None, secret=CANARY).save()


def test_the_keys_of_the_base_class_are_out_of_reach(settings):
    field = Locker._meta.get_field("secret")

    assert isinstance(field, EncryptedTextField) and not hasattr(settings, "SALT_KEY")
    with pytest.raises(AttributeError, match=r"vault\.keys"):
        _ = field.keys
    with pytest.raises(AttributeError, match=r"vault\.keys"):
        _ = field.f


def test_validators_see_the_plain_text_of_a_draft_alone(locker):
    field = SealedTextField(validators=[_refuse_canary])
    with pytest.raises(ValidationError, match="no birds"):
        field.clean(Draft(CANARY), None)

    assert field.clean(Draft("other"), None).reveal() == "other"
    assert isinstance(field.clean(fresh(locker).secret, None), Sealed)


def _refuse_canary(value: str) -> None:
    if value == CANARY:
        raise ValidationError("no birds")


def test_the_column_is_text():
    assert Locker._meta.get_field("secret").db_type(connection) == "text"
