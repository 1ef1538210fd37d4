"""Kubernetes quantities, exactly: parsing and writing without ever gaining any.

Source of the grammar: Kubernetes API, resource.Quantity.
"""

import re
from fractions import Fraction

_FORM = re.compile(r"(\d{1,18})(\.\d{1,9})?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?", re.ASCII)
_SUFFIX = {"m": Fraction(1, 1000), "": Fraction(1)}
_SUFFIX |= {letter: Fraction(1000) ** power for power, letter in enumerate("kMGTPE", 1)}
_SUFFIX |= {f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_CPU = re.compile(r"(requests\.|limits\.)?cpu")
_BYTES = re.compile(
    r"(requests\.|limits\.)?(memory|storage|ephemeral-storage)|.+/requests\.storage"
)
# What API servers write, beyond what people may: tiny parts and decimal exponents.
_SERVED = re.compile(r"(\d{1,30})(\.\d{1,30})?([nu]|[eE][+-]?\d{1,2})", re.ASCII)
_TINY = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6)}


def parse(text: str) -> Fraction:
    """Return the value of a quantity such as `500m` or `2Gi`; ValueError when it is none."""
    match = _FORM.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 4Gi.")
    whole, decimals, suffix = match.groups()
    return Fraction(f"{whole}{decimals or ''}") * _SUFFIX[suffix or ""]


def measure(text: str) -> Fraction:
    """Return the value of a quantity as an API server writes it; ValueError when it is none."""
    match = _SERVED.fullmatch(text)
    if not match:
        return parse(text)
    whole, decimals, suffix = match.groups()
    factor = _TINY.get(suffix) or Fraction(10) ** int(suffix[1:])
    return Fraction(f"{whole}{decimals or ''}") * factor


def legible(value: Fraction, resource: str) -> str:
    """Write a value for people: CPU in cores, bytes in the largest unit of which there is one."""
    if not is_bytes(resource):
        return _short(value, 3)
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if value >= 1024**power:
            return f"{_short(value / 1024**power, 1)}{unit}"
    return _short(value, 0)


def _short(value: Fraction, digits: int) -> str:
    text = f"{float(value):.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def is_bytes(resource: str) -> bool:
    """Whether a resource is counted in bytes."""
    return bool(_BYTES.fullmatch(resource))


def unit_of(resource: str) -> Fraction:
    """The smallest unit that a resource is counted in: a thousandth of a CPU, else one."""
    return Fraction(1, 1000) if _CPU.fullmatch(resource) else Fraction(1)


def write(value: Fraction, resource: str) -> str:
    """Write a value in the smallest unit that the resource is counted in: CPU in thousandths."""
    unit = unit_of(resource)
    return f"{value // unit}{'m' if unit < 1 else ''}"
