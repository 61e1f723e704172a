"""BentoML: one service, arrays in and out."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1, metrics={"enabled": False})
class Delay:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows.astype(float))[:, 1]
