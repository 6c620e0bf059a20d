"""Print the predictions of a fitted estimator for some records, as JSON."""

import json
import sys

import joblib
import pandas as pd

with open(sys.argv[2], encoding="utf-8") as file:
    records = json.load(file)
print(
    json.dumps(
        joblib.load(sys.argv[1]).predict_proba(pd.DataFrame(records))[:, 1].tolist()
    )
)
