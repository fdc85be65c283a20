"""Training in several processes started by torchrun: communication and sharded weights (FSDP2)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netspec.errors import TrainError

T = TypeVar("T")
PEER_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""Texts in torch.distributed's errors on CPUs that mean that another process has ended."""


@dataclass(frozen=True)
class Processes:
    """The rank of this process among `world` processes. With a single process, no method communicates."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and reports to the user."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.world > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def any(self, *flags: bool) -> list[bool]:
        """Return, for each flag, whether it is true in any process."""
        if self.world == 1:
            return list(flags)
        raised = torch.tensor([float(flag) for flag in flags])
        dist.all_reduce(raised, op=dist.ReduceOp.MAX, group=_cpu_group())
        return [bool(value) for value in raised.tolist()]

    def broadcast(self, value: T) -> T:
        """Return the first process's value, which must have a built-in type, in all processes."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=_cpu_group())
        return box[0]

    def wait(self) -> None:
        """Wait until every process calls this."""
        if self.world > 1:
            dist.barrier(group=_cpu_group())

    @contextlib.contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """Run the code inside in the first process before all others, which then find cached downloads."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def broadcast_buffers(self, module: nn.Module) -> None:
        """Copy the first process's buffers, such as batch norm's running averages, to all processes."""
        if self.world > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


_groups: dict[str, dist.ProcessGroup] = {}


def _cpu_group() -> dist.ProcessGroup:
    """Return a group of all processes that communicates through the CPU without waiting for devices."""
    return _groups["cpu"]


def environment_number(name: str, default: int = 0) -> int:
    """Return the integer in an environment variable; raises TrainError if it is not an integer."""
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise TrainError(f"the environment variable {name} is `{text[:40]}`, not a number: unset it")
    return int(text)


@contextlib.contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Connect the processes that torchrun started; outside torchrun, this process is the only one.

    Raises:
        TrainError: torchrun's environment variables are invalid, the processes cannot reach each other, or
            another process has ended.
    """
    world = environment_number("WORLD_SIZE", 1)
    if world < 2:
        yield Processes()
        return
    rank, local = environment_number("RANK"), environment_number("LOCAL_RANK")
    cuda = torch.cuda.is_available() and device in ("auto", "cuda")
    if cuda:
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        group = dist.new_group(backend="gloo")
        assert isinstance(group, dist.ProcessGroup), "every process belongs to the group"
        _groups["cpu"] = group
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TrainError(f"process {rank} of {world} cannot reach the others: {reason}") from error
    try:
        yield Processes(rank, world, local)
    except RuntimeError as error:
        if not any(text in str(error) for text in PEER_LOST):
            raise
        message = f"process {rank} of {world} stopped because another process ended: see its error"
        raise TrainError(message) from error
    finally:
        _groups.clear()
        dist.destroy_process_group()


# Weights on several devices


def parallelize(module: nn.Module, processes: Processes, *, shard: bool) -> nn.Module:
    """Return a module for training by all processes: replicated (DDP), or sharded (FSDP2) if `shard`."""
    if processes.world == 1:
        return module
    if not shard:
        device = next(module.parameters()).device
        return DistributedDataParallel(module, device_ids=[device] if device.type == "cuda" else None)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(next(module.parameters()).device.type, (dist.get_world_size(),))
    for child in module.children():
        if any(True for _ in child.parameters()):
            fully_shard(child, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


def is_sharded(module: nn.Module) -> bool:
    """Return True if the weights of a module are sharded over processes."""
    if not dist.is_available() or not dist.is_initialized():
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(module, FSDPModule)


def gather_states(
    module: nn.Module, optimizer: torch.optim.Optimizer | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the complete weights and optimizer state on the CPU of the first process.

    Every process must call this.
    """
    from torch.distributed.checkpoint import state_dict as dcp

    options = dcp.StateDictOptions(full_state_dict=True, cpu_offload=True)
    found = dcp.get_model_state_dict(module, options=options)
    weights = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    state = {} if optimizer is None else dcp.get_optimizer_state_dict(module, optimizer, options=options)
    return weights, dict(state)


def scatter_states(
    module: nn.Module, optimizer: torch.optim.Optimizer, weights: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Load this process's shards from the complete weights and optimizer state."""
    from torch.distributed.checkpoint import state_dict as dcp

    options = dcp.StateDictOptions(full_state_dict=True)
    dcp.set_model_state_dict(module, {**weights}, options=options)
    dcp.set_optimizer_state_dict(module, optimizer, state, options=options)
