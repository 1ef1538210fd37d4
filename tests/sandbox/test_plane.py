"""What a control plane decides before anything runs."""

import json
import re
import socket

import pytest
import yaml

from sandbox.build import Binaries
from sandbox.components import NAMES, UNPULLABLE, Layout
from sandbox.errors import InvalidName, PortTaken
from sandbox.plane import ControlPlane, state_root
from sandbox.startup import PORTS, choose_port, is_free


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def flags(layout, component):
    """The flags of a component as a dict."""
    command = next(found.command for found in layout.components() if found.name == component)
    return dict(word.split("=", 1) for word in command if "=" in word)


@pytest.fixture
def layout(tmp_path):
    return Layout(folder=tmp_path, binaries=Binaries(tmp_path / "binaries"), port=6443)


class TestName:
    @pytest.mark.parametrize("name", ["sandbox", "a", "prod-a", "0", "x" * 63])
    def test_a_dns_label_is_a_name(self, name):
        assert ControlPlane(name).name == name

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("", id="empty"),
            pytest.param("Prod", id="upper-case"),
            pytest.param("-prod", id="leading-dash"),
            pytest.param("prod-", id="trailing-dash"),
            pytest.param("prod.a", id="dot"),
            pytest.param("../../etc", id="path"),
            pytest.param("prod\n", id="newline"),
            pytest.param("x" * 64, id="too-long"),
        ],
    )
    def test_anything_else_is_refused_with_the_rule(self, name):
        with pytest.raises(InvalidName, match="1 to 63 lower-case letters, digits and -"):
            ControlPlane(name)


class TestFolder:
    def test_each_name_has_its_own(self):
        first, second = ControlPlane("first"), ControlPlane("second")

        assert first.folder == state_root() / "first"
        assert first.kubeconfig != second.kubeconfig

    def test_stopping_what_never_ran_is_fine(self):
        plane = ControlPlane("never")

        plane.down()
        plane.down(wipe=True)

        assert not plane.folder.exists()

    def test_what_never_ran_is_stopped(self):
        status = ControlPlane("never").status()

        assert status.word == "stopped"
        assert status.pids == dict.fromkeys(NAMES)
        assert status.memory == 0


class TestPort:
    def test_the_one_asked_for_wins(self, listener):
        free = choose_port(None, 0)

        assert choose_port(free, listener) == free

    def test_the_one_used_last_is_kept(self):
        last = choose_port(None, 0)

        assert choose_port(None, last) == last

    def test_without_either_it_is_a_free_one(self):
        port = choose_port(None, 0)

        assert port in PORTS
        assert is_free(port)

    @pytest.mark.parametrize("asked", [True, False], ids=["asked-for", "used-last"])
    def test_a_busy_port_is_named(self, listener, asked):
        with pytest.raises(PortTaken, match=f"Port {listener} is taken") as taken:
            choose_port(*((listener, 0) if asked else (None, listener)), patience=0.1)

        assert "--port" in str(taken.value)

    def test_it_is_remembered(self, tmp_path):
        plane = ControlPlane("kept", folder=tmp_path)
        (tmp_path / "plane.json").write_text(json.dumps({"port": 23456}))

        assert plane.server == "https://127.0.0.1:23456"


class TestCommandLines:
    def test_nothing_listens_beyond_this_machine(self, layout):
        assert flags(layout, "kube-apiserver")["--bind-address"] == "127.0.0.1"
        assert flags(layout, "kube-controller-manager")["--secure-port"] == "0"
        assert flags(layout, "kube-scheduler")["--secure-port"] == "0"
        etcd = flags(layout, "etcd")
        assert etcd["--listen-client-urls"].startswith("unix://")
        assert etcd["--listen-peer-urls"].startswith("unix://")

    def test_roles_decide_who_may_what(self, layout):
        assert flags(layout, "kube-apiserver")["--authorization-mode"] == "Node,RBAC"

    @pytest.mark.parametrize("component", NAMES)
    def test_a_component_is_recognised_by_its_folder(self, layout, component):
        command = next(c.command for c in layout.components() if c.name == component)

        assert str(layout.folder) in " ".join(command)

    def test_each_client_has_a_kubeconfig_of_its_own(self, layout):
        clients = NAMES[2:]

        used = {flags(layout, client)["--kubeconfig"] for client in clients}

        assert used == {str(layout.kubeconfig(client)) for client in clients}

    def test_losing_data_must_be_asked_for(self, layout, tmp_path):
        careless = Layout(tmp_path, layout.binaries, 6443, fsync=False)

        assert "--unsafe-no-fsync" not in layout.components()[0].command
        assert "--unsafe-no-fsync" in careless.components()[0].command

    def test_another_prefix_shares_one_etcd(self, tmp_path, layout):
        other = Layout(tmp_path, layout.binaries, 6444, etcd_prefix="/second")

        assert flags(other, "kube-apiserver")["--etcd-prefix"] == "/second"

    def test_requests_are_logged_only_when_asked(self, tmp_path, layout):
        audited = Layout(tmp_path, layout.binaries, 6443, audit=True)

        assert "--audit-log-path" not in flags(layout, "kube-apiserver")
        assert "--audit-log-path" in flags(audited, "kube-apiserver")

    def test_pods_live_as_kwok_has_it_but_for_what_nobody_can_pull(self, layout):
        kwok = next(found.command for found in layout.components() if found.name == "kwok")

        read = [word.partition("=")[2] for word in kwok if word.startswith("--config=")]

        assert read == [str(layout.binaries.stages), str(layout.folder / "unpullable.yaml")]

    @pytest.mark.parametrize(
        ("image", "expected"),
        [
            ("registry.invalid/web:1", True),
            ("eu.registry.invalid:5000/team/web", True),
            ("nginx:1.27", False),
            ("docker.io/library/registry.invalid/web", False),
            ("registry.invalid.example.org/web", False),
            ("invalid/web", False),
        ],
    )
    def test_nobody_can_pull_from_a_registry_that_cannot_be(self, image, expected):
        stage = yaml.safe_load(UNPULLABLE.split("  next:")[0])["spec"]

        (pattern,) = re.findall(r'test\("(.+)"\)', stage["selector"]["matchExpressions"][2]["key"])

        assert bool(re.search(pattern, image)) is expected
        assert stage["weight"] > 0, "kwok's own stages weigh nothing"
