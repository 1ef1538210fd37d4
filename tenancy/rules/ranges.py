"""Ranges of addresses in CEL, as numbers of IPv4 and as texts of 32 digits of IPv6. Pure.

Texts of as many digits compare as their numbers would. The policies of Kubernetes 1.30 have no word
for ranges, nor numbers of 128 bits.
"""

_ALL = "0123456789abcdef"
V4 = "'^[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}/[0-9]{{1,2}}$'"
# Not what holds an IPv4 address; of groups that are too long or empty it is no address.
V6 = (
    "(range.matches('^[0-9a-fA-F:]+/[0-9]{{1,3}}$') && "
    "!range.matches('[0-9a-fA-F]{{5}}|:::|[^:]:/|^:[^:]'))"
)
# Whether halves are those of an address, and its digits.
WHOLE = (
    "(halves.size() == 1 && halves[0].size() == 32) || "
    "(halves.size() == 2 && halves.join('').size() <= 28)"
)
DIGITS = (
    f"halves[0] + '{'0' * 32}'.substring(halves.join('').size()) + "
    "(halves.size() == 2 ? halves[1] : '')"
)
POWERS = ", ".join(str(2 ** (32 - length)) for length in range(33))


def number(text: str) -> str:
    """Return CEL of the address of a range of IPv4, a number."""
    value = "part[0] * 16777216 + part[1] * 65536 + part[2] * 256 + part[3]"
    return f"[{text}.split('/')[0].split('.').map(part, int(part))].map(part, {value})[0]"


def halves(text: str) -> str:
    """Return CEL of what a range of IPv6 has before `::` and behind it, each group in 4 digits."""
    return (
        f"{text}.split('/')[0].lowerAscii().split('::').map(half, half.split(':')"
        ".filter(group, group != '').map(group, ('0000' + group).substring(group.size()))"
        ".join(''))"
    )


def ends_of_v4(text: str) -> str:
    """Return CEL of the first and last address of a range; `variables.powers` are POWERS."""
    power = f"variables.powers[int({text}.split('/')[1])]"
    first = "value / power * power"
    ends = f"[{first}, {first} + power - 1]"
    return f"[{number(text)}].map(value, [{power}].map(power, {ends})[0])[0]"


def ends_of_v6(text: str) -> str:
    """Return CEL of the first and last address of a range, whatever bits its own is written with.

    The digit that the length cuts through begins a run of 16, 8, 4 or 2 and is anywhere in it.
    """
    kept, cut = "digits.substring(0, length / 4)", "(digits + '0').charAt(length / 4)"
    low = f"'{_ALL}'.indexOf({cut}) / run * run"
    first = f"({kept} + '{_ALL}'.charAt(low) + '{'0' * 32}').substring(0, 32)"
    last = f"({kept} + '{_ALL}'.charAt(low + run - 1) + '{'f' * 32}').substring(0, 32)"
    ends = f"[[16, 8, 4, 2][length % 4]].map(run, [{low}].map(low, [{first}, {last}])[0])[0]"
    length = f"int({text}.split('/')[1])"
    return (
        f"[{halves(text)}].map(halves, {DIGITS}).map(digits, [{length}].map(length, {ends})[0])[0]"
    )
