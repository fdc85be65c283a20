"""Programs saved by torch.export."""

from __future__ import annotations

from pathlib import Path

import modules
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from netspec.cli import main
from netspec.convert import convert
from netspec.convert.proof import prove
from netspec.convert.saved import convert_program
from netspec.errors import ConvertError


def saved(module: nn.Module, path: Path, *inputs: torch.Tensor, dynamic: bool) -> Path:
    """Save a module as a program for one size of the batch, or for any."""
    sizes = [{0: torch.export.Dim("batch", min=2, max=1024)} for _ in inputs] if dynamic else None
    program = torch.export.export(module.eval(), inputs, dynamic_shapes=sizes, strict=False)
    torch.export.save(program, path)
    return path


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_program_gives_the_spec_of_its_module(dynamic, tmp_path):
    module = modules.Resnet()
    path = saved(module, tmp_path / "net.pt2", torch.rand(4, 3, 16, 16), dynamic=dynamic)
    conversion = convert_program(path)
    proof = prove(conversion)
    assert proof.holds
    assert proof.batch == (2 if dynamic else 4)
    other = convert(module, (3, 16, 16)).network.net
    assert [(n.name, n.shape) for n in conversion.network.net.nodes] == [
        (n.name, n.shape) for n in other.nodes
    ]


def test_sizes_that_depend_on_the_batch_are_computed_anew(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), modules.Flat(), nn.Linear(144, 5))
    path = saved(module, tmp_path / "net.pt2", torch.rand(4, 3, 8, 8), dynamic=True)
    assert prove(convert_program(path)).holds


def test_a_program_whose_batch_is_fixed_in_its_reshapings(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), modules.Flat(), nn.Linear(144, 5))
    path = saved(module, tmp_path / "net.pt2", torch.rand(4, 3, 8, 8), dynamic=False)
    with pytest.raises(ConvertError, match="export it with a dynamic batch"):
        convert_program(path)


@pytest.mark.parametrize("content", [None, b"", b"PK", bytes(range(256))])
def test_damaged_files_are_refused(content, tmp_path):
    path = tmp_path / "net.pt2"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(main, ["convert", str(path)])
    assert result.exit_code == 1
    assert "no such file" in result.output or "not a program saved by torch.export" in result.output


def test_options_that_a_program_does_not_take(tmp_path):
    result = CliRunner().invoke(main, ["convert", str(tmp_path / "net.pt2"), "--input", "3x8x8"])
    assert result.exit_code == 2
    assert "leave out --input" in result.output
