"""Write a Parquet file of many rows like some records (make), or print how far two scored files differ (compare)."""

import json
import sys

import numpy as np
import pandas as pd

command, *arguments = sys.argv[1:]
if command == "make":
    records, output, count = arguments
    with open(records, encoding="utf-8") as file:
        frame = pd.DataFrame(json.load(file))
    rows = frame.sample(int(count), replace=True, random_state=7, ignore_index=True)
    numbers = rows.select_dtypes("number").columns
    noise = np.random.default_rng(7).normal(0.0, 0.1, (len(rows), len(numbers)))
    low, high = frame[numbers].min(), frame[numbers].max()
    rows[numbers] = (rows[numbers] + noise).clip(low, high, axis=1)
    rows.to_parquet(output)
else:
    one, other = (
        pd.read_parquet(path, columns=["probability_yes"]) for path in arguments
    )
    assert len(one) == len(other)
    print((one - other).abs().to_numpy().max())
