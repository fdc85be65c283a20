"""Explains the built-in blocks, from their files in specs/blocks, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import indent

from netspec.language import ast as t
from netspec.language.parser import parse
from netspec.library import builtin_folder, read


@dataclass(frozen=True)
class BuiltinBlock:
    """A block that specs can use: its signature, the comment above it, and its text."""

    name: str
    file: str
    signature: str
    comment: str
    text: str


def builtin_blocks() -> Mapping[str, BuiltinBlock]:
    """Return the blocks of specs/blocks by name."""
    found = {}
    for path in sorted((builtin_folder() / "blocks").glob("*.net")):
        source = read(path, path.name)
        for statement in parse(source)[0].body.statements:
            if isinstance(statement, t.Block):
                text = statement.span.text
                signature = text.partition("block ")[2].partition("{")[0].strip()
                above = comment(source.text[: statement.span.start])
                found[statement.name] = BuiltinBlock(statement.name, path.name, signature, above, text)
    return found


def comment(text: str) -> str:
    """Return the comment in the last lines of a text, without its `#` characters."""
    lines: list[str] = []
    for line in reversed(text.rstrip("\n").split("\n")):
        if not line.startswith("#"):
            break
        lines.insert(0, line.removeprefix("#").strip())
    return "\n".join(lines)


def list_blocks() -> str:
    """Return a list of the built-in blocks, grouped by the `use` statement that makes them available."""
    parts: dict[str, list[str]] = {}
    for block in builtin_blocks().values():
        parts.setdefault(f'Blocks after `use "blocks/{block.file}"`', []).append(f"  {block.signature}")
    return "\n\n".join("\n".join([title, *lines]) for title, lines in parts.items())


def explain_block(block: BuiltinBlock) -> str:
    """Return the explanation of a block: its signature, its comment, how to use it, and its text."""
    parts = [
        block.signature,
        block.comment,
        f'After `use "blocks/{block.file}"`:',
        indent(block.text, "    "),
    ]
    return "\n\n".join(part for part in parts if part)
