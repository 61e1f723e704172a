"""MLflow serves folders: make one."""

import sys

import joblib
import mlflow.sklearn

# By default MLflow 3 keeps models in the skops format and would need to be told of the type of tree nodes.
mlflow.sklearn.save_model(
    joblib.load(sys.argv[1]), sys.argv[2], pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
)
