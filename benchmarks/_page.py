"""Writes the results into docs/benchmarks.md, between its two marks, from the JSON of the runs.

python benchmarks/_page.py [docs/benchmarks]
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from _figures import JSON, middle, ratio, table

_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"
_ROOT = Path(__file__).resolve().parent.parent
Row = tuple[str, str, str, str, str]


def main() -> int:
    """Rewrite the page; return the exit status."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _ROOT / "docs" / "benchmarks"
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    page = folder.with_suffix(".md")
    page.write_text(filled(page.read_text(), results(runs)))
    return 0


def filled(page: str, text: str) -> str:
    """Return the page with `text` between its marks. Raises ValueError without them."""
    before, _, rest = page.partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        raise ValueError(f"the page lacks {_BEGIN} or {_END}")
    return f"{before}{_BEGIN}\n{text}\n{_END}{after}"


def results(runs: dict[str, JSON]) -> str:
    """Return the table of all runs, and on what machine each was made."""
    rows = [row for name, run in runs.items() for row in _TELLERS[name.partition("-")[0]](run)]
    head = ("benchmark", "floor", "KubeNova", "ratio", "goal")
    return "\n".join([table(head, sorted(rows)), "", *(machine(n, r) for n, r in runs.items())])


def machine(name: str, run: JSON) -> str:
    """Say when and where a run was made; one on a busy machine says so."""
    at = run["machine"]
    state = "quiet" if at["quiet"] else "busy with other work as well"
    options = ", ".join(f"{key} {value}" for key, value in run["options"].items())
    return (
        f"* `{name}` ({options}): {at['at']}, {at['cores']} cores, {state} "
        f"({at['idle before, %']} % idle, load {at['load before'][0]})"
    )


def converge(run: JSON) -> list[Row]:
    """B3 of a thousand tenants or of cores apart, or else B6: more workers, fewer tenants."""
    floor, product, asked = run["floor"], run["product"], run["options"]
    apart, whole = asked.get("pinned"), asked["tenants"] >= 1000
    name = f"B3 cold convergence of {asked['tenants']} tenants" + ", a core each" * bool(apart)
    if not apart and not whole:
        name = f"B6 {asked['workers']} worker(s), {asked['tenants']} tenants"
    share = run["share of the raw rate"]
    cost = "core-ms per object, {}".format
    return [
        (
            name,
            f"{floor['objects/s']} objects/s",
            f"{product['objects/s']} objects/s",
            f"{share['p50']} (worst {share['worst']})",
            "0.6" if whole else "",
        ),
        (
            f"{name}: core-ms an object, server + client",
            f"{floor[cost('server')]} + {floor[cost('client')]}",
            f"{product[cost('server')]} + {product[cost('client')]}",
            "",
            "",
        ),
    ]


def repair(run: JSON) -> list[Row]:
    """B2."""
    rows = [_series("B2 drift repair", run["series"], "floor, all", "product, all", "100 / 500 ms")]
    writes = run["writes per repair"]
    return [*rows, ("B2 writes per repair", "1", str(writes), "", "1")]


def onboard(run: JSON) -> list[Row]:
    """B1, or B11 with several clusters."""
    series = run["series"]
    if run["options"]["clusters"] == 1:
        return [
            _series("B1 onboarding: tenant", series, "floor", "tenant", "400 ms / 1 s"),
            _series("B1 onboarding: with a project", series, "floor", "project", "400 ms / 1 s"),
        ]
    alive, hole = series["all alive"], series["one black hole"]
    name = f"B11 onboarding beside a black hole, 1 of {run['options']['clusters']} clusters"
    change = f"p50 {run['change of p50, %']:+} %, p99 {run['change of p99, %']:+} %"
    noise = run.get("change of p99, % without a black hole")
    change += "" if noise is None else f" (of rounds without: {noise:+} %)"
    return [(name, _times(alive), _times(hole), change, "p99 +10 %")]


def idle(run: JSON) -> list[Row]:
    """B7."""
    each, full = run["an idle tenant costs an hour"], run["with tenants"]
    seconds, tenants = run["options"]["seconds"], run["options"]["tenants"]
    name = f"B7 {tenants} tenants at rest for {seconds} s"
    if changes := full.get("changes of status"):
        name += f", {changes} changes of status"
    cost = each["core-ms of worker and watch"]
    spent = f"{cost} core-ms" if cost > 0 else "no processor time that shows"
    return [
        (f"{name}: writes", "0", str(full["writes"]), "", "0"),
        (f"{name}: requests", "0", str(full["requests, all"]), "", ""),
        (f"{name}: lists of a kind", "0", str(full["lists of one kind, at most"]), "", "1"),
        (
            "B7 an idle tenant, an hour",
            "0",
            f"{each['requests']} requests, {spent}",
            "",
            "",
        ),
    ]


def restart(run: JSON) -> list[Row]:
    """B13 and B14."""
    took = middle([each["seconds"] for each in run["B13"]])
    floor = middle([each["floor, seconds"] for each in run["B13"]])
    writes, lost = max(each["writes"] for each in run["B13"]), run["B14"]
    name = f"B13 killed and under watch again, {run['objects']} objects"
    return [
        (name, f"{floor} s", f"{took} s, {writes} writes", str(ratio(took, floor)), "15 s, 0"),
        (
            f"B14 back after {run['options']['lost']} s, {lost['drifted']} objects drifted",
            f"{lost['floor, seconds']} s",
            f"{lost['seconds']} s, {lost['writes']} writes",
            f"{lost['writes / drifted']} writes a drift",
            "30 s, 1",
        ),
    ]


def applications(run: JSON) -> list[Row]:
    """B5."""
    floor, product, times = run["floor"], run["product"], run["times the floor"]
    rate = "Applications/s"
    there = run["options"].get("kubevela", 0)
    then = "until KubeVela runs them" if there else "for KubeVela, until they are there"
    return [
        (
            f"B5 {run['options']['apps']} Applications {then}",
            f"{floor[rate]} {rate}",
            f"{product[rate]} {rate}",
            f"{times['p50']} (worst {times['worst']})",
            "1.1",
        )
    ]


def policyset(run: JSON) -> list[Row]:
    """A policy set of many tenants, changed."""
    floor, product, times = run["floor"], run["product"], run["times the floor"]
    tenants, objects = run["options"]["tenants"], run["objects"]
    return [
        (
            f"A policy set changed, until it holds for its {tenants} tenants ({objects} objects)",
            f"{floor['seconds']} s",
            f"{product['seconds']} s, half after {run['half, seconds']} s, "
            f"told in {run['steps of progress']} steps",
            f"{times['p50']} (worst {times['worst']})",
            "180 s",
        )
    ]


def _series(name: str, series: JSON, floor: str, product: str, goal: str) -> Row:
    a, b = series[floor], series[product]
    shares = f"{ratio(b['p50'], a['p50'])} / {ratio(b['p99'], a['p99'])}"
    return (f"{name}, p50 / p99", _times(a), _times(b), shares, goal)


def _times(spread: JSON) -> str:
    return f"{spread['p50']} / {spread['p99']} ms (n {spread['n']}, max {spread['max']})"


_TELLERS: dict[str, Callable[[JSON], list[Row]]] = {
    each.__name__: each
    for each in (converge, repair, onboard, idle, restart, applications, policyset)
}

if __name__ == "__main__":
    sys.exit(main())
