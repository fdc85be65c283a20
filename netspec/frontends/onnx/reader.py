"""Converts the nodes in an ONNX graph to the steps of a trace."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from onnx import numpy_helper
from pydantic import ValidationError

from netspec.errors import ConvertError
from netspec.frontends.layout import BARE, Layout
from netspec.frontends.onnx.model import Array, Call, Model, as_call, fold, opened
from netspec.frontends.onnx.names import classes, groups, input_name, lifted, module_path
from netspec.frontends.trace import Step, Trace
from netspec.language.parser.grammar import words
from netspec.ops import OPS, Input
from netspec.registry import Registry
from netspec.shape import Indices, Shape, ShapeError

WEIGHT = re.compile(r"[A-Za-z_]\w*(\.\w+)*\.(weight|bias|running_mean|running_var)")
"""The name of a weight in a state_dict."""
Row: TypeAlias = "Callable[[Reader, Call], int | Sequence[int]]"
ROWS: Registry[Row] = Registry("ONNX operator")
"""The functions that convert ONNX operators to netspec ops. They return the value of each output."""

BAD_NODE = (ArithmeticError, AttributeError, LookupError, RuntimeError, StopIteration, TypeError, ValueError)
"""The exceptions that these functions raise for a damaged node."""

onnx_operator = ROWS.adds
"""Registers a function that converts operators with these names."""


class Reader:
    """Reads a model node by node; `values` maps the names of its values to the indices of their steps."""

    def __init__(self, model: Model, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.model, self.shapes = model, shapes
        self.constants = dict(model.constants)
        self.values: dict[str, int] = {}
        self.layouts: dict[str, Layout] = {}
        self.steps: list[Step] = []
        self.weights: dict[str, Array] = {}
        """The weights of the converted network, by their names in its state_dict."""
        self.users = Counter(name for call in model.calls for name in call.inputs)
        self.users.update(model.outputs)
        self.raw: dict[tuple[str, tuple[int, ...]], int] = {}
        self.names: Counter[str] = Counter()
        self.owners: dict[str, int] = {}
        self.shared: dict[tuple[str, tuple[str, ...], str], int] = {}
        """The step of each layer with weights, by its op, its constants and its arguments."""
        self.node: Call = model.calls[0]
        self.weighted = {n.rpartition(".")[0] for n in model.constants if WEIGHT.fullmatch(n)}
        paths = Counter(module_path(c.name) for c in model.calls if c.kind not in ("Constant", "Shape"))
        self.groups = groups([*paths, *self.weighted])
        self.groups |= {path for path, count in paths.items() if count > 1} - self.weighted

    def read(self) -> Trace:
        """Read the whole graph.

        Raises:
            ConvertError: netspec does not support an operator or its arguments.
        """
        for name, declared in self.model.inputs.items():
            shape = self.input_shape(name, declared)
            made = Input.model_validate({"shape": shape, "dtype": self.model.types[name]})
            given = {} if made.dtype == "float32" else {"dtype": made.dtype}
            self.values[name] = self.append(Step("input", given, (), made.infer(), "", input_name(name)))
            self.layouts[name] = Layout()
        lacking = sorted({c.kind for c in self.model.calls if c.kind not in ROWS and not self.folds(c)})
        if lacking:
            kinds = ", ".join(lacking)
            raise ConvertError(f"{self.model.name} uses operators without a counterpart in netspec: {kinds}")
        for call in self.model.calls:
            self.node = call
            self.call(call)
        outputs = tuple(self.value(name) for name in self.model.outputs)
        steps = lifted(self.steps)
        return Trace(self.model.name, tuple(steps), outputs, classes(steps))

    def folds(self, call: Call) -> bool:
        """Return True if the output of a node may be a constant."""
        return call.kind in ("If", "Constant", "ConstantOfShape", "Shape", "Size", "Range") or not any(
            name in self.model.inputs for name in call.inputs
        )

    def input_shape(self, name: str, declared: tuple[int | None, ...]) -> Shape:
        """Return an input's shape without the batch: the shape that the user gave, or the declared one."""
        given = self.shapes.get(name, self.shapes.get("") if len(self.model.inputs) == 1 else None)
        if given is not None:
            return Shape(given)
        known = [n for n in declared[1:] if n is not None]
        if len(known) != len(declared) - 1 or not known:
            sizes = "x".join("?" if n is None else str(n) for n in declared[1:]) or "no sizes"
            raise ConvertError(f"the input {name} has the shape {sizes}: give its sizes with `input`")
        return Shape(known)

    def call(self, call: Call) -> None:
        """Read one node."""
        given = [name for name in call.inputs if name]
        if call.kind in ("Shape", "Size") and given[0] in self.values:
            shape = np.array(self.actual(given[0]), np.int64)
            whole = slice(call.get("start", 0), call.get("end"))
            self.constants[call.outputs[0]] = shape[whole] if call.kind == "Shape" else shape.prod()
            return
        if call.kind == "If" and given[0] in self.constants and self.constants[given[0]].size == 1:
            self.branch(call, bool(self.constants[given[0]]))
            return
        if all(name in self.constants for name in given):
            arrays = [self.constants[name] for name in given]
            if call.kind == "Expand" and self.model.batch:
                arrays[0] = opened(arrays[0], arrays[1], self.model.batch)
            found = fold(call, arrays, self.model.opset)
            self.constants.update(zip([o for o in call.outputs if o], found, strict=False))
            return
        row = ROWS.find(call.kind)
        if row is None:
            raise ConvertError(f"{call.place}: this operator has no counterpart in netspec")
        if any(self.layout(n).rows for n in given) and call.kind not in BY_ROWS:
            raise ConvertError(
                f"{call.place}: not supported while tokens and batch are merged into one axis in this order"
            )
        for name in call.outputs:
            self.layouts[name] = self.arriving(call)
        try:
            value = row(self, call)
        except BAD_NODE as error:
            raise ConvertError(f"{call.place} with these arguments is not supported") from error
        outputs = [value] if isinstance(value, int) else value
        self.values.update(zip(call.outputs, outputs, strict=False))

    def branch(self, call: Call, condition: bool) -> None:
        """Read the branch of an `If` that a constant condition selects."""
        graph = call.attributes["then_branch" if condition else "else_branch"]
        self.constants.update({i.name: numpy_helper.to_array(i) for i in graph.initializer})
        for node in graph.node:
            self.node = as_call(node)
            self.call(self.node)
        for inner, outer in zip(graph.output, call.outputs, strict=True):
            if inner.name in self.constants:
                self.constants[outer] = self.constants[inner.name]
            else:
                self.values[outer] = self.value(inner.name)
                self.layouts[outer] = self.layout(inner.name)

    def arriving(self, call: Call) -> Layout:
        """Return the layout of the first input of a node that has a batch."""
        known = [self.layouts[n] for n in call.inputs if n in self.layouts]
        return next((layout for layout in known if layout.at >= 0), known[0] if known else BARE)

    # Helpers for the functions that read operators

    def add(
        self,
        op: str,
        inputs: int | Sequence[int],
        weights: Mapping[str, Array] | None = None,
        /,
        **given: object,
    ) -> int:
        """Append a step and return its index; `weights` are the arrays of its tensors by name."""
        ids = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        try:
            made = OPS[op].model_validate(given)
            shape: Shape = made.output(*(self.steps[i].shape for i in ids))
        except (ShapeError, ValidationError) as error:
            text = str(error).splitlines()[0]
            raise ConvertError(f"{self.node.place}: {op} cannot be written: {text}") from None
        shared = (op, tuple(n for n in self.node.inputs if n in self.constants), repr(given))
        if weights is not None and shared in self.shared and self.node.kind in SHARED:
            first, (module, name) = self.shared[shared], self.place(op)
            where = (module, name) if module == self.steps[first].module else ("", "")
            return self.append(Step(op, given, ids, shape, *where, shares=first))
        if weights is not None:
            self.shared[shared] = len(self.steps)
            module, name = self.owner(op)
            for tensor, array in weights.items():
                key = ".".join(filter(None, (module, name, tensor)))
                self.weights[key] = np.ascontiguousarray(array)
        else:
            module, name = self.place(op)
        return self.append(Step(op, given, ids, shape, module, name))

    def place(self, op: str) -> tuple[str, str]:
        """Return the module and name of a layer without weights; a name that repeats the op becomes empty."""
        path = module_path(self.node.name)
        if path in self.groups:
            return path, ""
        module, _, name = path.rpartition(".")
        used = self.names[path] > 0 or path in self.weighted or path in self.owners
        self.names[path] += 1
        return module, "" if used or re.fullmatch(rf"{op}_?\d*", name) else name

    def owner(self, op: str) -> tuple[str, str]:
        """Return the module and name of a layer with weights, if possible from the names of the weights."""
        found = (n.rpartition(".")[0] for n in self.node.inputs if WEIGHT.fullmatch(n))
        path = next((p for p in found if p in self.weighted), module_path(self.node.name))
        parts = [part for part in path.split(".") if part]
        if path in self.groups:
            parts.append("")
        if not parts or path in self.groups or path in self.owners or set(parts) & set(words()):
            count = 1
            while ".".join([*parts[:-1], f"{op}{count}"]) in self.owners:
                count += 1
            parts = [*parts[:-1], f"{op}{count}"]
        self.owners[".".join(parts)] = len(self.steps)
        return ".".join(parts[:-1]), parts[-1]

    def append(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def value(self, name: str, rank: int | None = None) -> int:
        """Return the step of a value; a constant becomes a raw tensor that is combined with `rank` axes."""
        if name in self.values:
            return self.values[name]
        if name in self.constants:
            array = self.constants[name]
            return self.tensor(name, array, array.ndim + 1 if rank is None else rank)
        raise ConvertError(f"{self.node.place}: {name} is not a value in the graph")

    def tensor(self, name: str, array: Array, rank: int, layout: Layout = Layout()) -> int:  # noqa: B008
        """Return the raw tensor of a constant that is combined with values of `rank` axes."""
        at = max(layout.at, 0)
        sizes = (1,) * (rank - array.ndim) + array.shape
        if len(sizes) != rank or sizes[at] != 1:
            raise ConvertError(f"{self.node.place}: a constant of shape {array.shape} varies over the batch")
        shape = (*[1] * layout.folded, *sizes[:at], *sizes[at + 1 :]) or (1,)
        key = (name, shape)
        if key not in self.raw:
            dtype = {"f": "float32", "b": "bool"}.get(array.dtype.kind, "int64")
            kind = "param" if dtype == "float32" and name in self.model.learned else "buffer"
            label = self.tensor_label(name)
            given: dict[str, object] = {"shape": shape, "batch": False}
            given |= {"dtype": dtype} if dtype != "float32" else {}
            module, _, last = label.rpartition(".")
            made = Indices(shape) if dtype == "int64" else Shape(shape)
            self.raw[key] = self.append(Step(kind, given, (), made, module, last))
            self.weights[label] = np.ascontiguousarray(array.reshape(shape))
        return self.raw[key]

    def tensor_label(self, name: str) -> str:
        """Return the name of a raw tensor in the state_dict: its ONNX name if that is valid and free."""
        plain_name = re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", name) is not None
        parent = name.rpartition(".")[0]
        layer = bool(parent) and (parent in self.owners or self.names[parent] > 0)
        label = name if plain_name and not layer and not set(name.split(".")) & set(words()) else "constant"
        count, found = 1, label if label != "constant" else "constant1"
        while found in self.weights or found in self.owners:
            count += 1
            found = f"{label}{count}"
        return found

    def constant(self, name: str) -> Array:
        """Return a constant; raises ConvertError if the value is not a constant."""
        if name not in self.constants:
            raise ConvertError(f"{self.node.place}: {name} is not a constant, which netspec requires here")
        return self.constants[name]

    def given(self, call: Call, place: int, attribute: str) -> list[Any] | None:
        """Return integers or floats that are an input in newer opsets and an attribute in older ones."""
        if place < len(call.inputs) and call.inputs[place]:
            return [x.item() for x in self.constant(call.inputs[place]).reshape(-1)]
        found = call.get(attribute)
        return None if found is None else list(found) if isinstance(found, list | tuple) else [found]

    def shape(self, value: int) -> Shape:
        return self.steps[value].shape

    def layout(self, name: str) -> Layout:
        return self.layouts.get(name, BARE)

    def actual(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value in the model, including the batch."""
        return self.layout(name).actual(self.shape(self.values[name]))

    def rank(self, name: str) -> int:
        return len(self.actual(name)) if name in self.values else self.constants[name].ndim

    def axis(self, name: str, place: int) -> int:
        """Return the number of an axis, excluding the batch; raises ConvertError for the batch axis."""
        found = self.layout(name).axis(place, self.rank(name))
        if found is None:
            raise ConvertError(
                f"{self.node.place}: netspec does not support an operation along the batch axis"
            )
        return found

    def sole(self, name: str) -> bool:
        """Return True if a value is used exactly once."""
        return self.users[name] == 1


BY_ROWS = {"Reshape", "Gemm", "Relu", "Gelu", "Sigmoid", "Tanh", "Identity", "Dropout"}
"""The operators that process each row of a matrix independently."""
SHARED = {"Conv", "ConvTranspose", "Gemm", "BatchNormalization", "Gather", "LSTM", "GRU"}
"""The operators that become one layer with weights; nodes with the same weights share the layer."""
