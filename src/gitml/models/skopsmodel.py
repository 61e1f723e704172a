"""scikit-learn models saved with skops: data that names types, of which only known ones are made."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from types import ModuleType
from typing import Any

from gitml.errors import IntegrityError, UsageError
from gitml.models.model import OpenedModel
from gitml.models.sharedarrays import Keep
from gitml.models.signature import Signature
from gitml.models.sklearninside import arrays, remade, steadiness, supports
from gitml.models.sklearnmodel import scorer
from gitml.models.sklearnsettings import FUNCTIONS, everything, settle

_KERNELS = (
    "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "Product", "RBF",
    "RationalQuadratic", "Sum", "WhiteKernel",
)  # fmt: skip
_DISTANCES = ("ChebyshevDistance", "EuclideanDistance", "HaversineDistance", "ManhattanDistance", "MinkowskiDistance")
_FOLDS = (
    "KFold", "LeaveOneOut", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedKFold",
    "StratifiedShuffleSplit", "TimeSeriesSplit",
)  # fmt: skip
# Beyond the types that skops itself trusts: scikit-learn's own holders of numbers and settings, without code, and what
# sklearnsettings looks at one by one (partial, functions). Trees have nodes that compiled code follows blindly:
# sklearninside.trees looks at them first. Trees of neighbours and splines are made anew by sklearninside.remade.
TRUSTED = (
    *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
    *(f"{module}.{name}" for module, names in FUNCTIONS.items() for name in names),
    *(f"sklearn.metrics._dist_metrics.{name}64" for name in _DISTANCES),
    *(f"sklearn.model_selection._split.{name}" for name in _FOLDS),
    "builtins.object",
    "functools.partial",
    "numpy.floating",
    "numpy.integer",
    "numpy.number",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
    "scipy.interpolate._bsplines.BSpline",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "numpy.dtype",
)


# Each estimator says it of itself, as a text in JSON in JSON.
_RELEASE = re.compile(r'"_sklearn_version": \{[^{}]*"content": "\\"(\d[\w.+]{0,30})\\""')


def library() -> Any:
    """The library. It walks through all of scikit-learn, one file of which imports torch where that is installed:
    seconds and 300 MB for nothing, so that file is passed over."""
    name = "sklearn.externals.array_api_compat.torch"
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = ModuleType(name)
    try:
        import skops.io
    except ImportError as exc:
        raise UsageError("skops and scikit-learn are not installed", "pip install 'gitml[serve]'") from exc
    finally:
        if absent:
            sys.modules.pop(name, None)
    return skops


def other_release(content: bytes) -> str:
    """Which release of scikit-learn saved the model, and which is here, if they differ; otherwise ""."""
    import sklearn

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        said = _RELEASE.search(archive.read("schema.json").decode(errors="replace"))
    if said is None or said[1] == sklearn.__version__:
        return ""
    return f"scikit-learn {said[1]} saved the model, and {sklearn.__version__} is here"


def opened(content: bytes, signature: Signature, keep: Keep) -> OpenedModel:
    """Raises IntegrityError if the file wants any type beyond TRUSTED and those that skops knows."""
    skops = library()
    try:
        untrusted = sorted(set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED))
    except Exception as exc:  # the file is a stranger's: whatever skops raises on it means that it is not sound
        raise IntegrityError(f"the skops file is not readable: {exc}", "train or fetch the model again") from exc
    if untrusted:
        theirs = all(name.startswith("sklearn.") for name in untrusted)
        raise IntegrityError(
            f"the skops file wants types that nobody vouches for: {', '.join(untrusted[:5])}",
            "gitml does not know this part of scikit-learn: take another estimator, or export the model to ONNX"
            if theirs
            else "save the model from types of scikit-learn itself, without functions of your own",
        )
    try:
        return scorer(
            lambda: _settled(skops.io.loads(content, trusted=list(TRUSTED)), keep), signature, _is_steady, keep
        )
    except (IntegrityError, UsageError):
        raise
    except Exception as exc:
        raise IntegrityError(f"the skops file cannot be loaded: {exc}", "train or fetch the model again") from exc


def _settled(model: Any, keep: Keep) -> Any:
    settle(model)
    # Before parts are made anew: these then hold the same arrays.
    arrays.replace(model, keep)
    remade.remake(model)
    supports.check(everything(model))
    return model


def _is_steady(model: Any) -> bool:
    return steadiness.is_steady(everything(model))
