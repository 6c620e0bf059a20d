"""Score a file as one data frame, as tutorials show it."""

import sys

import joblib
import pandas as pd

model, source, output = sys.argv[1:]
frame = pd.read_parquet(source)
probabilities = joblib.load(model).predict_proba(frame)
frame["probability_no"], frame["probability_yes"] = (
    probabilities[:, 0],
    probabilities[:, 1],
)
frame["prediction"] = ["yes" if p >= 0.5 else "no" for p in probabilities[:, 1]]
frame.to_parquet(output)
