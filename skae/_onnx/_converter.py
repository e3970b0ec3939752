"""Our transformers as steps of pipelines that skl2onnx converts."""

from skae._onnx._model import add_part
from skae._onnx._translate import ELEMENT_TYPES, Graph

# Versions of operations that are not those of opset 13.
VERSIONS = {
    "BatchNormalization": 15, "Elu": 6, "Gelu": 20, "LayerNormalization": 17,
    "LeakyRelu": 16, "Reshape": 19, "Softplus": 1, "Where": 16, "Conv": 11,
    "ConvTranspose": 11, "Sin": 7, "Cos": 7, "Add": 14, "Sub": 14, "Mul": 14,
    "Div": 14, "Relu": 14, "Cast": 19,
}  # fmt: skip


def register_converters(classes):
    """Tell skl2onnx how to convert some classes: by their encoders.

    Parameters
    ----------
    classes : sequence of type
        Transformers.
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError:
        raise ImportError(
            "pipelines are exported by skl2onnx; install it with "
            'pip install "skae[onnx]"'
        ) from None
    for cls in classes:
        update_registered_converter(cls, f"Skae{cls.__name__}", _shape, _convert)


def _shape(operator):
    """Set the type of the output: codes in float32."""
    from skl2onnx.common.data_types import FloatTensorType

    width = operator.raw_operator.n_components_
    operator.outputs[0].type = FloatTensorType([None, width])


def _convert(scope, operator, container):
    """Add the nodes of an encoder to a container, under names of their own."""
    graph = Graph()
    source, target = operator.inputs[0].full_name, operator.outputs[0].full_name
    add_part(operator.raw_operator, "encoder", graph, source, target)
    names = {source: source, target: target}
    for name, array in graph.arrays.items():
        names[name] = scope.get_unique_variable_name(f"skae_{name}")
        container.add_initializer(
            names[name],
            ELEMENT_TYPES[str(array.dtype)],
            array.shape,
            array.ravel().tolist(),
        )
    for node in graph.nodes:
        output = node.output
        if output not in names:
            names[output] = scope.get_unique_variable_name(f"skae_{output}")
        container.add_node(
            node.kind,
            [names[name] for name in node.inputs],
            [names[output]],
            op_version=VERSIONS.get(node.kind, 13),
            name=scope.get_unique_operator_name(f"skae_{node.kind}"),
            **node.attributes,
        )
