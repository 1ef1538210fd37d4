"""Building and reading KubeVela's charts; that it works is shown by `tests/live/test_vela_core`."""

from pathlib import Path

import pytest

from sandbox import vela
from sandbox.api import AdminApi
from sandbox.errors import SandboxError

CRD = """
metadata: {{name: {name}s.core.oam.dev}}
spec:
  group: core.oam.dev
  names: {{plural: {name}s}}
  versions: [{{name: v1beta1, served: true}}]
  from: {chart}
"""
DEFINITION = """
apiVersion: core.oam.dev/v1beta1
kind: TraitDefinition
metadata:
  name: scaler
  namespace: {{ include "systemDefinitionNamespace" . }}
"""


@pytest.fixture
def kubevela(tmp_path: Path) -> vela.KubeVela:
    for chart, name in (
        ("vela-core", "application"),
        ("vela-core", "workflow"),
        ("vela-workflow", "workflow"),
        ("vela-workflow", "workflowrun"),
    ):
        folder = tmp_path / "charts" / chart / "crds"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(CRD.format(name=name, chart=chart))
    folder = tmp_path / "charts" / "vela-core" / "templates" / "defwithtemplate"
    folder.mkdir(parents=True)
    (folder / "scaler.yaml").write_text(DEFINITION)
    return vela.KubeVela(AdminApi(0, tmp_path), tmp_path / "kubeconfig", tmp_path)


def test_of_a_crd_that_both_charts_have_that_of_the_core_is_installed(kubevela):
    found = {body["spec"]["names"]["plural"]: body["spec"]["from"] for body in kubevela.crds()}
    assert found == {
        "applications": "vela-core",
        "workflows": "vela-core",
        "workflowruns": "vela-workflow",
    }


def test_definitions_go_to_the_namespace_of_the_system(kubevela):
    (body,) = kubevela.definitions()
    assert body["metadata"] == {"name": "scaler", "namespace": "vela-system"}


def test_what_was_built_is_found_and_not_built_again(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vela, "find_go", pytest.fail)
    vela.home().mkdir(parents=True)
    assert vela.build() == vela.home()
    assert vela.home().is_relative_to(tmp_path)


def test_a_build_that_fails_says_what_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    go.chmod(0o700)
    monkeypatch.setattr(vela, "find_go", lambda *_: go)
    with pytest.raises(SandboxError, match=r"(?s)could not be built.*no such module"):
        vela.build()
    assert list(vela.home().parent.iterdir()) == []
