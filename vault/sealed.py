"""What a row holds for a secret: never the plain text in sight, opened only on request."""

from dataclasses import dataclass, replace
from typing import NoReturn, Self

from vault import envelope
from vault.envelope import Place
from vault.errors import MisplacedSecret
from vault.keys import key_file

MASK = "••••••••"
_MASK_SIGNS = frozenset("•*")


def looks_masked(text: str) -> bool:
    """Tell whether `text` is what KubeNova shows in the place of a secret, or sealed text."""
    return envelope.looks_sealed(text) or (text != "" and set(text) <= _MASK_SIGNS)


class Secret:
    """A secret whose `str` is a mask. `reveal()` is the one way to its plain text."""

    __slots__ = ()

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} secret>"

    def reveal(self) -> str:
        """Return the plain text."""
        raise NotImplementedError


class Draft(Secret):
    """Plain text assigned to a row that was not saved yet. It cannot be pickled."""

    __slots__ = ("_plain",)

    def __init__(self, plain: str) -> None:
        self._plain = plain

    def reveal(self) -> str:
        """Return the plain text."""
        return self._plain

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret that is not sealed yet cannot be pickled: save its row first")


@dataclass(frozen=True, slots=True, repr=False)
class Sealed(Secret):
    """A sealed value as its column holds it, and the place that it belongs to.

    Nothing is decrypted before `reveal`. `place` is None when no row is known, as in the answer of
    `values()`. `assigned` marks a value that this object brought: its row's save writes it.
    """

    text: str
    place: Place | None = None
    assigned: bool = False

    def at(self, place: Place) -> Self:
        """Return the value bound to `place`, unless it is bound already."""
        return self if self.place else replace(self, place=place)

    @property
    def key_id(self) -> str:
        """The id of the key that the value is sealed under."""
        return envelope.key_id(self.text)

    def reveal(self) -> str:
        """Return the plain text.

        Raises MalformedSeal, UnknownKey or TamperedSeal, and MisplacedSecret without a place.
        """
        if self.place is None:
            raise MisplacedSecret("only a row opens its secret: load the row, not its values()")
        return envelope.unseal(self.text, self.place, key_file())
