"""The key ring: made at first run, several keys at a time, followed by running processes."""

import json
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from access.checks import check_algorithm
from access.keys import ANNOUNCED_SECONDS, BadKeyFile, KeyRing, SigningKey, key_ring
from vault.files import ExposedKeyFile


def jwt_command(*args):
    out = StringIO()
    call_command("jwt", *args, stdout=out)
    return out.getvalue()


def test_it_makes_a_key_of_3072_bits_at_first_run_for_its_owner_alone(key_file):
    key_file.unlink()
    (key,) = key_ring().of("RS256")
    assert key.private.key_size == 3072
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_ring().of("RS256") == (key,)


def test_it_makes_a_secret_of_its_own_for_hs256_in_the_same_file(settings, key_file, rsa_key):
    settings.JWT_ALGORITHM = "HS256"
    (secret,) = key_ring().of("HS256")
    assert len(secret.private) == 64
    assert secret.private.hex() not in settings.SECRET_KEY
    assert key_ring().find("RS256", rsa_key.kid) == rsa_key, "the other key stays for a way back"
    assert key_ring().of("HS256") == (secret,)


def test_it_refuses_a_key_file_that_others_can_read(key_file):
    key_ring()
    key_file.chmod(0o640)
    with pytest.raises(ExposedKeyFile, match="chmod 600"):
        key_ring()


def _document(**changes):
    entry = {"kid": "a", "algorithm": "HS256", "material": "AAAA", "signs_from": 0, **changes}
    return json.dumps({"keys": [entry]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="no keys"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(_document(), id="a short secret"),
        pytest.param(_document(algorithm="none"), id="algorithm none"),
        pytest.param(_document(algorithm="RS256", material="no PEM"), id="no PEM"),
        pytest.param(_document(signs_from="now"), id="a time that is none"),
        pytest.param(_document(extra=1), id="an unknown member"),
    ],
)
def test_it_refuses_a_broken_key_file_without_quoting_it(key_file, content):
    key_file.write_bytes(content)
    with pytest.raises(BadKeyFile) as error:
        key_ring()
    assert "AAAA" not in str(error.value)


def test_it_never_shows_key_material(rsa_key):
    assert "PRIVATE" not in repr(rsa_key)
    assert set(rsa_key.as_jwk()) == {"kty", "n", "e", "kid", "use", "alg"}
    assert SigningKey.make("HS256", 0).as_jwk() is None


def test_rotate_announces_the_new_key_before_it_signs(rsa_key):
    told = jwt_command("rotate")
    new, old = key_ring().of("RS256")
    assert old == rsa_key and new.kid in told
    assert key_ring().signer("RS256", time.time()) == rsa_key
    assert key_ring().signer("RS256", time.time() + ANNOUNCED_SECONDS + 1) == new


def test_rotate_now_signs_with_the_new_key_at_once(rsa_key):
    jwt_command("rotate", "--now")
    signer = key_ring().signer("RS256", time.time())
    assert signer is not None and signer != rsa_key
    assert key_ring().find("RS256", rsa_key.kid) == rsa_key


def test_prune_keeps_keys_that_living_tokens_were_signed_with(rsa_key):
    jwt_command("rotate", "--now")
    assert jwt_command("prune") == "Nothing to drop.\n"
    assert key_ring().find("RS256", rsa_key.kid)


def test_prune_drops_keys_that_were_replaced_longer_ago_than_any_session_lives(key_file):
    day = 86_400
    ancient, old, new = (
        SigningKey.make("HS256", int(time.time()) - age * day) for age in (90, 40, 1)
    )
    ring = KeyRing((new, old, ancient))
    assert ring.superseded("HS256", time.time() - 30 * day) == (ancient,)
    assert ring.superseded("HS256", time.time()) == (old, ancient)


def test_prune_all_drops_every_key_but_the_signing_one(rsa_key):
    jwt_command("rotate", "--now")
    assert rsa_key.kid in jwt_command("prune", "--all")
    assert len(key_ring().of("RS256")) == 1


def test_list_shows_roles_and_no_material():
    jwt_command("rotate")
    told = jwt_command("list")
    assert "signs from" in told and len(told.splitlines()) == 2
    assert "PRIVATE" not in told


def test_an_unknown_verb_is_refused():
    with pytest.raises(CommandError):
        call_command("jwt", "forge")


def test_a_running_process_follows_a_change_of_the_file(key_file, other_rsa_key):
    before = key_ring()
    replacement = key_file.with_name("new.json")
    replacement.write_bytes(KeyRing((other_rsa_key,)).dump())
    replacement.chmod(0o600)
    replacement.replace(key_file)
    assert before.of("RS256") != key_ring().of("RS256") == (other_rsa_key,)


@pytest.mark.parametrize(
    ("algorithm", "found"),
    [("RS256", []), ("HS256", []), ("none", ["access.E001"]), ("ES256", ["access.E001"])],
)
def test_a_check_refuses_other_algorithms(settings, algorithm, found):
    settings.JWT_ALGORITHM = algorithm
    assert [each.id for each in check_algorithm(None)] == found
