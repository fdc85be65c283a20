"""Several processes that train one network together, each with its share of every batch (torchrun)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from netspec.errors import TrainError

T = TypeVar("T")
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""What torch.distributed says on a CPU where another process is gone."""


@dataclass(frozen=True)
class Processes:
    """This process among all; alone, every method gives back what it takes."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and tells the user."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Add up tensors of one shape over all processes."""
        if self.world > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process raises it."""
        if self.world == 1:
            return list(flags)
        raised = torch.tensor([float(flag) for flag in flags])
        dist.all_reduce(raised, op=dist.ReduceOp.MAX, group=_control())
        return [bool(value) for value in raised.tolist()]

    def same(self, value: T) -> T:
        """The first process's value, a plain one, in all."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=_control())
        return box[0]

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.world > 1:
            dist.barrier(group=_control())

    def share_buffers(self, module: nn.Module) -> None:
        """Give every process the first one's buffers, such as the averages of batch normalisation."""
        if self.world > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


_groups: dict[str, dist.ProcessGroup] = {}


def _control() -> dist.ProcessGroup:
    """The processes as they talk over the CPU, so that a word costs no wait for the devices."""
    return _groups["control"]


@contextlib.contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, or be alone where it did not.

    Raises:
        TrainError: the processes cannot reach each other, or one of them has ended.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Processes()
        return
    rank, world, local = (int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    cuda = torch.cuda.is_available() and device in ("auto", "cuda")
    if cuda:
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        group = dist.new_group(backend="gloo")
        assert isinstance(group, dist.ProcessGroup), "every process is in the group of all"
        _groups["control"] = group
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TrainError(f"process {rank} of {world} cannot reach the others: {reason}") from error
    try:
        yield Processes(rank, world, local)
    except RuntimeError as error:
        if not any(sign in str(error) for sign in LOST):
            raise
        message = f"process {rank} of {world} has lost another one, which says why it ended"
        raise TrainError(message) from error
    finally:
        _groups.clear()
        dist.destroy_process_group()
