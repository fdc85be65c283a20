"""Names of layers: labels, the names chosen for layers without one, and references to them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.diagnostics import Diagnostic, Label, Span, did_you_mean
from netspec.graph import Scope
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.names import Fault, Names, Unknown

UNKNOWN = -1
"""The id of a node that is unknown because of an error that has already been reported."""

MODULE_WORDS = frozenset(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda
    double dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter
    get_submodule half insert ipu load_state_dict modules mtia named_buffers named_children
    named_modules named_parameters parameters pop register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook
    requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train training type
    xpu zero_grad
    """.split()  # noqa: SIM905
)
"""Attributes of nn.Module that a layer of the same name would hide."""


@dataclass
class Entry:
    """What a label refers to: the id of a node, and the inner scope of a group or block."""

    value: int
    span: Span
    inside: Naming | None = None


@dataclass
class Naming:
    """A scope under construction. If `numbered`, layers without labels get numbers, as in nn.Sequential."""

    name: str = ""
    path: str = ""
    numbered: bool = False
    block: str | None = None
    arguments: dict[str, object] = field(default_factory=dict)
    shares: str | None = None
    parent: Naming | None = None
    depth: int = 0
    unread: list[str] = field(default_factory=list)
    """The texts of failed statements. A name missing from this scope may have been defined by them."""
    entries: dict[str, Entry] = field(default_factory=dict)
    children: list[Naming | int] = field(default_factory=list)
    containers: set[str] = field(default_factory=set)
    """The names before the dots of labels such as `convs.0`."""
    used: dict[str, int] = field(default_factory=dict)
    position: int = 0
    symbols: Mapping[str, str] = field(default_factory=dict)
    """For a block: the Python expressions of its arguments, as in `Scope.expressions`."""
    bindings: Mapping[str, tuple[str, object]] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)

    def full(self, name: str) -> str:
        """Return the dotted path of a name in this scope."""
        return f"{self.path}.{name}" if self.path else name

    def pick(self, word: str, counted: bool = True) -> str:
        """Return a name for a layer without a label: its number in a numbered scope, otherwise its op."""
        if self.numbered and counted:
            return str(self.position)
        while True:
            count = self.used[word] = self.used.get(word, 0) + 1
            name = word if count == 1 else f"{word}_{count}"
            if name not in self.entries and not reserved(name):
                return name

    def add(self, name: str, entry: Entry) -> None:
        """Register a label.

        Raises:
            Fault: the label is already used.
        """
        if name in self.entries and self.entries[name].span != entry.span:
            message = f"two layers have the label `{name}`"
            labels = (Label(self.entries[name].span, "first used here"),)
            fault = Fault("duplicate-label", message, entry.span)
            fault.diagnostic = Diagnostic("duplicate-label", message, entry.span, labels=labels)
            raise fault
        if name in self.entries:
            help = "put the loop variable into the label, as in `conv{i}:`, or omit the label"
            raise Fault(
                "duplicate-label",
                f"the label `{name}` is the same in every repetition",
                entry.span,
                help,
            )
        around = [name[:k] for k, c in enumerate(name) if c == "."]
        taken = next((outer for outer in around if outer in self.entries), None)
        if taken or name in self.containers:
            why = f"`{taken}` is already a layer or group" if taken else f"other labels begin with `{name}.`"
            raise Fault("duplicate-label", f"`{name}` cannot be a label here: {why}", entry.span)
        self.containers.update(around)
        self.entries[name] = entry

    def starts(self, parts: Sequence[str]) -> str | None:
        """Return the label at the start of a path, or None. It can have several parts, as in `convs.0`."""
        labels = (".".join(parts[:k]) for k in range(1, len(parts) + 1))
        return next((label for label in labels if label in self.entries), None)

    def inner(
        self,
        name: str,
        numbered: bool,
        block: str | None = None,
        arguments: dict[str, object] | None = None,
        shares: str | None = None,
    ) -> Naming:
        """Add a scope inside this one and return it."""
        inner = Naming(name, self.full(name), numbered, block, arguments or {}, shares, self, self.depth + 1)
        self.children.append(inner)
        return inner

    def scope(self) -> Scope:
        """Return the finished scope, without inner scopes that contain no layers."""
        made = (c.scope() if isinstance(c, Naming) else c for c in self.children)
        children = tuple(c for c in made if not isinstance(c, Scope) or c.children)
        inside = (self.block, self.arguments, self.shares, self.symbols, self.bindings, self.defaults)
        return Scope(self.name, self.path, children, *inside)

    def visible(self) -> Naming | None:
        """Return the outer scope whose labels are visible here; None in the scope of a block."""
        return None if self.block else self.parent

    def may_have(self, name: str) -> bool:
        """Return True if a failed statement in this scope or an outer one may have defined `name`."""
        word, outer = re.sub(r"_?\d+$", "", name), self.visible()
        return any(word in text for text in self.unread) or bool(outer and outer.may_have(name))

    def around(self) -> Iterator[Naming]:
        """Yield this scope and all enclosing scopes."""
        scope: Naming | None = self
        while scope:
            yield scope
            scope = scope.parent

    def labels(self) -> list[str]:
        """Return all labels that a reference in this scope can use."""
        outer = self.visible()
        return [*self.entries, *(outer.labels() if outer else [])]


