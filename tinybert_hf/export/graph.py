"""Writes an ONNX graph node by node: standard operators, weights in fp32 or int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybert_hf.opening import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Array = NDArray[np.generic]

OPSET, IR_VERSION = 20, 9  # the first opset with Gelu; onnxruntime loads it since 1.17
MICROSOFT = "com.microsoft"
_SMALL = 64  # numbers
# One bit less than int8 has: without VNNI, a processor adds two products of 8 bits in 16, which would overflow.
LARGEST_WEIGHT = 63
LARGEST_IN_TABLE = 127  # tables are read, not multiplied


class GraphBuilder:
    """Nodes and weights of a graph that is being written.

    Attributes:
        int8: whether linear maps and tables are kept in int8.
    """

    def __init__(self, *, int8: bool = False) -> None:
        """Begin an empty graph."""
        require("onnx", "onnx")
        self.int8 = int8
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._known: dict[tuple[Any, ...], str] = {}
        self._tables: dict[tuple[Any, ...], tuple[str, str]] = {}
        self._count = 0

    def node(self, operator: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node.

        Returns:
            The name of its output; a list of names where there are several.
        """
        from onnx import helper

        names = [self._name(operator) for _ in range(outputs)]
        # onnxruntime's own messages name the node.
        self._nodes.append(helper.make_node(operator, inputs, names, name=names[0], domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values: Any) -> str:
        """Add numbers; small ones that are there already are not written twice."""
        import numpy as np
        from onnx import numpy_helper

        array = np.ascontiguousarray(values).reshape(np.shape(values))  # a number stays a number
        key = (array.tobytes(), array.shape, array.dtype.str) if array.size <= _SMALL else (object(),)
        if key not in self._known:
            name = self._known[key] = self._name("constant")
            self._weights.append(numpy_helper.from_array(array, name))
        return self._known[key]

    def numbers(self, *values: int) -> str:
        """Add a list of whole numbers: axes, shapes, places."""
        import numpy as np

        return self.constant(np.array(values, np.int64))

    def weight(self, tensor: Tensor) -> str:
        """Add a weight as it is, in fp32."""
        return self.constant(array_of(tensor))

    def linear(self, states: str, weight: Tensor, bias: Tensor | None) -> str:
        """x Wᵀ + b; in int8 where the graph is.

        Args:
            states: name of x.
            weight: W (Q, P).
            bias: b (Q,).
        """
        if not self.int8:
            return self.exact_linear(states, weight, bias)
        rounded, scales = rounded_rows(weight, LARGEST_WEIGHT)
        return self._int8_product(states, self.constant(rounded.T), self.constant(scales), bias)

    def exact_linear(self, states: str, weight: Tensor, bias: Tensor | None) -> str:
        """x Wᵀ + b in fp32, whatever the graph is."""
        product = self.node("MatMul", states, self.weight(weight.T))
        return product if bias is None else self.node("Add", product, self.weight(bias))

    def linear_of_table(self, states: str, table: Tensor, bias: Tensor | None) -> str:
        """x Wᵀ + b with a table whose rows are read too, so that it is kept once; arguments as for `linear`."""
        # onnxruntime turns it when it opens the file.
        turned = self.node("Transpose", self._table(table, LARGEST_WEIGHT)[0], perm=[1, 0])
        if self.int8:
            return self._int8_product(states, turned, self._table(table, LARGEST_WEIGHT)[1], bias)
        product = self.node("MatMul", states, turned)
        return product if bias is None else self.node("Add", product, self.weight(bias))

    def _int8_product(self, states: str, rounded: str, scales: str, bias: Tensor | None) -> str:
        further = () if bias is None else ("", self.weight(bias))
        return str(self.node("DynamicQuantizeMatMul", states, rounded, scales, *further, domain=MICROSOFT))

    def rows(self, table: Tensor, places: str, *, multiplied: bool = False) -> str:
        """Rows of a table; kept in int8 with a scale for each row where the graph is in int8.

        Args:
            table: (V, H).
            places: name of the ids.
            multiplied: the table also stands in a `linear_of_table`.
        """
        from onnx import TensorProto

        values, scales = self._table(table, LARGEST_WEIGHT if multiplied else LARGEST_IN_TABLE)
        found = self.node("Gather", values, places)
        if not self.int8:
            return str(found)
        scale = self.node("Unsqueeze", self.node("Gather", scales, places), self.numbers(-1))
        return str(self.node("Mul", self.node("Cast", found, to=TensorProto.FLOAT), scale))

    def _table(self, table: Tensor, largest: int) -> tuple[str, str]:
        """Names of a table's values and, in int8, of its scales; written once."""
        key = (table.data_ptr(), tuple(table.shape), largest if self.int8 else 0)
        if key not in self._tables:
            if self.int8:
                rounded, scales = rounded_rows(table, largest)
                self._tables[key] = self.constant(rounded), self.constant(scales)
            else:
                self._tables[key] = self.weight(table), ""
        return self._tables[key]

    def norm(self, states: str, norm: nn.LayerNorm) -> str:
        """Layer normalisation of the last dimension."""
        names = (self.weight(norm.weight), self.weight(norm.bias))
        return str(self.node("LayerNormalization", states, *names, axis=-1, epsilon=float(norm.eps)))

    def finish(self, inputs: dict[str, tuple[str, list[Any]]], outputs: dict[str, tuple[str, str, list[Any]]]) -> Any:
        """The model.

        Args:
            inputs: name -> type and shape; a name in the shape is a dimension of any size.
            outputs: name -> name of the value, type and shape.

        Returns:
            An `onnx.ModelProto`.
        """
        from onnx import TensorProto, helper

        for name, (value, *_) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [name], name=f"give_{name}"))
        graph = helper.make_graph(
            self._nodes,
            "tinybert_hf",
            [helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), shape)
             for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), shape)
             for name, (_, kind, shape) in outputs.items()],
            self._weights,
        )  # fmt: skip
        sets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == MICROSOFT for node in self._nodes):
            sets.append(helper.make_opsetid(MICROSOFT, 1))
        return helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION, producer_name="tinybert_hf")

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def array_of(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor as fp32 numbers in main memory."""
    return tensor.detach().float().cpu().numpy()


def rounded_rows(weight: Tensor, largest: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Each row as whole numbers from -largest to largest, and the scale that gives it back.

    Args:
        weight: (Q, P).
        largest: at most 127.

    Returns:
        Whole numbers (Q, P) and scales (Q,).
    """
    import numpy as np

    values = array_of(weight)
    scales = np.maximum(np.abs(values).max(axis=1) / np.float32(largest), np.finfo(np.float32).tiny)
    return np.rint(values / scales[:, np.newaxis]).astype(np.int8), scales.astype(np.float32)
