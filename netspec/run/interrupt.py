"""Ctrl-C that waits for the step under way, so that weights are never half updated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Interrupt:
    """Whether the user has pressed Ctrl-C."""

    requested: bool = False

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, up to an interrupt."""
        for item in items:
            yield item
            if self.requested:
                return


@contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Take note of the first Ctrl-C; a second one raises KeyboardInterrupt at once, as ever."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