def parts_of(path: t.Path, names: Names) -> tuple[str, ...]:
    """Return the parts of a path, with expressions such as `{i + 1}` replaced by their values."""
    return tuple(p if isinstance(p, str) else filled(p, names) for p in path.parts)


def find(path: t.Path, naming: Naming, names: Names) -> Entry:
    """Return the entry for a path, looked up from the innermost scope outward.

    Raises:
        Fault: no layer above has this name.
        Unknown: a failed statement may have defined the name.
    """
    parts = ".".join(parts_of(path, names)).split(".")
    scope: Naming | None = naming
    while scope and scope.starts(parts) is None:
        scope = scope.visible()
    if scope is None:
        first = parts[0]
        if naming.may_have(first):
            raise Unknown
        help = did_you_mean(first, naming.labels())
        raise Fault("unknown-layer", f"there is no layer `{first}` above this line", path.span, help)
    entry, rest = scope.entries[first := str(scope.starts(parts))], parts[first.count(".") + 1 :]
    while rest:
        part = str((entry.inside and entry.inside.starts(rest)) or rest[0])
        rest = rest[part.count(".") + 1 :]
        if entry.inside is None or part not in entry.inside.entries:
            if entry.value == UNKNOWN or (entry.inside and entry.inside.may_have(part)):
                raise Unknown
            inside = list(entry.inside.entries) if entry.inside else []
            help = did_you_mean(part, inside) or (
                f"its layers are {', '.join(inside[:12])}" if inside else None
            )
            raise Fault(
                "unknown-layer", f"`{path}` does not exist: there is no layer `{part}` in it", path.span, help
            )
        entry = entry.inside.entries[part]
    if entry.inside is not None and any(entry.inside is scope for scope in naming.around()):
        message = f"`{path}` contains this line, so its output is not known yet"
        raise Fault("unknown-layer", message, path.span, "name a layer above the line that opens it")
    return entry


def reserved(name: str) -> bool:
    """Return True for names that no layer can have: Python keywords and attributes of PyTorch's modules."""
    return name in MODULE_WORDS or keyword.iskeyword(name) or name.startswith("_") or name == "self"


def filled(label: t.Label, names: Names) -> str:
    """Return the text of a label, with expressions such as `{i + 1}` replaced by their values."""
    return "".join(p if isinstance(p, str) else str(evaluate(p, names)) for p in label.parts)


def label_text(label: t.Label, names: Names) -> str:
    """Return the text of a label after checking that it is valid.

    Raises:
        Fault: the label cannot name a submodule in PyTorch.
    """
    text = filled(label, names)
    if not re.fullmatch(r"[\w+\-/: ]{1,100}(\.[\w+\-/: ]{1,100}){0,4}", text):
        help = (
            "a label consists of letters and digits; in quotes, it can also contain spaces, `-`, `+`, `/` "
            "and `:`, and dots between names"
        )
        shown = repr(text) if text else label.span.text
        raise Fault("bad-label", f"{shown} cannot be a label", label.span, help)
    if wrong := next(filter(reserved, text.split(".")), None):
        text = wrong
        why = "a keyword of Python" if keyword.iskeyword(text) else "an attribute of PyTorch's modules"
        raise Fault(
            "bad-label", f"`{text}` is {why}, so it cannot be a label", label.span, f"`{text}_1` is allowed"
        )
    return text
