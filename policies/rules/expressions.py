"""What can be seen of an expression in CEL without a cluster. Pure.

The text is taken apart by CEL's own lexis (google/cel-spec, langdef). Whether it compiles is asked
of a cluster: nothing here evaluates it.
"""

import re
from collections.abc import Iterator

LONGEST = 4096
# They would have the rule look at the rules of the tenant, or at what others may do.
FORBIDDEN = frozenset({"authorizer", "params"})
RESERVED = frozenset(
    {
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"),
        *("in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void"),
        "while",
    }
)
_CLOSES = {")": "(", "]": "[", "}": "{"}
_TOKEN = re.compile(
    r"""
      (?P<skipped>//[^\n]*|\s+)
    | (?P<text>[bB]?[rR][bB]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
        | [bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
        | "(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<open>[(\[{]) | (?P<close>[)\]}])
    | (?P<quote>["'])
    | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)


def expression_fault(text: str) -> str:
    """Say what is wrong with an expression, and where; empty where nothing can be seen."""
    if not text.strip():
        return "Give an expression in CEL."
    if len(text) > LONGEST:
        return f"It may hold at most {LONGEST} characters."
    if strange := re.search(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]", text):
        return f"It holds a character that no text has, at {_at(text, strange.start())}."
    return next(_faults(text), "")


def _faults(text: str) -> Iterator[str]:
    opened: list[tuple[str, str]] = []
    before = ""
    for token in _TOKEN.finditer(text):
        sort, found, place = token.lastgroup, token.group(), _at(text, token.start())
        if sort == "quote":
            yield f"A text begins at {place} and does not end."
            return
        if sort == "name" and found in FORBIDDEN and before != ".":
            yield f"{found} may not be used, at {place}."
        if sort == "open":
            opened.append((found, place))
        elif sort == "close" and (not opened or opened.pop()[0] != _CLOSES[found]):
            yield f"{found} at {place} closes nothing that is open."
            return
        before = before if sort == "skipped" else found
    yield from (f"{bracket} at {place} is not closed." for bracket, place in opened[-1:])


def _at(text: str, place: int) -> str:
    begin = text.rfind("\n", 0, place)
    line = text.count("\n", 0, place) + 1
    return f"line {line}, column {place - begin}"
