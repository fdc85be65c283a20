"""Ops of transformers and mobile networks: torch's and torchvision's own modules are the truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import convnext, maxvit
from torchvision.models import swin_transformer as swin
from torchvision.models.video import swin_transformer as video
from torchvision.ops import StochasticDepth

from netspec import Network
from netspec.checker import check_source
from netspec.diagnostics import Source


def compiled(text: str, shape: str) -> nn.Module:
    source = Source("test.net", f"network Net\ninput image: {shape}\n{text}\n")
    return Network(check_source(source, Path()).require()).module()


def codes(text: str, shape: str = "8x14x14") -> list[str]:
    source = Source("test.net", f"network Net\ninput image: {shape}\n{text}\n")
    return [d.code for d in check_source(source, Path()).diagnostics]


class Last(nn.Module):
    """A module of channels last, fed with channels first."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def window(shift: int) -> nn.Module:
    return Last(swin.ShiftedWindowAttention(24, [7, 7], [shift, shift], 4))


def cosine(shift: int) -> nn.Module:
    return Last(swin.ShiftedWindowAttentionV2(24, [7, 7], [shift, shift], 4))


SAME = [
    ("slice(2, 5)", "8x4x4", lambda x: x[:, 2:5]),
    ("channel_shuffle(4)", "8x4x4", nn.ChannelShuffle(4)),
    (
        "rescale(scale=[2, 0.5], shift=[1, -1])",
        "2x4x4",
        lambda x: torch.stack((x[:, 0] * 2 + 1, x[:, 1] * 0.5 - 1), 1),
    ),
    ("channels_last; channels_first", "8x4x4", lambda x: x),
    ("tokens; token(5)", "8x4x4", lambda x: x[:, :, 1, 1]),
    ("channels_last; merge_patches; channels_first", "8x5x6", Last(swin._patch_merging_pad)),
    ("partition(7); unpartition(7, 14, 21)", "8x14x21", lambda x: x),
    ("partition(7, grid=true); unpartition(7, 14, 14, grid=true)", "8x14x14", lambda x: x),
    ("add { identity; relu }; tokens; token(5)", "8x4x4", lambda x: (x + x.relu())[:, :, 1, 1]),
    ("mul { identity; relu }; slice(2, 4)", "8x4x4", lambda x: (x * x.relu())[:, 2:4]),
    ("layernorm", "8x4x4", convnext.LayerNorm2d(8)),
    (
        "channels_last; layernorm; linear(5); gelu; channels_first",
        "8x4x4",
        Last(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 5), nn.GELU())),
    ),
    *(
        (f"channels_last; {op}(4, window=7, shift={shift}); channels_first", shape, make(shift))
        for op, make in (("window_attention", window), ("cosine_window_attention", cosine))
        for shift in (0, 3)
        for shape in ("24x14x14", "24x10x15", "24x7x14", "24x5x5")
    ),
]


@pytest.mark.parametrize(("text", "shape", "theirs"), SAME, ids=lambda x: x if isinstance(x, str) else "")
def test_an_op_equals_its_torch_counterpart(text, shape, theirs):
    ours = compiled(text, shape)
    if isinstance(theirs, nn.Module):
        weights = [v for k, v in theirs.state_dict().items()]
        ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
    x = torch.randn(2, *map(int, shape.split("x")))
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("shift", [(0, 0, 0), (1, 2, 3)])
@pytest.mark.parametrize("shape", ["24x8x14x14", "24x5x9x15", "24x3x7x14", "24x2x3x4"])
def test_attention_in_windows_of_videos_equals_that_of_torchvision(shape, shift):
    sizes = "x".join(map(str, shift))
    body = f"video_window_attention(4, window=4x7x7, shift={sizes})"
    ours = compiled(f"permute([1, 2, 3, 0]); {body}; permute([3, 0, 1, 2])", shape)
    theirs = video.ShiftedWindowAttention3d(24, [4, 7, 7], list(shift), 4)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, *map(int, shape.split("x")))
    assert torch.equal(ours(x), theirs(x.permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3))


def test_attention_equals_that_of_torch():
    ours = compiled("tokens; attention(4)", "24x4x4")
    theirs = nn.MultiheadAttention(24, 4, batch_first=True)
    theirs.load_state_dict({k.partition(".")[2]: v for k, v in ours.state_dict().items()})
    x = torch.randn(2, 24, 4, 4)
    y = x.flatten(2).transpose(1, 2)
    assert torch.equal(ours(x), theirs(y, y, y, need_weights=False)[0])


def test_relative_attention_equals_that_of_maxvit():
    ours = compiled("partition(7); relative_attention(2); unpartition(7, 14, 14)", "64x14x14")
    theirs = maxvit.RelativePositionalMultiHeadAttention(64, 32, 49)
    theirs.load_state_dict({k.partition(".")[2]: v for k, v in ours.state_dict().items()})
    x = torch.randn(2, 64, 14, 14)
    windows = maxvit.WindowDepartition()(theirs(maxvit.WindowPartition()(x, 7)), 7, 2, 2)
    assert torch.equal(ours(x), windows)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_stochastic_depth_equals_that_of_torchvision(p):
    ours, theirs, x = (
        compiled(f"stochastic_depth({p})", "3x4x4"),
        StochasticDepth(p, "row"),
        torch.randn(16, 3, 4, 4),
    )
    outputs = []
    for module in (ours.train(), theirs.train()):
        torch.manual_seed(1)
        outputs.append(module(x))
    assert torch.equal(*outputs)
    assert torch.equal(ours.eval()(x), x)


def test_raw_tensors_are_concatenated_to_every_image():
    text = "tokens; concat { class_token: param(1x8, init=normal(1), batch=true); identity }"
    module = compiled(text, "8x2x2")
    x = torch.randn(3, 8, 2, 2)
    y = module(x)
    assert module.class_token.shape == (1, 1, 8)
    assert torch.equal(y[:, 0], module.class_token[0].expand(3, -1))
    assert torch.equal(y[:, 1:], x.flatten(2).transpose(1, 2))


REFUSED = [
    ("slice(2, 9)", "argument-range"),
    ("slice(2, 2)", "argument-range"),
    ("channel_shuffle(3)", "indivisible-groups"),
    ("rescale(scale=[1], shift=[1])", "argument-range"),
    ("channels_last; conv(4, 3)", "shape-mismatch"),
    ("channels_last; batchnorm", "shape-mismatch"),
    ("channels_last; concat { identity; identity }", "shape-mismatch"),
    ("a: channels_last; b: conv(14, 1) <- image; c: add(a, b)", "branches-disagree"),
    ("channels_first", "shape-mismatch"),
    ("merge_patches", "shape-mismatch"),
    ("tokens; token(196)", "argument-range"),
    ("token", "shape-mismatch"),
    ("attention(4)", "shape-mismatch"),
    ("tokens; attention(3)", "indivisible-heads"),
    ("window_attention(4)", "shape-mismatch"),
    ("channels_last; window_attention(3)", "indivisible-heads"),
    ("channels_last; window_attention(4, window=4, shift=4)", "argument-range"),
    ("partition(5)", "indivisible-windows"),
    ("partition(7); unpartition(7, 14, 21)", "shape-mismatch"),
    ("channels_last; relative_attention(4)", "argument-range"),
    ("stochastic_depth(1.5)", "argument-range"),
]


@pytest.mark.parametrize(("text", "code"), REFUSED)
def test_an_input_that_an_op_cannot_take_is_an_error(text, code):
    assert codes(text) == [code]
