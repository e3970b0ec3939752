"""Operations of torch, as they are traced, as nodes of ONNX."""

import operator
from typing import NamedTuple

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

# The numbers that types of elements have in ONNX.
FLOAT, INT64, DOUBLE = 1, 7, 11
ELEMENT_TYPES = {"float32": FLOAT, "int64": INT64, "float64": DOUBLE}


class Node(NamedTuple):
    """One operation of a graph."""

    kind: str
    inputs: list
    output: str
    attributes: dict


class Graph:
    """Nodes in their order, and constant arrays by name."""

    def __init__(self):
        self.nodes, self.arrays = [], {}

    def constant(self, value, like="number"):
        """Return the name of a constant."""
        name = f"{like}_{len(self.arrays)}"
        self.arrays[name] = np.array(value)
        return name

    def add(self, kind, *inputs, **attributes):
        """Return the name of what an operation makes of named inputs."""
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(Node(kind, [*inputs], output, attributes))
        return output


def translate(part, graph, source):
    """Add what a part of a network does to a graph; return the name of the result.

    Parameters
    ----------
    part : nn.Module
        In evaluation mode.
    graph : Graph
        Gets the nodes.
    source : str
        Name of the input.

    Raises
    ------
    ValueError
        If there is an operation without a counterpart.
    """
    try:
        traced = fx.Tracer().trace(part)  # as far as layers of torch itself
    except Exception as error:  # as whatever a user's network does with a proxy raises
        raise ValueError(
            f"to_onnx cannot follow the network ({type(error).__name__}: {error})"
        ) from error
    values = {}
    with torch.no_grad():
        for node in traced.nodes:
            if node.op == "placeholder":
                values[node] = source
            elif node.op == "output":
                return values[node.args[0]]
            elif node.op == "get_attr":
                values[node] = graph.constant(_array(_attribute(part, node.target)))
            else:
                values[node] = _translated(part, node, graph, values)
    raise ValueError("to_onnx found a network without a result")


def _attribute(part, path):
    for name in path.split("."):
        part = getattr(part, name)
    return part


def _array(tensor):
    return tensor.detach().cpu().numpy()


def _translated(part, node, graph, values):
    """Return the name of what a node of the trace is in the graph."""

    def named(value):
        return values[value] if isinstance(value, fx.Node) else value

    args = fx.map_arg(node.args, named)
    options = fx.map_arg(node.kwargs, named)
    if node.op == "call_module":
        layer = part.get_submodule(node.target)
        if type(layer) in LAYERS:
            return LAYERS[type(layer)](graph, layer, *args)
        what = type(layer).__name__
    else:
        function = CALLS.get(node.target)
        if function is not None:
            return function(graph, *args, **options)
        what = getattr(node.target, "__name__", node.target)
    raise ValueError(f"to_onnx has no counterpart of {what} in the network")


# -- layers of torch -------------------------------------------------------------------


def _linear(graph, layer, X):
    bias = [] if layer.bias is None else [graph.constant(_array(layer.bias), "bias")]
    weight = graph.constant(_array(layer.weight), "weight")
    return graph.add("Gemm", X, weight, *bias, transB=1)


def _batch_norm(graph, layer, X):
    arrays = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    names = [graph.constant(_array(a), "norm") for a in arrays]
    return graph.add("BatchNormalization", X, *names, epsilon=layer.eps)


def _layer_norm(graph, layer, X):
    names = [graph.constant(_array(a), "norm") for a in (layer.weight, layer.bias)]
    return graph.add("LayerNormalization", X, *names, axis=-1, epsilon=layer.eps)


def _silu(graph, layer, X):
    return graph.add("Mul", X, graph.add("Sigmoid", X))


def _plain(kind, **attributes):
    return lambda graph, layer, X: graph.add(kind, X, **attributes)


LAYERS = {
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.ELU: lambda graph, layer, X: graph.add("Elu", X, alpha=layer.alpha),
    nn.GELU: _plain("Gelu"),
    nn.LeakyReLU: lambda graph, layer, X: graph.add(
        "LeakyRelu", X, alpha=layer.negative_slope
    ),
    nn.ReLU: _plain("Relu"),
    nn.Sigmoid: _plain("Sigmoid"),
    nn.SiLU: _silu,
    nn.Softplus: _plain("Softplus"),
    nn.Tanh: _plain("Tanh"),
    nn.Flatten: _plain("Flatten"),
    nn.Identity: lambda graph, layer, X: X,
}


# -- functions and methods -------------------------------------------------------------


def _operand(graph, value):
    """Return the name of an operand; a number is one of float32."""
    if isinstance(value, str):
        return value
    return graph.constant(np.float32(value))


def _binary(kind):
    return lambda graph, a, b: graph.add(kind, _operand(graph, a), _operand(graph, b))


def _unary(kind):
    return lambda graph, X: graph.add(kind, X)


def _cast(graph, X, dtype):
    return graph.add("Cast", X, to=ELEMENT_TYPES[str(dtype).removeprefix("torch.")])


def _reshape(graph, X, *shape):
    return graph.add("Reshape", X, graph.constant(np.array(shape, np.int64), "shape"))


def _flatten(graph, X, start_dim=0):
    return graph.add("Flatten", X, axis=start_dim)


def _slice(graph, X, parts):
    """Return the part of a tensor that slices take."""
    axes = [i for i, part in enumerate(parts) if part != slice(None)]
    if not axes:
        return X
    starts = [parts[i].start or 0 for i in axes]
    stops = [parts[i].stop for i in axes]
    names = [
        graph.constant(np.array(v, np.int64), "slice") for v in (starts, stops, axes)
    ]
    return graph.add("Slice", X, *names)


def _convolution(graph, X, weight, bias=None, stride=1, padding=0):
    inputs = [X, weight] if bias is None else [X, weight, bias]
    return graph.add("Conv", *inputs, strides=[stride] * 2, pads=[padding] * 4)


def _transposed(graph, X, weight, bias=None, stride=1, padding=0):
    inputs = [X, weight] if bias is None else [X, weight, bias]
    return graph.add("ConvTranspose", *inputs, strides=[stride] * 2, pads=[padding] * 4)


def _pixel_shuffle(graph, X, factor):
    return graph.add("DepthToSpace", X, blocksize=factor, mode="CRD")


def _concatenated(graph, tensors, dim=0):
    return graph.add("Concat", *tensors, axis=dim)


CALLS = {
    operator.add: _binary("Add"),
    operator.sub: _binary("Sub"),
    operator.mul: _binary("Mul"),
    operator.truediv: _binary("Div"),
    operator.getitem: _slice,
    torch.where: lambda graph, is_so, a, b: graph.add("Where", is_so, a, b),
    torch.isnan: _unary("IsNaN"),
    torch.cat: _concatenated,
    functional.conv2d: _convolution,
    functional.conv_transpose2d: _transposed,
    functional.pixel_shuffle: _pixel_shuffle,
    "relu": _unary("Relu"),
    "sigmoid": _unary("Sigmoid"),
    "exp": _unary("Exp"),
    "sin": _unary("Sin"),
    "cos": _unary("Cos"),
    "to": _cast,
    "reshape": _reshape,
    "flatten": _flatten,
    "contiguous": lambda graph, X, memory_format=None: X,
}
