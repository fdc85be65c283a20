"""Values of the language that Python lacks, such as `Call`, and functions that write values as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Call:
    """A name with arguments, such as `sgd(lr=0.01)`, or without any, such as `flip`.

    >>> print(Call("sgd", (), {"lr": 0.01}), Call("flip"))
    sgd(lr=0.01) flip
    """

    name: str
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [spell(a) for a in self.args] + [f"{k}={spell(v)}" for k, v in self.kwargs.items()]
        return f"{self.name}({', '.join(parts)})" if parts else self.name


class Rounded(float):
    """A number with a suffix, such as `724.4M`. It stands for every number that rounds to these digits.

    >>> Rounded.read("724.4M").agrees(724_406_816)
    True
    >>> Rounded.read("724.4M").agrees(724_506_816)
    False
    """

    tolerance: float
    text: str

    @classmethod
    def read(cls, text: str) -> Rounded:
        digits, scale = text[:-1].replace("_", ""), {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[text[-1]]
        number = cls(float(digits) * scale)
        number.tolerance = scale * 10.0 ** -len(digits.partition(".")[2]) / 2
        number.text = text
        return number

    def agrees(self, count: float) -> bool:
        """Return True if `count`, rounded to the same digits, equals this number."""
        return abs(count - self) <= self.tolerance * (1 + 1e-9)


def spell(value: object) -> str:
    """Return a value as it is written in a spec.

    >>> spell(True), spell((1, 7)), spell([1, "a"])
    ('true', '1x7', '[1, "a"]')
    """
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "none"
        case Rounded():
            return value.text
        case float():
            return f"{value:.6g}"
        case str():
            return '"' + value + '"'
        case tuple():
            return "x".join("?" if v is None else spell(v) for v in value)
        case list():
            return "[" + ", ".join(map(spell, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{spell(k)}: {spell(v)}" for k, v in value.items()) + "}"
    return str(value)


def kind_of(value: object) -> str:
    """Return the type of a value in words, for messages."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", list: "a list"}
    named: list[tuple[type, str]] = [*kinds.items(), (dict, "a table"), (tuple, "a size"), (Call, "a name")]
    return next((name for kind, name in named if isinstance(value, kind)), "nothing")


def described(value: object) -> str:
    """Return a description of a value for messages: a number as it is, any other value as its type.

    >>> described(4.0), described("a")
    ('4.0', 'a string')
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(value) if number else kind_of(value)


def python(value: object) -> str:
    """Return a value as Python source, with strings in double quotes.

    >>> print(python("block1-0"), python(0.5))
    "block1-0" 0.5
    """
    text = repr(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text and "\\'" not in text else text
