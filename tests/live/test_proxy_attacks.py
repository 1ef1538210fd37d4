"""Attacks on the proxy, judged by a real API server: who is it, and what does it see?"""

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import pytest
import yaml
from aiohttp import web

from access.models import KubeconfigGrant
from access.proxy.certificates import authority
from access.proxy.certificates import server_files as some_certificate
from tenancy.models import Tenant
from tests.access.proxies import Reply, read_replies
from tests.clusters.steps import settle_live
from tests.live.proxied import Door, Kubectl, door, pod, register, shared_database, wait_until

__all__ = ["door", "shared_database"]
pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
HERS = {"acme--blog", "acme--shop"}


@dataclass(frozen=True)
class Raw:
    """Alice, with a socket."""

    port: int
    token: str

    def ask(self, method: str, target: str, *lines: str, body: str = "") -> Reply:
        """Send a request byte by byte as it is written here."""
        head = [f"{method} /clusters/real{target} HTTP/1.1", "Host: proxy", *lines]
        if not any(line.lower().startswith("authorization") for line in lines):
            head.append(f"Authorization: Bearer {self.token}")
        if body:
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        context = ssl.create_default_context(cadata=authority())
        with (
            socket.create_connection(("127.0.0.1", self.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
        ):
            sock.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body.encode())
            (reply,) = read_chunked(sock)
        return reply


def read_chunked(sock: ssl.SSLSocket) -> list[Reply]:
    """Read one answer, joined when it comes in chunks."""
    found = read_replies(sock, seconds=15.0)
    joined = []
    for reply in found:
        body = reply.body
        if "transfer-encoding: chunked" in reply.head.lower():
            body = re.sub(rb"(?:^|\r\n)[0-9a-f]+\r\n", b"", body)
        joined.append(Reply(reply.status, reply.head, body))
    return joined


@pytest.fixture(scope="module")
def alice(door: Door) -> Raw:
    """A grant of acme, as a token."""
    issued = door.issue("alice")
    door.believe(issued.grant)
    (user,) = yaml.safe_load(issued.kubeconfig)["users"]
    return Raw(door.proxy.port, user["user"]["token"])


IDENTITIES = {
    "A17-nothing": [],
    "A17-Impersonate-User": ["Impersonate-User: system:admin"],
    "A17-Impersonate-Group": [
        "Impersonate-User: system:admin",
        "Impersonate-Group: system:masters",
    ],
    "A17-Impersonate-Uid": ["Impersonate-User: x", "Impersonate-Uid: 1"],
    "A17-Impersonate-Extra": ["Impersonate-User: x", "Impersonate-Extra-Scopes: y"],
    "A17-Connection": ["Connection: Impersonate-User", "Impersonate-User: system:admin"],
    "A17-two Connections": [
        "Connection: keep-alive",
        "Connection: Impersonate-User, Impersonate-Group",
        "Impersonate-User: system:admin",
        "Impersonate-Group: system:masters",
    ],
    "A17-X-Remote-User": ["X-Remote-User: system:admin", "X-Remote-Group: system:masters"],
    "A17-Connection: Authorization": ["Connection: Authorization"],
}


@pytest.mark.parametrize("lines", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_the_identity_never_changes(alice, lines):
    reply = alice.ask("POST", WHOAMI, *lines, body=REVIEW)
    assert reply.status == 201, reply.body
    found = json.loads(reply.body)["status"]["userInfo"]
    assert found["username"].startswith("system:serviceaccount:kubenova-grants:grant-")
    assert "system:masters" not in found["groups"]


SEEN = {
    "A17-as it is": ("/api/v1/namespaces", []),
    "A17-masters": ("/api/v1/namespaces", ["Impersonate-Group: system:masters"]),
    "A30-closing the selector": ("/api/v1/namespaces?labelSelector=a%29%2Cx+notin+%28z", []),
    "A30-another tenant": ("/api/v1/namespaces?labelSelector=kubenova.io%2Ftenant%3Dglobex", []),
    "A30-two selectors": ("/api/v1/namespaces?labelSelector=&labelSelector=x%21%3Dy", []),
    "A30-not hers": ("/api/v1/namespaces?labelSelector=kubenova.io%2Ftenant%21%3Dacme", []),
    "A30-an escaped separator": ("/api/v1/namespaces?labelSelector=x%26labelSelector%3D", []),
    "A17-two slashes": ("//api/v1/namespaces", []),
    "A17-dot segments": ("/api/v1/pods/../namespaces", []),
    "A17-an escaped letter": ("/api/v1/name%73paces", []),
    "A17-protobuf": ("/api/v1/namespaces", ["Accept: application/vnd.kubernetes.protobuf"]),
    "A17-yaml": ("/api/v1/namespaces", ["Accept: application/yaml"]),
    "A17-cbor": ("/api/v1/namespaces", ["Accept: application/cbor"]),
    "A17-gzip": ("/api/v1/namespaces", ["Accept-Encoding: gzip"]),
    "A17-rows without objects": (
        "/api/v1/namespaces?includeObject=None",
        ["Accept: application/json;as=Table;v=v1;g=meta.k8s.io"],
    ),
    "A17-metadata": (
        "/api/v1/namespaces",
        ["Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"],
    ),
    "A17-a watch": ("/api/v1/namespaces?watch=1&timeoutSeconds=1", []),
    "A17-a watch with a list": (
        "/api/v1/namespaces?watch=1&timeoutSeconds=1&sendInitialEvents=true"
        "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        [],
    ),
    "A17-a table watch": (
        "/api/v1/namespaces?watch=1&timeoutSeconds=1",
        ["Accept: application/json;as=Table;v=v1;g=meta.k8s.io"],
    ),
    "A17-deprecated watch": ("/api/v1/watch/namespaces?timeoutSeconds=1", []),
    "A17-a head": ("/api/v1/namespaces", []),
    "pods everywhere": ("/api/v1/pods", []),
    "pods everywhere, watched": ("/api/v1/pods?watch=1&timeoutSeconds=1", []),
    "events everywhere": ("/apis/events.k8s.io/v1/events", []),
    "secrets everywhere": ("/api/v1/secrets", []),
    "role bindings everywhere": ("/apis/rbac.authorization.k8s.io/v1/rolebindings", []),
}


@pytest.mark.parametrize(("target", "lines"), SEEN.values(), ids=SEEN.keys())
def test_what_is_seen_never_grows(alice, door, target, lines):
    reply = alice.ask("GET", target, *lines)
    assert reply.status < HTTPStatus.INTERNAL_SERVER_ERROR, reply.body
    for word in (b"globex", b"kube-system", b"kube-public", b"kubenova-system"):
        assert word not in reply.body, reply.body
    if reply.status == 200 and target == "/api/v1/namespaces" and not lines:
        names = {each["metadata"]["name"] for each in json.loads(reply.body)["items"]}
        assert names == HERS


def test_a17_two_lengths_reach_nobody(alice):
    body = '{"kind":"Pod"}'
    reply = alice.ask("POST", "/api/v1/namespaces/acme--shop/pods", "Content-Length: 3", body=body)
    assert reply.status == 400


def test_a17_an_empty_bearer_is_nobody(alice):
    for line in ("Authorization: Bearer", "Authorization: Bearer ", "Authorization:"):
        assert alice.ask("GET", "/api/v1/namespaces", line).status == 401


def test_a17_a_token_of_a_foreign_cluster_is_nobody(door, alice, second_control_plane):
    register("second", second_control_plane.kubeconfig.read_text())
    acme = Tenant.objects.get(name="acme")
    acme.placement = {"clusters": ["real", "second"]}
    acme.declare(by="olga")
    wait_until(
        lambda: settle_live() >= 0 and acme.placements.filter(phase="Deployed").count() == 2, 120
    )
    issued = door.issue("alice")
    config = yaml.safe_load(issued.kubeconfig)
    tokens = {each["name"].rpartition("-")[2]: each["user"]["token"] for each in config["users"]}
    assert set(tokens) == {"real", "second"}
    second = Raw(door.proxy.port, tokens["second"])
    assert second.ask("GET", "/api/v1/namespaces").status == 401
    assert Raw(door.proxy.port, tokens["real"]).ask("GET", "/api/v1/namespaces").status == 200
    file = door.folder / "both"
    file.mkdir()
    (file / "config").write_text(issued.kubeconfig)
    kubectl = Kubectl(file / "config")
    for context in ("acme-real", "acme-second"):
        wait_until(
            lambda context=context: "acme--shop" in kubectl(f"--context={context}", "get", "ns")
        )
    acme.placement = {"clusters": ["real"]}
    acme.declare(by="olga")
    wait_until(lambda: settle_live() >= 0 and acme.placements.count() == 1, 120)


# --- Logs, as a kubelet would have them.


@pytest.fixture
def kubelet(door: Door, tmp_path) -> Iterator[int]:
    """A kubelet that knows nothing but a container's log."""
    stop, up, ports = threading.Event(), threading.Event(), []

    async def log(request: web.BaseRequest) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(b"first line\n")
        if request.query.get("follow") == "true":
            for number in range(1200):
                await asyncio.sleep(0.05)
                await reply.write(f"line {number}\n".encode())
        return reply

    async def run() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*some_certificate())
        server = await asyncio.get_running_loop().create_server(
            web.Server(log), "127.0.0.1", 0, ssl=context
        )
        ports.append(server.sockets[0].getsockname()[1])
        up.set()
        await asyncio.to_thread(stop.wait)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert up.wait(60)
    yield ports[0]
    stop.set()
    thread.join(60)


def test_logs_are_read_and_followed(door, kubelet):
    kubectl = door.kubectl(door.issue("bob", "blog"))
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "logging"},
    }
    door.api.create("/api/v1/nodes", node)
    kubectl("apply", "-f", "-", stdin=pod("talks", nodeName="logging"))
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet}},
    }

    def reaches_it() -> bool:
        """kwok plays every node and has its own idea of this one's address."""
        path = "/api/v1/nodes/logging/status"
        now = door.api.get("/api/v1/nodes/logging")
        door.api.replace(path, now | {"status": now.get("status", {}) | status})
        return kubectl.run("logs", "talks").returncode == 0

    try:
        wait_until(reaches_it, 60, lambda: kubectl.run("logs", "talks").stderr)
        assert kubectl("logs", "talks") == "first line\n"
        with kubectl.following("logs", "-f", "talks") as log:
            log.wait_for("line 3")
            assert len(log.lines) < 1000, "it came while it was written"
            KubeconfigGrant.objects.get(name=kubectl.file.parent.name).revoke("bob")
            assert wait_until(lambda: log.process.poll() is not None) < 3.0
    finally:
        door.api.delete("/api/v1/nodes/logging")
