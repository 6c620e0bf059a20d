"""Write the estimator as an MLflow model."""

import shutil
import sys

import joblib
import mlflow.sklearn

model = joblib.load(sys.argv[1])
shutil.rmtree(sys.argv[2], ignore_errors=True)
mlflow.sklearn.save_model(
    model,
    sys.argv[2],
    serialization_format="cloudpickle",
    pyfunc_predict_fn="predict_proba",
)
