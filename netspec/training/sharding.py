"""Weights cut into shards, one for each process (PyTorch's FSDP2), and put together again for files."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netspec.training.distributed import Processes


def spread(module: nn.Module, processes: Processes, *, shard: bool) -> nn.Module:
    """The module as all processes train it: a copy in each, or with `shard` a part of each weight."""
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


def sharded(module: nn.Module) -> bool:
    """Whether the weights of a module are cut into shards."""
    if not dist.is_available() or not dist.is_initialized():
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(module, FSDPModule)


def full_states(
    module: nn.Module, optimizer: torch.optim.Optimizer | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and optimizer state put together on the CPU; all processes call it, the first gets them."""
    from torch.distributed.checkpoint import state_dict as dcp

    options = dcp.StateDictOptions(full_state_dict=True, cpu_offload=True)
    found = dcp.get_model_state_dict(module, options=options)
    weights = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    state = {} if optimizer is None else dcp.get_optimizer_state_dict(module, optimizer, options=options)
    return weights, dict(state)


def set_full_states(
    module: nn.Module, optimizer: torch.optim.Optimizer, weights: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Cut whole weights and optimizer state into this process's shards."""
    from torch.distributed.checkpoint import state_dict as dcp

    options = dcp.StateDictOptions(full_state_dict=True)
    dcp.set_model_state_dict(module, {**weights}, options=options)
    dcp.set_optimizer_state_dict(module, optimizer, state, options=options)
