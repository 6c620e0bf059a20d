"""Public tables that scikit-learn's package holds, as people's own CSV files.

Run where scikit-learn and pandas are installed: python tests/tables/inside/public.py FOLDER
"""

import gzip
import sys
from pathlib import Path

import pandas as pd
import sklearn.datasets
from sklearn.externals import _arff  # the reader that it brings for its own tests

PACKAGE = Path(sklearn.datasets.__file__).parent


def arff(number: int) -> pd.DataFrame:
    """One of the OpenML tables with which scikit-learn tests itself."""
    (file,) = (PACKAGE / "tests/data/openml" / f"id_{number}").glob("*.arff.gz")
    with gzip.open(file, "rt", encoding="utf-8") as text:
        table = _arff.load(text)
    names = [name for name, _ in table["attributes"]]
    return pd.DataFrame(table["data"], columns=names)


def penguins() -> pd.DataFrame:
    """Three species; text, gaps, and headers with spaces as their authors wrote them."""
    headers = {
        "species": "Species",
        "island": "Island",
        "culmen_length_mm": "Culmen Length (mm)",
        "culmen_depth_mm": "Culmen Depth (mm)",
        "flipper_length_mm": "Flipper Length (mm)",
        "body_mass_g": "Body Mass (g)",
        "sex": "Sex",
    }
    return arff(42585).rename(columns=headers)


def breast_cancer() -> pd.DataFrame:
    """Two classes given as words, thirty measures."""
    bunch = sklearn.datasets.load_breast_cancer(as_frame=True)
    names = dict(enumerate(bunch.target_names))
    return bunch.data.assign(diagnosis=bunch.target.map(names))


def fares() -> pd.DataFrame:
    """A number to predict from text and numbers, with many gaps."""
    columns = ["pclass", "sex", "age", "sibsp", "parch", "embarked", "fare"]
    return arff(40945)[columns].dropna(subset=["fare"])


if __name__ == "__main__":
    for table in (penguins, breast_cancer, fares):
        table().to_csv(Path(sys.argv[1], f"{table.__name__}.csv"), index=False)
