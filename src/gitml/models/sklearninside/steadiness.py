"""Is a scikit-learn model done in a time that its shapes decide? Others, with settings or values, turn in loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

# Estimators whose predict and transform go over their arrays once. NMF and others solve for each row anew, up to a
# number of turns that the file says; neighbours and texts take as long as their rows make it.
_ONCE = frozenset({
    # Models.
    "LinearRegression", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV", "Lasso", "LassoCV", "ElasticNet",
    "ElasticNetCV", "Lars", "LarsCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "BayesianRidge", "ARDRegression",
    "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV", "HuberRegressor",
    "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "PassiveAggressiveClassifier",
    "PassiveAggressiveRegressor", "Perceptron", "QuantileRegressor", "TheilSenRegressor", "RANSACRegressor",
    "GammaRegressor", "PoissonRegressor", "TweedieRegressor", "LogisticRegression", "LogisticRegressionCV",
    "SGDClassifier", "SGDRegressor", "SGDOneClassSVM", "LinearSVC", "LinearSVR", "LinearDiscriminantAnalysis",
    "QuadraticDiscriminantAnalysis", "BernoulliNB", "CategoricalNB", "ComplementNB", "GaussianNB", "MultinomialNB",
    "DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor",
    "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor", "IsolationForest",
    "GradientBoostingClassifier", "GradientBoostingRegressor", "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor", "AdaBoostClassifier", "AdaBoostRegressor", "MLPClassifier", "MLPRegressor",
    "DummyClassifier", "DummyRegressor", "IsotonicRegression",
    # Made of others, which are looked at too.
    "Pipeline", "ColumnTransformer", "FeatureUnion", "BaggingClassifier", "BaggingRegressor", "VotingClassifier",
    "VotingRegressor", "StackingClassifier", "StackingRegressor", "CalibratedClassifierCV", "_SigmoidCalibration",
    "MultiOutputClassifier", "MultiOutputRegressor", "ClassifierChain", "RegressorChain", "OneVsRestClassifier",
    "OneVsOneClassifier", "_ConstantPredictor", "TransformedTargetRegressor", "FixedThresholdClassifier",
    "TunedThresholdClassifierCV", "FrozenEstimator", "GridSearchCV", "RandomizedSearchCV",
    # Steps before.
    "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Normalizer", "Binarizer", "QuantileTransformer",
    "PowerTransformer", "KBinsDiscretizer", "PolynomialFeatures", "FunctionTransformer", "OneHotEncoder",
    "OrdinalEncoder", "TargetEncoder", "LabelEncoder", "LabelBinarizer", "SimpleImputer", "MissingIndicator",
    "_BinMapper", "PCA", "IncrementalPCA", "TruncatedSVD", "SelectKBest", "SelectPercentile", "SelectFpr", "SelectFdr",
    "SelectFwe", "GenericUnivariateSelect", "SelectFromModel", "VarianceThreshold", "RFE", "RFECV",
    "SequentialFeatureSelector",
})  # fmt: skip
_FUNCTIONS = (None, np.log, np.log1p, np.exp, np.expm1, np.sqrt, np.absolute)


def is_steady(values: Iterable[Any]) -> bool:
    """Whether every estimator among ``values``, all that a model holds, is one that goes over its arrays once."""
    return all(_once(value) for value in values if hasattr(type(value), "get_params"))


def _once(estimator: Any) -> bool:
    name, own = type(estimator).__name__, vars(estimator)
    functions = (own.get("func"), own.get("inverse_func")) if name == "FunctionTransformer" else ()
    return name in _ONCE and all(any(f is known for known in _FUNCTIONS) for f in functions)
