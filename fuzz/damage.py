"""Damages the bytes of files."""

from __future__ import annotations

import random


def damage(draw: random.Random, content: bytes) -> bytes:
    """Change, delete, repeat and insert some bytes."""
    changed = bytearray(content)
    for _ in range(draw.choice([0, 1, 1, 2, 5, 30])):
        place = draw.randrange(len(changed) + 1)
        match draw.randrange(4):
            case 0 if place < len(changed):
                changed[place] = draw.randrange(256)
            case 1:
                del changed[place : place + draw.choice([1, 4, 100])]
            case 2:
                changed[place:place] = draw.choice([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 8, b"%!PS"])
            case _:
                changed[place:place] = changed[place : place + draw.choice([1, 16, 200])]
    return bytes(changed)
