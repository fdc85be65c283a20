"""Signals that wait for the step under way, so that weights are never half updated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Interrupt:
    """The signal that asked the run to end, Ctrl-C's or `kill`'s, or 0."""

    signal: int = 0

    @property
    def requested(self) -> bool:
        """Whether the run is to end."""
        return self.signal != 0

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, up to an interrupt."""
        for item in items:
            yield item
            if self.requested:
                return


@contextmanager
def interrupts(tell: Callable[[int], object] = lambda number: None) -> Iterator[Interrupt]:
    """Take note of Ctrl-C and SIGTERM, and `tell` of them; a second Ctrl-C raises KeyboardInterrupt."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        tell(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
