"""Two versions of rules, line by line as YAML."""

import difflib
from collections.abc import Iterator

from delivery.environment_form import as_yaml
from delivery.revisions import Line
from reconcile.values import JSON

_CONTEXT = 3


def compare(before: JSON | None, after: JSON) -> Iterator[Line]:
    """Compare what two versions say; None: there was nothing before."""
    texts = ["" if each is None else as_yaml(each) for each in (before, after)]
    old, new = (text.splitlines() for text in texts)
    for number, line in enumerate(difflib.unified_diff(old, new, n=_CONTEXT, lineterm="")):
        if number < 2:  # the names of the two files
            continue
        if line.startswith("@@"):
            yield Line("gap", line)
        else:
            kind = {"+": "added", "-": "removed"}.get(line[:1], "same")
            yield Line(kind, line[1:])
