"""Train and promote by the project's own commands, and save the fitted estimator for its peers."""

import sys

import joblib
from serving_bench.cli import app
from serving_bench.kit import train

fit = train.fit


def fit_and_save(*arguments):
    learned = fit(*arguments)
    joblib.dump(learned.estimator, sys.argv[1])
    return learned


train.fit = fit_and_save
app(["train"], standalone_mode=False)
app(["promote"])
