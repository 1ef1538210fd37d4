"""The `if` of a step: what became of the steps before it decides. Pure.

A few plain forms of KubeVela's, read by a parser that knows nothing else: `always`,
`status.build.failed`, `status["build-it"].phase == "succeeded"`, joined by `&&`, `||`, `!` and
parentheses. Nothing is ever evaluated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

ALWAYS = "always"
MAX_LENGTH = 200
FORMS = (
    "Use `always`, or what became of steps that come before: `status.<step>.failed` (or succeeded, "
    "skipped, timeout), joined by &&, ||, ! and parentheses."
)
WORDS = ("succeeded", "failed", "skipped", "timeout")

_NAME = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_STATUS = rf'status(?:\.(?P<plain>{_NAME})|\["(?P<quoted>{_NAME})"\])'
_TOKEN = re.compile(
    rf"\s*(?:(?P<sign>&&|\|\||!|\(|\))"
    rf"|{_STATUS}\.(?:(?P<word>{'|'.join(WORDS)})\b(?!-)"
    rf'|phase\s*==\s*"(?P<phase>succeeded|failed|skipped)"))'
)


class BadCondition(ValueError):
    """The text is none of the forms."""


@dataclass(frozen=True)
class Became:
    """A step became this."""

    step: str
    word: str


@dataclass(frozen=True)
class Not:
    """The opposite."""

    inner: "Condition"


@dataclass(frozen=True)
class Joined:
    """All of them, or one of them."""

    every: bool
    parts: "tuple[Condition, ...]"


class Always(NamedTuple):
    """Whatever became of the others."""


Condition = Always | Became | Not | Joined


def parse(text: str) -> Condition:
    """Read a condition. Raises BadCondition."""
    if text.strip() == ALWAYS:
        return Always()
    if len(text) > MAX_LENGTH:
        raise BadCondition(f"It may hold at most {MAX_LENGTH} characters.")
    reader = _Reader(list(_tokens(text)))
    found = reader.either()
    if reader.peek():
        raise BadCondition(FORMS)
    return found


def holds(condition: Condition, became: Mapping[str, str]) -> bool:
    """Whether it is met, given what became of each step that it names."""
    match condition:
        case Became(step, word):
            found = became.get(step, "")
            return found == word or (found, word) == ("timeout", "failed")
        case Not(inner):
            return not holds(inner, became)
        case Joined(every, parts):
            return (all if every else any)(holds(part, became) for part in parts)
        case _:
            return True


def names_in(condition: Condition) -> Iterator[str]:
    """Yield the steps that it names."""
    match condition:
        case Became(step, _):
            yield step
        case Not(inner):
            yield from names_in(inner)
        case Joined(_, parts):
            for part in parts:
                yield from names_in(part)


def _tokens(text: str) -> Iterator[str | Became]:
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            raise BadCondition(FORMS)
        place = found.end()
        if sign := found["sign"]:
            yield sign
        else:
            yield Became(found["plain"] or found["quoted"], found["word"] or found["phase"])


class _Reader:
    """Reads tokens by the usual precedence: !, then &&, then ||."""

    def __init__(self, tokens: Sequence[str | Became]) -> None:
        self._tokens, self._place = tokens, 0

    def peek(self) -> str | Became:
        """Return the next token; empty at the end."""
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self) -> str | Became:
        found = self.peek()
        self._place += 1
        return found

    def either(self) -> Condition:
        """Read parts joined by ||."""
        parts = [self._both()]
        while self.peek() == "||":
            self._next()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Joined(every=False, parts=tuple(parts))

    def _both(self) -> Condition:
        parts = [self._one()]
        while self.peek() == "&&":
            self._next()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Joined(every=True, parts=tuple(parts))

    def _one(self) -> Condition:
        token = self._next()
        if isinstance(token, Became):
            return token
        if token == "!":
            return Not(self._one())
        if token == "(":
            inner = self.either()
            if self._next() == ")":
                return inner
        raise BadCondition(FORMS)
