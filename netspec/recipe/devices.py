"""The kinds of device that networks run on."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.registry import Registry


@dataclass(frozen=True)
class Device:
    """A kind of device. `torch` is the dotted name of a function that returns whether one is available."""

    name: str
    doc: str
    torch: str


DEVICES: Registry[Device] = Registry("device")
"""The kinds of device in order of preference. `auto` chooses the first available one."""
for _device in (
    Device("cuda", "An NVIDIA or AMD GPU; cuda:1 is the second GPU.", "torch.cuda.is_available"),
    Device("mps", "The GPU of a Mac.", "torch.backends.mps.is_available"),
    Device("cpu", "The CPU.", "torch.cpu.is_available"),
):
    DEVICES.add(_device.name, _device)
