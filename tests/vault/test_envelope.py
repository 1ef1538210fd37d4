"""The envelope: what was sealed opens at its own place and nowhere else."""

from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vault import envelope
from vault.envelope import HEAD_LENGTH, Place, rewrap, seal, unseal
from vault.errors import MalformedSeal, SealError, TamperedSeal, UnknownKey
from vault.keyring import Kek
from vault.keys import KeyFile

HOME = Place("lockers", UUID(int=1), "secret")
ALPHABET = "ABCDwxyz0189-_:=+/. \n"


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    keys = KeyFile(tmp_path_factory.mktemp("ring") / "keys.json")
    keys.make()
    return keys


@given(plain=st.text(st.characters(exclude_categories=["Cs"])))
def test_it_opens_what_it_sealed(ring, plain):
    assert unseal(seal(plain, HOME, ring), HOME, ring) == plain


@given(data=st.data(), plain=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_it_refuses_any_changed_character(ring, data, plain):
    text = seal(plain, HOME, ring)
    at = data.draw(st.integers(0, len(text) - 1))
    sign = data.draw(st.sampled_from(ALPHABET) | st.characters())
    assume(text[at] != sign)

    with pytest.raises(SealError):
        unseal(text[:at] + sign + text[at + 1 :], HOME, ring)


@given(data=st.data())
def test_it_refuses_a_cut_or_lengthened_text(ring, data):
    text = seal("a secret", HOME, ring)
    cut = data.draw(st.integers(0, len(text) - 1))
    more = data.draw(st.text(ALPHABET, min_size=1, max_size=8))

    for changed in (text[:cut], text[cut + 1 :], text + more, more + text):
        with pytest.raises(SealError):
            unseal(changed, HOME, ring)


@given(text=st.text())
def test_it_refuses_any_text_that_was_never_sealed(ring, text):
    with pytest.raises(MalformedSeal):
        unseal(text, HOME, ring)


@pytest.mark.parametrize("plain", ["", "a", "ab", "abc"], ids=len)
def test_it_refuses_another_spelling_of_the_same_bytes(ring, plain):
    """The last base64 sign has spare bits that a lenient decoder would ignore."""
    text = seal(plain, HOME, ring)
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    for sign in signs.replace(text[-1], ""):
        with pytest.raises(SealError):
            unseal(text[:-1] + sign, HOME, ring)


@pytest.mark.parametrize(
    "elsewhere",
    [
        pytest.param(Place("lockers", UUID(int=2), "secret"), id="another row"),
        pytest.param(Place("lockers", UUID(int=1), "spare"), id="another field"),
        pytest.param(Place("drawers", UUID(int=1), "secret"), id="another table"),
        pytest.param(Place('lockers", "', UUID(int=1), "secret"), id="a name with quotes"),
    ],
)
def test_it_does_not_open_elsewhere(ring, elsewhere):
    text = seal("a secret", HOME, ring)

    with pytest.raises(TamperedSeal, match=elsewhere.field):
        unseal(text, elsewhere, ring)
    with pytest.raises(TamperedSeal):
        unseal(seal("mine", elsewhere, ring)[:HEAD_LENGTH] + text[HEAD_LENGTH:], HOME, ring)


def test_it_does_not_open_with_the_head_of_another_value(ring):
    one, two = seal("one", HOME, ring), seal("two", HOME, ring)

    with pytest.raises(TamperedSeal):
        unseal(one[:HEAD_LENGTH] + two[HEAD_LENGTH:], HOME, ring)


def test_it_names_the_key_that_is_not_in_the_ring(ring, tmp_path):
    stranger = KeyFile(tmp_path / "other.json")
    stranger.make()
    text = seal("a secret", HOME, ring)

    with pytest.raises(UnknownKey, match=f"lockers.secret of .*{ring.active_id()}"):
        unseal(text, HOME, stranger)


def test_it_refuses_another_key_under_the_same_id(ring, tmp_path):
    text = seal("a secret", HOME, ring)
    impostor = KeyFile(tmp_path / "other.json")
    key = Kek(ring.active_id(), ring.ring().active.created_at, Kek.make().secret)
    impostor.path.touch(0o600)
    impostor.path.write_bytes(type(ring.ring())(key.id, (key,)).dump())

    with pytest.raises(TamperedSeal):
        unseal(text, HOME, impostor)


def test_it_seals_the_same_text_differently_each_time(ring):
    one, two = seal("a secret", HOME, ring), seal("a secret", HOME, ring)

    assert one[:HEAD_LENGTH] != two[:HEAD_LENGTH]
    assert one[HEAD_LENGTH:] != two[HEAD_LENGTH:]


def test_it_rewraps_the_head_and_leaves_the_payload(tmp_path):
    keys = KeyFile(tmp_path / "keys.json")
    keys.make()
    old = seal("a secret", HOME, keys)
    keys.add_key(after=keys.active_id())

    new = rewrap(old, HOME, keys)

    assert envelope.key_id(new) == keys.active_id() != envelope.key_id(old)
    assert new[HEAD_LENGTH:] == old[HEAD_LENGTH:]
    assert unseal(new, HOME, keys) == unseal(old, HOME, keys) == "a secret"
    assert rewrap(new, HOME, keys) == new
    assert unseal(rewrap(old[:HEAD_LENGTH], HOME, keys) + old[HEAD_LENGTH:], HOME, keys)


@pytest.mark.parametrize(
    ("text", "sealed"),
    [
        ("kn1:0123abcd:…", True),
        ("kn27:a later format", True),
        ("apiVersion: v1", False),
        ("say kn1: loudly", False),
        ("", False),
    ],
)
def test_it_recognises_sealed_text(text, sealed):
    assert envelope.looks_sealed(text) is sealed
