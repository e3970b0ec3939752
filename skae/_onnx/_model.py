"""A graph as a model of ONNX, with a name for what goes in and out."""

from skae._onnx._parts import part_of
from skae._onnx._translate import DOUBLE, FLOAT, Graph, translate

# The version of ONNX's operations, and that of its files, that others can read.
OPSET, IR_VERSION = 20, 10


def onnx_model(estimator, which):
    """Return part of a fitted estimator as a `onnx.ModelProto`, see `to_onnx`."""
    onnx = import_onnx()
    graph, width = Graph(), estimator.n_features_in_
    source, target = "X", "X_reconstructed"
    if which == "decoder":
        source, width = "Z", estimator.n_components_
    n_outputs = estimator.n_features_in_
    if which == "encoder":
        target, n_outputs = "Z", estimator.n_components_
    add_part(estimator, which, graph, source, target)
    helper = onnx.helper
    nodes = [
        helper.make_node(node.kind, node.inputs, [node.output], **node.attributes)
        for node in graph.nodes
    ]
    arrays = [onnx.numpy_helper.from_array(a, name) for name, a in graph.arrays.items()]
    proto = helper.make_graph(
        nodes,
        f"{type(estimator).__name__}_{which}",
        [helper.make_tensor_value_info(source, FLOAT, ["n_samples", width])],
        [helper.make_tensor_value_info(target, FLOAT, ["n_samples", n_outputs])],
        arrays,
    )
    model = helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="skae",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def add_part(estimator, which, graph, source, target):
    """Add part of an estimator to a `Graph`, from one name to another, in float32."""
    part = part_of(estimator, which)
    if which != "decoder":  # scaled in float64, as in skae
        source = graph.add("Cast", source, to=DOUBLE)
    result = translate(part, graph, source)
    graph.add("Cast", result, to=FLOAT)
    graph.nodes[-1] = graph.nodes[-1]._replace(output=target)


def import_onnx():
    """Return the package, or raise ImportError with the way out."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise ImportError(
            'to_onnx needs onnx; install it with pip install "skae[onnx]"'
        ) from None
    return onnx
