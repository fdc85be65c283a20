"""Sums over an epoch that stay on the device, since reading one waits for the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

LOOK = 0.5  # seconds between looks at the sums

T = TypeVar("T")


class Meter:
    """Mean loss, share of right answers, speed, and time spent waiting for images, of one epoch's training.

    `sum` adds sums up over the processes that train together; a look within an epoch does without it.
    """

    def __init__(self, device: torch.device, sum: Callable[[Tensor], Tensor] = lambda values: values) -> None:
        self.sums = torch.zeros(2, device=device)  # of losses by images, and of right answers
        self.images = 0
        self.waited = 0.0
        self.sum = sum
        self.before = 0.0
        self.started = time.perf_counter()
        self.stopped = 0.0
        self.next_look = self.started + LOOK

    def wait_for(self, batches: Iterable[T]) -> Iterator[T]:
        """Pass batches on, and count the time that each takes to come."""
        iterator = iter(batches)
        while True:
            asked = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self.waited += time.perf_counter() - asked
            yield batch

    def count(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Take note of a step, or of a part of one: its mean loss, and this process's images."""
        right = (logits.argmax(1) == labels).sum()
        self.sums += torch.stack([loss * len(labels), right])
        self.images += len(labels)

    def due(self) -> bool:
        """Whether it is time to look at the sums again."""
        now = time.perf_counter()
        if now < self.next_look:
            return False
        self.next_look = now + LOOK
        return True

    @property
    def loss(self) -> float:
        """Mean loss so far; waits for the device."""
        return self.sums[0].item() / max(self.images, 1)

    @property
    def accuracy(self) -> float:
        """Share of images got right so far, 0 to 1; waits for the device."""
        return self.sums[1].item() / max(self.images, 1)

    @property
    def seconds(self) -> float:
        """Time spent training in the epoch, up to its end, before an interruption too."""
        return self.before + (self.stopped or time.perf_counter()) - self.started

    @property
    def waiting(self) -> float:
        """Share of that time spent waiting for images, 0 to 1."""
        return min(self.waited / max(self.seconds, 1e-9), 1.0)

    @property
    def speed(self) -> float:
        """Images trained on in a second."""
        return self.images / max(self.seconds, 1e-9)

    def stop(self) -> None:
        """Training is over for this epoch: wait for the device, and stop the clock."""
        self.sums, self.images = self._everywhere()
        self.stopped = time.perf_counter()

    def _everywhere(self) -> tuple[Tensor, int]:
        """The sums and the images of all processes; waits for the device."""
        values = self.sum(torch.cat([self.sums, self.sums.new_tensor([self.images])]))
        return values[:2], round(values[2].item())

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of an epoch under way; all processes call it."""
        sums, images = (self.sums, self.images) if self.stopped else self._everywhere()
        times = {"waited": self.waited, "seconds": self.seconds}
        return {"images": images, "sums": sums.cpu(), **times}

    def load_state_dict(self, state: Mapping[str, Any], first: bool = True) -> None:
        """Go on with an epoch; what all processes summed up counts in the first."""
        self.waited, self.before = state["waited"], state["seconds"]
        if first:
            self.sums.copy_(state["sums"])
            self.images = state["images"]
