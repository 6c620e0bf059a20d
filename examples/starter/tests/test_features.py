"""The contract of features.py. This file is yours: add a test for each feature of yours."""

import numpy as np

from fraud_watch.features import features
from fraud_watch.kit.predictor import made
from fraud_watch.kit.schema import Schema


def test_one_record_gets_the_features_that_it_has_in_the_table(schema: Schema) -> None:
    table = schema.sample(40, seed=5, missing=0.3)
    inputs = {column.name: table[column.name] for column in schema.inputs}
    whole = made(inputs)
    for row in range(40):
        single = made({name: values[row : row + 1] for name, values in inputs.items()})
        assert single.keys() == whole.keys()
        for name, values in single.items():
            assert values.shape == (1,), name
            assert values.dtype == whole[name].dtype, name
            np.testing.assert_array_equal(values, whole[name][row : row + 1], err_msg=name)


def test_features_leave_their_input_alone(schema: Schema) -> None:
    table = schema.sample(10, seed=6)
    before = {name: values.copy() for name, values in table.items()}
    features(table)
    for name, values in table.items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_features_are_numbers_or_categories(schema: Schema) -> None:
    for name, values in made(schema.sample(5, seed=7)).items():
        assert values.dtype.char in "dO", name
