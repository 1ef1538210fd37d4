"""The command line of every component of the control plane."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.build import Binaries
from sandbox.processes import Component

ISSUER = "https://kubernetes.default.svc.cluster.local"

# In the order in which they start; they stop the other way round.
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""

# Beside kwok's own stages, by which every pod becomes ready at once: what no kubelet can pull. A
# name below `invalid` never resolves (RFC 2606). The weight has it chosen before those of kwok.
UNPULLABLE = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: pod-image-unpullable
spec:
  resourceRef:
    apiGroup: v1
    kind: Pod
  selector:
    matchExpressions:
    - key: '.metadata.deletionTimestamp'
      operator: DoesNotExist
    - key: '.status.phase'
      operator: In
      values: [Pending]
    - key: '.spec.containers[].image | select(test("^[^/]+[.]invalid(:[0-9]+)?/"))'
      operator: Exists
  weight: 1
  next:
    statusTemplate: |
      {{ $since := .metadata.creationTimestamp }}
      {{ $none := "ContainersNotReady" }}
      conditions:
      - {type: Initialized, status: "True", lastTransitionTime: {{ $since | Quote }}}
      - type: Ready
        status: "False"
        reason: {{ $none }}
        lastTransitionTime: {{ $since | Quote }}
      - type: ContainersReady
        status: "False"
        reason: {{ $none }}
        lastTransitionTime: {{ $since | Quote }}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: false
        restartCount: 0
        state:
          waiting:
            reason: ImagePullBackOff
            message: {{ printf "Back-off pulling image %q: no such host" .image | Quote }}
      {{ end }}
      phase: Pending
"""

# Relative to the sandbox's folder, where every component runs: the path of a socket may
# only be about a hundred bytes long.
ETCD_SOCKET = "etcd.sock:0"
PEER_SOCKET = "peer.sock:0"


@dataclass(frozen=True)
class Layout:
    """What the components of one sandbox have to know."""

    folder: Path
    binaries: Binaries
    port: int
    fsync: bool = True
    audit: bool = False
    etcd_prefix: str = "/registry"

    @property
    def certificates(self) -> Path:
        """Keys and certificates."""
        return self.folder / "certificates"

    def kubeconfig(self, client: str) -> Path:
        """The kubeconfig of one of the clients of `certificates`."""
        return self.folder / f"{client}.kubeconfig"

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.port}"

    def components(self) -> list[Component]:
        """All components in the order in which they start."""
        makers = (_etcd, _api_server, _controller_manager, _scheduler, _kwok)
        return [
            Component(name, tuple(str(word) for word in make(self)))
            for name, make in zip(NAMES, makers, strict=True)
        ]


def _etcd(layout: Layout) -> list[Path | str]:
    return [
        layout.binaries.sandbox,
        "etcd",
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls=unix://{ETCD_SOCKET}",
        f"--advertise-client-urls=unix://{ETCD_SOCKET}",
        f"--listen-peer-urls=unix://{PEER_SOCKET}",
        f"--initial-advertise-peer-urls=unix://{PEER_SOCKET}",
        f"--initial-cluster=default=unix://{PEER_SOCKET}",
        "--log-level=warn",
        *([] if layout.fsync else ["--unsafe-no-fsync"]),
    ]


def _api_server(layout: Layout) -> list[Path | str]:
    certificates = layout.certificates
    return [
        layout.binaries.sandbox,
        "kube-apiserver",
        f"--etcd-servers=unix://{ETCD_SOCKET}",
        f"--etcd-prefix={layout.etcd_prefix}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.port}",
        # One API server on loopback: pods, if there were any, could not reach it.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--tls-cert-file={certificates / 'apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'apiserver.key'}",
        f"--client-ca-file={certificates / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={certificates / 'service-account.pub'}",
        f"--service-account-signing-key-file={certificates / 'service-account.key'}",
        "--profiling=false",
        *(_audit_flags(layout) if layout.audit else []),
    ]


def _audit_flags(layout: Layout) -> list[str]:
    return [
        f"--audit-policy-file={layout.folder / 'audit-policy.yaml'}",
        f"--audit-log-path={layout.folder / 'logs' / 'audit.log'}",
        "--audit-log-maxsize=100",
        "--audit-log-maxbackup=1",
    ]


def _controller_manager(layout: Layout) -> list[Path | str]:
    certificates = layout.certificates
    return [
        layout.binaries.sandbox,
        "kube-controller-manager",
        f"--kubeconfig={layout.kubeconfig('kube-controller-manager')}",
        "--secure-port=0",
        "--leader-elect=false",
        # The default of 20 a second makes a fresh cluster wait four seconds.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        # The played node reports about once a minute; by default that counts as dead.
        "--node-monitor-grace-period=10m",
        "--use-service-account-credentials=true",
        f"--root-ca-file={certificates / 'ca.crt'}",
        f"--service-account-private-key-file={certificates / 'service-account.key'}",
        f"--cluster-signing-cert-file={certificates / 'ca.crt'}",
        f"--cluster-signing-key-file={certificates / 'ca.key'}",
        "--profiling=false",
    ]


def _scheduler(layout: Layout) -> list[Path | str]:
    return [
        layout.binaries.sandbox,
        "kube-scheduler",
        f"--kubeconfig={layout.kubeconfig('kube-scheduler')}",
        "--secure-port=0",
        "--leader-elect=false",
        "--profiling=false",
    ]


def _kwok(layout: Layout) -> list[Path | str]:
    return [
        layout.binaries.kwok,
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        f"--config={layout.binaries.stages}",
        f"--config={layout.folder / 'unpullable.yaml'}",
        "--manage-all-nodes=true",
        "--node-ip=10.0.0.1",
        "--cidr=10.0.0.1/16",
    ]
