"""Public tables that installed packages hold, as people's own CSV files.

Run where scikit-learn and pandas are installed: python tests/tables/inside/public.py FOLDER
writes three of them.
"""

import gzip
import sys
from collections.abc import Callable
from importlib import import_module
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


def bunch(name: str) -> pd.DataFrame:
    """One of scikit-learn's own, with the names of its classes where it has some."""
    loaded = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    names = dict(enumerate(map(str, getattr(loaded, "target_names", []))))
    target = loaded.target.map(names) if names else loaded.target
    return loaded.data.assign(target=target)


def statsmodels(name: str) -> pd.DataFrame:
    """One of the tables that statsmodels' examples use."""
    module = import_module(f"statsmodels.datasets.{name}")
    frame: pd.DataFrame = module.load_pandas().data
    return frame


def vega(name: str) -> pd.DataFrame:
    """One of the tables that Vega's examples use, those that its package holds."""
    frame: pd.DataFrame = getattr(import_module("vega_datasets").local_data, name)()
    return frame


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
    return bunch("breast_cancer").rename(columns={"target": "diagnosis"})


def fares() -> pd.DataFrame:
    """A number to predict from text and numbers, with many gaps."""
    columns = ["pclass", "sex", "age", "sibsp", "parch", "embarked", "fare"]
    return arff(40945)[columns].dropna(subset=["fare"])


def titanic() -> pd.DataFrame:
    """Who survived; the lifeboat that somebody was in is known only afterwards."""
    return arff(40945).drop(columns=["boat", "body"])


def own(name: str) -> pd.DataFrame:
    """One that is changed a little here."""
    tables = {f.__name__: f for f in (penguins, breast_cancer, fares, titanic)}
    return tables[name]()


SOURCES: dict[str, Callable[[str], pd.DataFrame]] = {
    "own": own,
    "openml": lambda number: arff(int(number)),
    "scikit-learn": bunch,
    "statsmodels": statsmodels,
    "vega_datasets": vega,
}
"""Where a table is found, as tests/tables/listed.py names it."""

if __name__ == "__main__":
    for table in (penguins, breast_cancer, fares):
        table().to_csv(Path(sys.argv[1], f"{table.__name__}.csv"), index=False)
