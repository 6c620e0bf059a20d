"""Score a file as a whole data frame, as is commonly shown."""

import sys

import joblib
import pandas as pd

model, source, output = sys.argv[1:]
frame = pd.read_parquet(source)
chances = joblib.load(model).predict_proba(frame)
frame["probability_no"], frame["probability_yes"] = chances[:, 0], chances[:, 1]
frame["prediction"] = ["yes" if chance >= 0.5 else "no" for chance in chances[:, 1]]
frame.to_parquet(output)
