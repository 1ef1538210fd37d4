"""Which components or steps wait for which: known names, no circles. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from delivery.rules.schema import Problem

_APP = ("The app", "component")


def dependency_problems(
    names: Sequence[object], waits: Sequence[object], words: tuple[str, str] = _APP
) -> Iterator[Problem]:
    """Yield what is wrong with the `dependsOn` of components, given in the order of their names.

    `words` say what they are parts of and what they are called, where they are no components.

    What is no list of texts is passed over: a schema has found fault with it.
    """
    lists = [_texts(each) for each in waits]
    graph = {
        name: listed for name, listed in zip(names, lists, strict=True) if isinstance(name, str)
    }
    for index, (name, listed) in enumerate(zip(names, lists, strict=True)):
        for place, other in enumerate(listed):
            if text := _fault(str(name), other, listed[:place], graph, words):
                yield Problem((index, "dependsOn", place), "depends", text)


def _texts(waits: object) -> list[str]:
    listed = waits if isinstance(waits, list) else []
    return listed if all(isinstance(item, str) for item in listed) else []


def _fault(
    name: str,
    other: str,
    before: Sequence[str],
    graph: Mapping[str, list[str]],
    words: tuple[str, str],
) -> str:
    whole, part = words
    if other in before:
        return "It is named before."
    if other not in graph:
        return f"{whole} has no such {part}."
    if other == name:
        return f"A {part} cannot wait for itself."
    if name in _reached(other, graph):
        return "They would wait for each other for ever."
    return ""


def _reached(start: str, graph: Mapping[str, list[str]]) -> set[str]:
    """All that a component waits for, by whatever way."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found
