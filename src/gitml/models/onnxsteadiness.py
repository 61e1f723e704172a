"""Does the number of rows alone decide how long an ONNX model takes, or what stands in them?

Sizes may be computed: a slice that ends where a request says is small on every trial, and vast on the day. So there are
operators whose work follows from the shapes of what goes in, and what shapes the result of theirs must not come from
the values of a request. Their shapes may say it, as exporters write for any number of rows.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx

# Not here: turns of a loop, branches, and sizes that a value says (Range, HannWindow, MelWeightMatrix, TopK, Unique).
_BY_SHAPE = frozenset({
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "Attention",
    "AveragePool", "BatchNormalization", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike",
    "Ceil", "Celu", "Clip", "Concat", "Constant", "Conv", "ConvInteger", "ConvTranspose", "Cos", "Cosh", "CumSum",
    "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Einsum", "Elu", "Equal", "Erf",
    "Exp", "Flatten", "Floor", "GRU", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool",
    "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax",
    "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN", "LSTM", "LayerNormalization", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "MatMul", "MatMulInteger", "Max", "MaxPool", "Mean",
    "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "QLinearConv",
    "QLinearMatMul", "QuantizeLinear", "RMSNormalization", "RNN", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu",
    "Reshape", "RotaryEmbedding", "Round", "ScatterElements", "ScatterND", "Selu", "Shape", "Shrink", "Sigmoid", "Sign",
    "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze",
    "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
    # ai.onnx.ml
    "ArrayFeatureExtractor", "Binarizer", "CategoryMapper", "FeatureVectorizer", "Imputer", "LabelEncoder",
    "LinearClassifier", "LinearRegressor", "Normalizer", "OneHotEncoder", "SVMClassifier", "SVMRegressor", "Scaler",
    "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "ZipMap",
})  # fmt: skip
# What they get beside the first is the shape of what they give.
_SHAPING = frozenset({"Reshape", "Slice", "Split", "Squeeze", "Unsqueeze"})
_SHAPES = frozenset({"Shape", "Size"})


def is_steady(content: bytes) -> bool:
    """``content``: a model that is ``whole``. False also where it is not known, as with functions of its own."""
    model = onnx.ModelProto.FromString(content)
    asked = {value.name for value in model.graph.input}
    constant = {
        "",
        *(t.name for t in model.graph.initializer),
        *(t.values.name for t in model.graph.sparse_initializer),
    }
    constant -= asked
    for node in model.graph.node:
        if not _by_shape(node, constant):
            return False
        if node.op_type in _SHAPES or constant.issuperset(node.input):
            constant.update(node.output)
    return not model.functions


def _by_shape(node: onnx.NodeProto, constant: Collection[str]) -> bool:
    shaping = node.op_type in _SHAPING or node.op_type.startswith("Reduce")
    return node.op_type in _BY_SHAPE and not (shaping and any(name not in constant for name in node.input[1:]))
