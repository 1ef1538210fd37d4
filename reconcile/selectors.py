"""Label selectors, as the Kubernetes documentation has them: equality and set-based."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from reconcile.spelling import label_key_fault, label_value_fault

MAX_LENGTH = 4096

_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|[-A-Za-z0-9_./]+)\s*", re.ASCII)
_MARKS = frozenset(("==", "!=", "=", "!", "(", ")", ","))


class BadSelector(ValueError):
    """The text is no selector; the message says why, for people."""


class Operator(StrEnum):
    """How a requirement compares."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True)
class Requirement:
    """One condition on one key. As in Kubernetes, `notin` also holds where the key is absent."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it."""
        if self.operator is Operator.EXISTS:
            return self.key in labels
        if self.operator is Operator.ABSENT:
            return self.key not in labels
        found = self.key in labels and labels[self.key] in self.values
        return found is (self.operator is Operator.IN)


@dataclass(frozen=True)
class Selector:
    """All requirements at once; there is at least one."""

    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `a=b,c!=d,e in (f,g),h notin (i),j,!k`. Raises BadSelector.

        The empty selector is refused: it would quietly mean everything.
        """
        return cls(tuple(_requirements(_Tokens(text))))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)


class _Tokens:
    """The words and marks of a selector, read one by one; "" is its end."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise BadSelector(f"A selector may hold at most {MAX_LENGTH} characters.")
        self.tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            token = _TOKEN.match(text, position)
            if token is None:
                raise BadSelector(f"Character {position + 1} has no place in a selector.")
            self.tokens.append(token[1])
            position = token.end()
        self.tokens.reverse()

    def peek(self) -> str:
        """Look at the next token."""
        return self.tokens[-1] if self.tokens else ""

    def take(self) -> str:
        """Consume the next token."""
        return self.tokens.pop() if self.tokens else ""

    def expect(self, mark: str) -> None:
        """Consume exactly this mark."""
        found = self.take()
        if found != mark:
            raise BadSelector(f"Expected {mark!r}, found {found or 'the end'!r}.")

    def word(self) -> str:
        """Consume a word."""
        if not self.peek() or self.peek() in _MARKS:
            raise BadSelector(f"Expected a word, found {self.peek() or 'the end'!r}.")
        return self.take()


def _requirements(tokens: _Tokens) -> Iterator[Requirement]:
    yield _requirement(tokens)
    while tokens.peek():
        tokens.expect(",")
        yield _requirement(tokens)


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.peek() == "!":
        tokens.take()
        return Requirement(_key(tokens), Operator.ABSENT)
    key, operator = _key(tokens), tokens.peek()
    if operator in {"", ","}:
        return Requirement(key, Operator.EXISTS)
    tokens.take()
    if operator in {"=", "=="}:
        return Requirement(key, Operator.IN, (_value(tokens),))
    if operator == "!=":
        return Requirement(key, Operator.NOT_IN, (_value(tokens),))
    if operator in {Operator.IN, Operator.NOT_IN}:
        return Requirement(key, Operator(operator), tuple(_values(tokens)))
    raise BadSelector(f"Expected an operator after {key!r}, found {operator!r}.")


def _key(tokens: _Tokens) -> str:
    key = tokens.word()
    if fault := label_key_fault(key):
        raise BadSelector(f"The key {key!r} {fault}.")
    return key


def _value(tokens: _Tokens) -> str:
    """A value may be empty: `a=` asks for the empty value."""
    if tokens.peek() in {"", ",", ")"}:
        return ""
    value = tokens.word()
    if fault := label_value_fault(value):
        raise BadSelector(f"The value {value!r} {fault}.")
    return value


def _values(tokens: _Tokens) -> Iterator[str]:
    tokens.expect("(")
    yield _value(tokens)
    while tokens.peek() == ",":
        tokens.take()
        yield _value(tokens)
    tokens.expect(")")
