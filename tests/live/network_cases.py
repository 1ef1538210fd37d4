"""NetworkPolicies, and bounds of the network: what passes, what is refused and how."""

from typing import Any

from reconcile.values import JSON, TENANT
from tenancy.rules.network_judging import name_servers


def policy(spec: JSON) -> JSON:
    """A NetworkPolicy."""
    return {"metadata": {"name": "web"}, "spec": {"podSelector": {}, **spec}}


def allowing(*peers: JSON, ports: list[JSON] | None = None, direction: str = "egress") -> JSON:
    """What lets traffic through, in one direction."""
    rule: JSON = {"to" if direction == "egress" else "from": [*peers]} if peers else {}
    if ports is not None:
        rule["ports"] = ports
    return {direction: [rule]}


def block(cidr: str, *cut: str) -> JSON:
    """A range of addresses, less others."""
    return {"ipBlock": {"cidr": cidr, **({"except": [*cut]} if cut else {})}}


def spaces(**labels: str) -> JSON:
    """Namespaces by their labels."""
    return {"namespaceSelector": {"matchLabels": labels} if labels else {}}


PODS: JSON = {"podSelector": {"matchLabels": {"app": "db"}}}
OWN = spaces(**{TENANT: "acme"})
OTHERS = spaces(**{TENANT: "globex"})
NAMES: list[JSON] = [{"port": 53, "protocol": "UDP"}, {"port": 53}]
HTTPS: list[JSON] = [{"port": 443}]


def entering(*peers: JSON, **more: Any) -> JSON:
    """What lets traffic in."""
    return policy(allowing(*peers, direction="ingress", **more))


def leaving(*peers: JSON, **more: Any) -> JSON:
    """What lets traffic out."""
    return policy(allowing(*peers, **more))


NETWORK_CASES: list[tuple[JSON, list[JSON], list[tuple[JSON, str]]]] = [
    (
        {"egress_cidrs": ["10.0.0.0/8", "2001:db8::/32"], "ingress_cidrs": []},
        [
            leaving(block("10.1.0.0/16"), block("2001:db8::/32"), OWN, PODS, OTHERS),
            leaving(block("2001:db8::/33"), block("2001:DB8:0:7::/64"), block("2001:db8::1/128")),
            leaving(ports=NAMES),
            entering(OWN, PODS),
            policy({"policyTypes": ["Ingress", "Egress"]}),
        ],
        [
            (leaving(block("10.0.0.0/7")), "egress to 10.0.0.0/7"),
            (leaving(block("10.0.0.0/8"), block("11.0.0.0/24")), "egress to 11.0.0.0/24"),
            (leaving(block("2001:db8::/31")), "egress to 2001:db8::/31"),
            (leaving(block("2001:db9::/32")), "egress to 2001:db9::/32"),
            (leaving(), "egress to 0.0.0.0/0"),
            (leaving(ports=HTTPS), "egress to 0.0.0.0/0"),
            (entering(block("10.0.0.1/32")), "ingress from 10.0.0.1/32"),
            (entering(ports=NAMES), "ingress from 0.0.0.0/0"),
        ],
    ),
    (
        {"denied_cidrs": ["169.254.0.0/16", "fd00::/8"]},
        [
            leaving(block("169.0.0.0/9"), block("2001:db8::/32")),
            leaving(block("0.0.0.0/0", "169.254.0.0/16"), block("::/0", "fd00::/8")),
        ],
        [
            (leaving(block("0.0.0.0/0")), "egress to 0.0.0.0/0"),
            (leaving(block("0.0.0.0/0", "169.254.0.0/17")), "egress to 0.0.0.0/0"),
            (leaving(block("169.254.169.254/32")), "egress to 169.254.169.254/32"),
            (leaving(block("fd12::/16")), "egress to fd12::/16"),
            (entering(), "ingress from 0.0.0.0/0"),
        ],
    ),
    (
        {
            "egress_cidrs": ["2001:db8::/32", "2600::/12"],
            "denied_cidrs": ["2001:db8:dead::/48", "2001:db8:f000::/38"],
        },
        [
            leaving(block("2001:db8:deae::/48"), block("2001:db8:de00::dead/128")),
            leaving(block("2001:db8:f400::/38"), block("2001:db8::/33"), block("260f:ffff::/32")),
            leaving(block("2001:db8::/32", "2001:db8:de00::/40", "2001:db8:f000::/38")),
        ],
        [
            (leaving(block("2001:db8::/32")), "egress to 2001:db8::/32"),
            (leaving(block("2001:db8:deac::/47")), "egress to 2001:db8:deac::/47"),
            (leaving(block("2001:db8:dead:beef::/64")), "egress to 2001:db8:dead:beef::/64"),
            (leaving(block("2001:db8:f3ff::/48")), "egress to 2001:db8:f3ff::/48"),
            (leaving(block("2001:db8:f000::/37")), "egress to 2001:db8:f000::/37"),
            (
                leaving(block("2001:db8::/32", "2001:db8:dead::/49", "2001:db8:f000::/38")),
                "egress to 2001:db8::/32",
            ),
            (leaving(block("2610::/12")), "egress to 2610::/12"),
            (leaving(block("2600::/11")), "egress to 2600::/11"),
            (entering(block("2001:db8:dead::1/128")), "ingress from 2001:db8:dead::1/128"),
        ],
    ),
    (
        {"denied_cidrs": ["2001:db8::/32"]},
        [leaving(block("2001:4860::/32"), block("2001:db9::/32"), block("2001:db7:ffff::/48"))],
        [
            (leaving(block("2001:db8:8000::/33")), "egress to 2001:db8:8000::/33"),
            (leaving(block("2001:d00::/24")), "egress to 2001:d00::/24"),
            (leaving(block("::/0", "2001:db8::/33")), "egress to ::/0"),
        ],
    ),
    (
        {"namespaces": ["team=web", "kubernetes.io/metadata.name=ingress"]},
        [
            leaving(spaces(team="web"), OWN, PODS, block("0.0.0.0/0")),
            entering({**spaces(team="web", stage="prod"), **PODS}),
            leaving(name_servers(), ports=NAMES),
        ],
        [
            (leaving(spaces(team="db", a="b")), "egress to namespaces a=b"),
            (leaving(spaces()), "egress to other namespaces"),
            (entering(OTHERS), f"ingress from namespaces {TENANT}=globex"),
            (entering(), "ingress from other namespaces"),
            (
                leaving(name_servers()),
                "egress to namespaces kubernetes.io/metadata.name=kube-system",
            ),
        ],
    ),
    (
        {"ports": ["443", "8000-8100", "53/UDP"], "dns": "cluster"},
        [
            leaving(block("0.0.0.0/0"), ports=[{"port": 443}, {"port": 8000, "endPort": 8100}]),
            entering(spaces(), ports=[{"port": 53, "protocol": "UDP"}]),
            leaving(OWN, PODS),
            leaving(name_servers(), ports=NAMES),
        ],
        [
            (leaving(block("10.0.0.0/8")), "egress on every port"),
            (leaving(ports=[{"port": 80}]), "egress on port 80/TCP"),
            (leaving(ports=[{"port": 443, "protocol": "UDP"}]), "egress on port 443/UDP"),
            (leaving(ports=NAMES), "egress on port 53/TCP"),
            (
                entering(ports=[{"port": 8000, "endPort": 8101}]),
                "ingress on port 8000-8101/TCP",
            ),
            (entering(OTHERS, ports=[{"port": "http"}]), "ingress on port http/TCP"),
            (leaving(ports=[{"protocol": "TCP"}]), "egress on every port/TCP"),
        ],
    ),
]

