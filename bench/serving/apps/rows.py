"""Write a Parquet file with as many rows as asked, of records that are given; or compare two that were scored."""

import json
import sys

import numpy as np
import pandas as pd

how, *rest = sys.argv[1:]
if how == "make":
    records, output, count = rest
    with open(records, encoding="utf-8") as file:
        frame = pd.DataFrame(json.load(file))
    made = frame.sample(int(count), replace=True, random_state=7, ignore_index=True)
    numbers = made.select_dtypes("number").columns
    noise = np.random.default_rng(7).normal(0.0, 0.1, (len(made), len(numbers)))
    low, high = frame[numbers].min(), frame[numbers].max()
    made[numbers] = (made[numbers] + noise).clip(low, high, axis=1)
    made.to_parquet(output)
else:
    one, other = (pd.read_parquet(path, columns=["probability_yes"]) for path in rest)
    assert len(one) == len(other)
    print((one - other).abs().to_numpy().max())
