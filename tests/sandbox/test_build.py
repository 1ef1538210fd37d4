"""What the cache of built binaries promises, with a shell script as the Go compiler."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from sandbox.build import SOURCE, build, cache_root, progress_line, source_hash
from sandbox.errors import BuildFailed

# Plays `go version`, `go list` and `go build`: the "binaries" are scripts too.
GO = """
case "$1" in
version) echo "go version go1.99.0 linux/amd64";;
list) echo one; echo two;;
build)
    echo build >> "$CALLS"
    sleep 0.3
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho stage-of-$1\\n' > "$2/kwok"
    cp "$2/kwok" "$2/sandbox"
    chmod +x "$2/kwok" "$2/sandbox";;
esac
"""


@pytest.fixture
def source(tmp_path):
    """A Go module like the sandbox's own, to be altered."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(SOURCE / name, folder / name)
    shutil.copytree(SOURCE / "cmd", folder / "cmd")
    return folder


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The file in which the compiler notes each build."""
    path = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(path))
    return path


class TestSourceHash:
    def test_it_is_the_same_for_the_same_source(self, source):
        assert source_hash(source) == source_hash(source)

    @pytest.mark.parametrize("name", ["go.mod", "go.sum", "cmd/kwok/main.go"])
    def test_it_changes_with_what_is_built(self, source, name):
        before = source_hash(source)

        with (source / name).open("a") as file:
            file.write("\n// changed\n")

        assert source_hash(source) != before

    def test_it_changes_when_a_file_moves(self, source):
        before = source_hash(source)

        (source / "cmd" / "kwok").rename(source / "cmd" / "nodes")

        assert source_hash(source) != before

    def test_it_ignores_python(self, source):
        before = source_hash(source)

        (source / "plane.py").write_text("port = 1")

        assert source_hash(source) == before


class TestBuild:
    def test_it_builds_once(self, source, script, calls, reported):
        script("go", GO)

        first = build(reported.append, source)
        second = build(reported.append, source)

        assert first == second
        assert calls.read_text() == "build\n"
        assert first.folder == cache_root() / source_hash(source)
        assert first.sandbox.exists()
        assert first.stages.read_text() == "stage-of-stages\n"

    def test_it_builds_anew_when_the_source_changes(self, source, script, calls, reported):
        script("go", GO)
        before = build(reported.append, source)
        (source / "cmd" / "kwok" / "main.go").write_text("package main")

        assert build(reported.append, source) != before
        assert calls.read_text() == "build\nbuild\n"

    def test_two_at_once_build_once(self, source, script, calls, reported):
        script("go", GO)
        threads = [threading.Thread(target=build, args=(reported.append, source)) for _ in range(2)]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert calls.read_text() == "build\n"
        assert "Another process is building the sandbox: waiting for it" in reported

    def test_a_failed_build_says_why_and_how_to_go_on(self, source, script, reported):
        script("go", f"{GO}\n[ $1 != list ] || exit 0; echo 'x.go:1: no such thing' >&2; exit 1")
        script("go", GO.replace('echo build >> "$CALLS"', "echo 'x.go:1: broken' >&2; exit 1"))

        with pytest.raises(BuildFailed) as failed:
            build(reported.append, source)

        message = str(failed.value)
        assert "go build failed" in message
        assert "x.go:1: broken" in message
        assert str(failed.value.log) in message
        assert "make run KUBECONFIG_FILE=" in message
        assert "x.go:1: broken" in failed.value.log.read_text()

    def test_a_failed_build_leaves_nothing_that_looks_built(self, source, script, reported):
        script("go", GO.replace('echo build >> "$CALLS"', "exit 1"))
        with pytest.raises(BuildFailed):
            build(reported.append, source)

        assert [path for path in cache_root().iterdir() if path.is_dir()] == []

    def test_modules_that_cannot_be_fetched_are_named(self, source, script, reported):
        script("go", GO.replace("list)", "list) echo 'dial tcp: no route' >&2; exit 1;; no)"))

        with pytest.raises(BuildFailed, match="fetching the modules") as failed:
            build(reported.append, source)

        assert "dial tcp: no route" in str(failed.value)

    def test_it_forgets_builds_that_nobody_used_for_a_month(self, source, script, calls, reported):
        script("go", GO)
        old, recent = cache_root() / "old", cache_root() / "recent"
        for folder in (old, recent):
            folder.mkdir(parents=True)
        os.utime(old, (time.time() - 40 * 24 * 3600,) * 2)

        build(reported.append, source)

        assert not old.exists()
        assert recent.exists()


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "line"),
    [
        pytest.param(10, 0, 0, "  building: 10 s", id="total-unknown"),
        pytest.param(10, 0, 2000, "  building: 10 s", id="nothing-done"),
        pytest.param(
            70, 500, 2000, "  building: 1 min 10 s, 500 of 2000 packages, about 3 min 30 s left",
            id="half-way",
        ),
        pytest.param(
            70, 2000, 2000, "  building: 1 min 10 s, 2000 of 2000 packages, linking", id="linking"
        ),
    ],
)  # fmt: skip
def test_a_line_of_progress_says_how_long_it_takes(elapsed, done, total, line):
    assert progress_line("building", elapsed, done, total) == line


def test_the_cache_is_the_users(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/alice")

    assert cache_root() == Path("/home/alice/.cache/kubenova/sandbox")
