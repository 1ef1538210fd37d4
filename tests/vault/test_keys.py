"""The key ring and its file: strong keys, mode 0600, one truth for all processes."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from vault import files
from vault.errors import BadKeyRing, KeyFileMissing, UnknownKey
from vault.files import ExposedKeyFile
from vault.keyring import Kek, KeyRing
from vault.keys import KeyFile, key_file


def test_it_makes_a_ring_of_one_key_that_its_owner_alone_can_read(keys):
    keys.make()

    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert [key.id for key in keys.ring().keys] == [keys.active_id()]
    assert len(keys.ring().active.secret) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o660, 0o644], ids=oct)
def test_it_refuses_a_file_that_others_can_touch(keys, mode):
    keys.make()
    keys.path.chmod(mode)

    with pytest.raises(ExposedKeyFile, match="chmod 600"):
        KeyFile(keys.path).ring()


def test_it_keeps_mode_0600_when_a_key_is_added(keys):
    keys.make()
    keys.add_key(after=keys.active_id())

    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert [path.name for path in keys.path.parent.iterdir()] != []
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.path.parent.iterdir()} == {0o600}


def test_it_starts_once_however_many_start_at_once(keys):
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda n: _made(KeyFile(keys.path)), range(8)))

    assert len({ring.active_id for ring in rings}) == 1


def _made(keys: KeyFile) -> KeyRing:
    keys.make()
    return keys.ring()


def test_it_adds_one_key_when_two_rotations_start_at_once(keys):
    keys.make()
    before = keys.active_id()
    with ThreadPoolExecutor(4) as pool:
        rings = list(pool.map(lambda n: KeyFile(keys.path).add_key(after=before), range(4)))

    assert {ring.active_id for ring in rings} == {keys.active_id()}
    assert len(keys.ring().keys) == 2


def test_a_running_process_sees_the_key_that_another_one_made(keys):
    keys.make()
    worker = KeyFile(keys.path)
    before = worker.active_id()

    keys.add_key(after=before)

    assert worker.active_id() == keys.active_id() != before


def test_a_running_process_that_misses_a_key_opens_as_soon_as_the_key_is_there(keys, tmp_path):
    keys.make()
    worker = KeyFile(tmp_path / "worker.json")
    files.replace(worker.path, keys.path.read_bytes())
    keys.add_key(after=keys.active_id())
    key_id, wrapped = keys.wrap(b"k" * 32, b"place")
    with pytest.raises(UnknownKey, match=key_id):
        worker.unwrap(key_id, wrapped, b"place")

    files.replace(worker.path, keys.path.read_bytes())

    assert worker.unwrap(key_id, wrapped, b"place") == b"k" * 32


def test_it_never_goes_on_without_its_file_nor_makes_another(keys):
    keys.make()
    assert keys.active_id()
    keys.path.unlink()

    with pytest.raises(KeyFileMissing, match="restore"):
        keys.active_id()
    assert not keys.exists()


def test_it_leaves_the_ring_whole_when_it_dies_while_writing(keys, monkeypatch):
    keys.make()
    before = keys.path.read_bytes()

    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        keys.add_key(after=keys.active_id())
    monkeypatch.undo()

    assert keys.path.read_bytes() == before
    assert len(keys.add_key(after=keys.active_id()).keys) == 2


def test_it_drops_old_keys_and_never_the_active_one(keys):
    keys.make()
    first = keys.active_id()
    keys.add_key(after=first)

    with pytest.raises(BadKeyRing):
        keys.drop_keys([keys.active_id()])
    assert [key.id for key in keys.drop_keys([first]).keys] == [keys.active_id()]


def test_a_ring_reads_what_it_wrote():
    ring = KeyRing.make().with_active(Kek.make())

    assert KeyRing.parse(ring.dump()) == ring


def test_no_key_shows_in_a_repr():
    ring = KeyRing.make()

    assert ring.active.id in repr(ring)
    assert repr(ring.active.secret)[2:-1] not in repr(ring)
    assert "secret" not in repr(ring)


def _broken(**changes: object) -> bytes:
    document = json.loads(KeyRing.make().dump())
    for name, value in changes.items():
        if name in document:
            document[name] = value
        else:
            document["keys"][0][name] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"active": "00000000"}', id="no keys"),
        pytest.param(_broken(active="00000000"), id="active key absent"),
        pytest.param(_broken(keys=[]), id="no key at all"),
        pytest.param(_broken(id="../../et"), id="id with other signs"),
        pytest.param(_broken(id=12345678), id="id is a number"),
        pytest.param(_broken(secret="c2hvcnQ="), id="short key"),
        pytest.param(_broken(secret="A" * 43 + "="), id="key of zeros"),
        pytest.param(_broken(secret="cGFzc3dvcmRwYXNzd29yZHBhc3N3b3JkcGFzc3dvcmQ="), id="typed"),
        pytest.param(_broken(secret="no base64!"), id="not base64"),
        pytest.param(_broken(created_at="yesterday"), id="no date"),
        pytest.param(_broken(created_at="2026-01-01T00:00:00"), id="no time zone"),
        pytest.param(
            KeyRing.make().dump().replace(b'"keys": [', b'"keys": [1, '), id="a key is a number"
        ),
    ],
)
def test_it_refuses_an_unsound_ring_without_quoting_it(keys, content):
    files.replace(keys.path, content)

    with pytest.raises(BadKeyRing) as caught:
        keys.ring()

    assert str(keys.path) in str(caught.value)
    assert caught.value.__cause__ is None and "cGFzc3" not in str(caught.value)


def test_it_refuses_two_keys_of_one_id():
    key = Kek.make()

    with pytest.raises(BadKeyRing, match="same id"):
        KeyRing(key.id, (key, key))


def test_the_settings_choose_the_file(settings, tmp_path):
    settings.VAULT_KEY_FILE = str(tmp_path / "elsewhere.json")

    assert key_file().path == tmp_path / "elsewhere.json"
    assert key_file() is key_file()


def test_no_key_is_in_the_environment(keys):
    keys.make()
    stored = json.loads(keys.path.read_text())["keys"][0]["secret"]

    assert not [name for name, value in os.environ.items() if stored in value]
