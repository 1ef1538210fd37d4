"""What all benchmarks have in common at their beginning and their end."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from _figures import JSON, write
from _machine import describe
from _stage import ROOT


def options(about: str, name: str, **numbers: int) -> argparse.Namespace:
    """Read the command line: a number each, --busy and --json (by default below .run)."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    for option, default in numbers.items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine as well")
    parser.add_argument("--json", type=Path, default=ROOT / ".run" / "benchmarks" / f"{name}.json")
    return parser.parse_args()


def begin(chosen: argparse.Namespace) -> JSON:
    """Describe the machine. Raises Busy unless it is at rest or that does not matter."""
    return {**describe(busy=chosen.busy)}


def end(
    chosen: argparse.Namespace, machine: JSON, figures: JSON, show: Callable[[JSON], None]
) -> int:
    """Show the figures and write them down; return the exit status."""
    asked = {key: value for key, value in vars(chosen).items() if key not in ("json", "busy")}
    figures = {"machine": machine, "options": asked, **figures}
    show(figures)
    state = "quiet" if machine["quiet"] else "BUSY: what was measured is that as well"
    print(f"machine: {state} ({machine['idle before, %']} % idle, load {machine['load before']})")
    print(f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {chosen.json}")
    write(chosen.json, figures)
    return 0