_RANGES = (
    *("0.0.0.0/0", "10.0.0.0/8", "10.255.0.0/16", "10.0.0.0/9", "11.0.0.0/8", "8.0.0.0/5"),
    *("192.0.2.128/25", "255.255.255.255/32", "128.0.0.0/1"),
    *("::/0", "::1/128", "2001:db8::/32", "2001:DB8::/33", "2000::/3", "fd00::/8", "fdff:1::/32"),
    *("2001:db8:7fff::/48", "2001:db8:8000::/33", "2001:db8:9:8:7:6:5:4/128", "2001:db8::/31"),
    *("2001:db9::/32", "2001::/16", "0:0:1::/48", "::/8", "8000::/1", "fe80::1:0:0:0/80"),
)
SPECS: list[JSON] = [
    *(allowing(block(each)) for each in _RANGES),
    *(allowing(block(each), direction="ingress") for each in _RANGES[:6]),
    allowing(block("10.0.0.0/8", "10.255.0.0/16"), block("::/0", "2001:db8::/32")),
    allowing(block("10.0.0.0/8", "10.254.0.0/15")),
    allowing(block("10.0.0.0/8", "10.255.0.0/17")),
    *(allowing(each, ports=ports) for each in (OWN, OTHERS, PODS) for ports in (None, HTTPS)),
    *(allowing(name_servers(), ports=ports) for ports in (None, HTTPS, NAMES, NAMES + HTTPS)),
    *(allowing(ports=ports) for ports in (None, HTTPS, NAMES, [{"port": "dns"}])),
    allowing(name_servers(), OTHERS, ports=NAMES),
    allowing({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}),
    {"ingress": [{}], "egress": [{}]},
]
VALUES: list[JSON] = [
    {"egress_cidrs": ["10.0.0.0/8", "2001:db8::/32"], "ports": ["443"]},
    {"egress_cidrs": ["0.0.0.0/0", "::/0"], "denied_cidrs": ["10.255.0.0/16", "2001:db8::/32"]},
    {"denied_cidrs": ["192.0.2.0/24", "::/0", "128.0.0.0/1"], "dns": "none"},
    {"ingress_cidrs": ["10.0.0.0/8"], "namespaces": ["team=web"], "dns": "cluster"},
    {
        "egress_cidrs": ["2001:db8::/31", "8000::/1", "::/8"],
        "denied_cidrs": ["2001:db8:8000::/35", "fd00::/9", "2001:db8:9:8::/61"],
    },
]
