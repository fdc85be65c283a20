"""Products of tensors: matrix products, attention, Einstein sums, and convolutions with computed weights."""

from __future__ import annotations

from math import prod
from typing import Annotated

from pydantic import Field

from netspec.ops.arguments import Pads, Positive, Sizes, like, require_spatial
from netspec.ops.axes import free
from netspec.ops.base import single
from netspec.ops.merge import Merge
from netspec.ops.window import windows
from netspec.shape import Cost, Shape, require, slide


class MatMul(Merge, keyword="matmul"):
    """The matrix product over the last two axes; other axes are broadcast."""

    example = "12x197x64; matmul { identity; permute([0, 2, 1]) } -> 12x197x197"

    def infer(self, x: Shape, other: Shape) -> Shape:
        fact = f"{x} and {other} cannot be multiplied as matrices"
        require(len(x) == len(other) >= 2, f"{fact}: both need the same number of axes, at least 2")
        require(x[-1] == other[-2], f"{fact}: the first has {x[-1]} columns, but the second {other[-2]} rows")
        pairs = list(zip(x[:-2], other[:-2], strict=True))
        require(all(a == b or 1 in (a, b) for a, b in pairs), f"{fact}: their leading axes differ")
        return free((*map(max, pairs), x[-2], other[-1]))

    def cost(self, x: Shape, other: Shape, *, y: Shape) -> Cost:
        return Cost(macs=y.numbers * x[-1])

    def torch_expr(self, *xs: str) -> str:
        return f"torch.matmul({', '.join(xs)})"


class DotProductAttention(Merge, keyword="dot_product_attention"):
    """softmax(q k^T / sqrt(size)) v, for queries, keys and values (Vaswani et al., 2017, section 3.2.1).

    Each input is heads x tokens x features. A fourth input is added to the products before the softmax.
    """

    example = "12x197x64; dot_product_attention { identity; identity; identity } -> 12x197x64"

    scale: float | None = None
    """Factor of the products; 1 / sqrt(size of a query) if omitted."""
    causal: bool = False
    """Whether each token attends only to itself and earlier tokens."""

    positional = 0

    def infer(self, *xs: Shape) -> Shape:
        require(
            len(xs) in (3, 4), f"dot_product_attention takes queries, keys and values, not {len(xs)} inputs"
        )
        q, k, v = xs[:3]
        fact = f"queries of shape {q}, keys of shape {k} and values of shape {v} do not match"
        heads = all(b in (a, 1) for a, b in zip(q[:-2], k[:-2], strict=False)) and k[:-2] == v[:-2]
        require(len(q) == len(k) == len(v) >= 2 and heads, fact)
        require(q[-1] == k[-1] and k[-2] == v[-2], fact)
        both = "attention with `causal=true` does not take a mask"
        require(not self.causal or len(xs) == 3, both, "bad-argument")
        if len(xs) == 4:
            scores = (*q[:-1], k[-2])
            same = len(xs[3]) == len(q) and all(a in (1, b) for a, b in zip(xs[3], scores, strict=True))
            products = f"products of shape {'x'.join(map(str, scores))}"
            require(same, f"a mask of shape {xs[3]} does not match {products}")
        return free((*q[:-1], v[-1]))

    def cost(self, q: Shape, k: Shape, v: Shape, *mask: Shape, y: Shape) -> Cost:
        products = prod(q[:-1]) * k[-2]
        return Cost(macs=products * (q[-1] + v[-1]), exponentials=products, divisions=products)

    def torch_expr(self, *xs: str) -> str:
        options = [f"attn_mask={x}" for x in xs[3:]]
        options += ["is_causal=True"] if self.causal else []
        options += [f"scale={self.scale}"] if self.scale is not None else []
        return f"nn.functional.scaled_dot_product_attention({', '.join([*xs[:3], *options])})"


class Einsum(Merge, keyword="einsum"):
    """Products of tensors, summed over axes, in Einstein's notation; each term begins with the batch.

    The MACs are the product of all sizes.
    """

    example = '4x16x8; einsum(equation="bhnd,bhmd->bhnm") { identity; identity } -> 4x16x16'

    equation: Annotated[str, Field(pattern=r"^[a-zA-Z]+(,[a-zA-Z]+)*->[a-zA-Z]+$", max_length=100)]
    """The axes of each input and of the output, one letter each, such as `bhnd,bhmd->bhnm`."""

    def infer(self, *xs: Shape) -> Shape:
        terms, _, result = self.equation.partition("->")
        given = terms.split(",")
        require(len(given) == len(xs), f"{self.equation} has {len(given)} terms, but {len(xs)} inputs")

        sizes = self.sizes(*xs)
        unknown = f"the result of {self.equation} has a letter that no input has"
        require(set(result[1:]) <= sizes.keys(), unknown)
        return free(sizes[letter] for letter in result[1:])

    def sizes(self, *xs: Shape) -> dict[str, int]:
        """Return the size of each letter; raises `ShapeError` if two of them differ."""
        sizes: dict[str, int] = {}
        for term, x in zip(self.equation.partition("->")[0].split(","), xs, strict=True):
            letters = term[1:] if len(term) == len(x) + 1 else term
            count = f"the term {term} needs a letter for the batch and for each axis of {x}"
            require(len(letters) == len(x), count)
            for letter, size in zip(letters, x, strict=True):
                known = sizes.setdefault(letter, size)
                require(known == size, f"{letter} in {self.equation} is both {known} and {size}")
        return sizes

    def cost(self, *xs: Shape, y: Shape) -> Cost:
        return Cost(macs=prod(self.sizes(*xs).values()))

    def torch_expr(self, *xs: str) -> str:
        return f'torch.einsum("{self.equation}", {", ".join(xs)})'


class Convolve(Merge, keyword="convolve"):
    """A convolution whose weight is the second input, a raw tensor that the network computes.


    Its shape is output channels x input channels of a group x the kernel; a third input is the bias.
    """

    example = "3x32x32; weight: param(8x3x3x3); convolve(x, weight) -> 8x30x30"

    stride: Sizes = (1, 1)
    """Step of the window; one number, or one for each axis as in `2x1`."""
    padding: Pads = (0, 0)
    """Zeros added on each side of the image."""
    dilation: Sizes = (1, 1)
    groups: Positive = 1

    positional = 0

    def infer(self, *xs: Shape) -> Shape:
        require(
            len(xs) in (2, 3), f"convolve takes an image, a weight and an optional bias, not {len(xs)} inputs"
        )
        x, weight = xs[:2]
        require_spatial(x, "convolve")
        fits = (
            len(weight) == len(x) + 1
            and weight[1] * self.groups == x.channels
            and weight[0] % self.groups == 0
        )
        groups = f" with groups={self.groups}" if self.groups > 1 else ""
        require(fits, f"a weight of shape {weight} does not match an input of shape {x}{groups}")
        axes = windows(x, tuple(weight[2:]), self.stride, self.padding, self.dilation)
        return like(x, weight[0], slide(axes, "kernel"))

    def cost(self, *xs: Shape, y: Shape) -> Cost:
        return Cost(macs=y.numbers * prod(xs[1][1:]))

    def torch_expr(self, *xs: str) -> str:
        given = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        options = [f"{k}={single(v)}" for k, v in given.items() if single(v) != (0 if k == "padding" else 1)]
        options += [f"groups={self.groups}"] if self.groups != 1 else []
        return f"convolve({', '.join([*xs, *options])})"
