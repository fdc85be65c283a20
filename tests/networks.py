"""Random networks, as texts of specs, for tests against torch."""

from __future__ import annotations

from hypothesis import strategies as st

ACTIVATIONS = [
    "relu",
    "relu6",
    "tanh",
    "sigmoid",
    "silu",
    "gelu",
    "hardswish",
    "leaky_relu(0.1)",
    "elu",
    "prelu",
    "dropout(0.3)",
]


@st.composite
def window(draw, dilated: bool = False) -> str:
    kernel = draw(st.sampled_from(["1", "2", "3", "5", "1x3", "3x1", "2x5"]))
    parts = [kernel]
    if draw(st.booleans()):
        parts.append(f"stride={draw(st.sampled_from(['1', '2', '3', '2x1']))}")
    if draw(st.booleans()):
        parts.append(f"padding={draw(st.sampled_from(['0', '1', '2', '0x1']))}")
    if dilated and draw(st.integers(0, 4)) == 0:
        parts.append("dilation=2")
    return ", ".join(parts)


@st.composite
def layer(draw) -> str:
    kind = draw(st.integers(0, 9))
    if kind < 4:
        rest = draw(window(dilated=True))
        channels = draw(st.sampled_from([4, 6, 8, 12]))
        groups = draw(st.sampled_from(["", ", groups=2", ", groups=3", ", bias=false"]))
        return f"conv({channels}, {rest}{groups})"
    if kind == 4:
        rest = draw(window())
        name = draw(st.sampled_from(["maxpool", "avgpool"]))
        return f"{name}({rest}{draw(st.sampled_from(['', ', ceil=true']))})"
    if kind == 5:
        return draw(
            st.sampled_from(
                ["batchnorm", "batchnorm(affine=false)", "lrn(3)", "groupnorm(2)", "dropout2d(0.1)"]
            )
        )
    if kind == 6:
        return draw(
            st.sampled_from(
                [
                    "upsample(2)",
                    "zeropad(1)",
                    "zeropad(1x2)",
                    "adaptive_avgpool(4)",
                    "adaptive_maxpool(3x2)",
                    "identity",
                ]
            )
        )
    if kind == 7:
        rest = draw(st.sampled_from(["2, stride=2", "3, padding=1", "3, stride=2, output_padding=1"]))
        return f"deconv({draw(st.sampled_from([4, 6]))}, {rest})"
    return draw(st.sampled_from(ACTIVATIONS))


@st.composite
def body(draw, depth: int) -> list[str]:
    statements = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 9)) if depth else 0
        if kind < 6:
            statements.append(draw(layer()))
        elif kind == 6:
            label = draw(st.sampled_from(["left", "right", "stem", "tail"]))
            inside = draw(body(depth=depth - 1))
            statements.append(f"{label}_{draw(st.integers(0, 10**6))}: {{ {'; '.join(inside)} }}")
        elif kind == 7:
            inside = [f"{{ {'; '.join(draw(body(depth=depth - 1)))} }}" for _ in range(2)]
            join = draw(st.sampled_from(["add", "concat", "mul"]))
            statements.append(f"{join} {{ {'; '.join(inside)}{draw(st.sampled_from(['; identity', '']))} }}")
        elif kind == 8:
            statements.append(f"Block({draw(st.sampled_from([4, 8]))})")
        else:
            statements.append(
                f"repeat {draw(st.integers(0, 3))} {{ {'; '.join(draw(body(depth=depth - 1)))} }}"
            )
    return statements


@st.composite
def network(draw) -> str:
    """A spec's text; many are faulty, as random networks are."""
    size = f"{draw(st.sampled_from([1, 3, 4, 6]))}x{draw(st.integers(5, 24))}x{draw(st.integers(5, 24))}"
    head = ["network Random(classes = 7)", f"input image: {size}"]
    block = draw(
        st.sampled_from(["conv(w, 3, padding=1); relu", "add { identity; conv(in.channels, 1) }; relu"])
    )
    lines = [*head, f"block Block(w) {{ {block} }}", *draw(body(depth=2))]
    if draw(st.booleans()):
        lines += draw(
            st.sampled_from(
                [["flatten", "fc: linear(classes)"], ["flatten", "linear(12); relu; linear(classes)"]]
            )
        )
    return "\n".join(lines) + "\n"
