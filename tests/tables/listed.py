"""Public tables that installed packages hold: where, which column is predicted, and as what."""

from typing import NamedTuple


class Public(NamedTuple):
    """A table; `tests/tables/inside/public.py` knows the sources."""

    source: str
    key: str
    target: str
    problem: str = "regression"


CLASSES = "classification"
PUBLIC = {
    "penguins": Public("own", "penguins", "Species", CLASSES),
    "breast cancer": Public("own", "breast_cancer", "diagnosis", CLASSES),
    "fares": Public("own", "fares", "fare"),
    "titanic": Public("own", "titanic", "survived", CLASSES),
    "iris": Public("scikit-learn", "iris", "target", CLASSES),
    "wine": Public("scikit-learn", "wine", "target", CLASSES),
    "digits": Public("scikit-learn", "digits", "target", CLASSES),
    "diabetes": Public("scikit-learn", "diabetes", "target"),
    "chess endgames": Public("openml", "3", "class", CLASSES),
    "glass": Public("openml", "40675", "class", CLASSES),
    "processors": Public("openml", "561", "class"),
    "zoo": Public("openml", "62", "type", CLASSES),
    "election of 1996": Public("statsmodels", "anes96", "vote", CLASSES),
    "cancer deaths": Public("statsmodels", "cancer", "cancer"),
    "food expenses": Public("statsmodels", "engel", "foodexp"),
    "affairs": Public("statsmodels", "fair", "affairs"),
    "marriages": Public("statsmodels", "fair", "rate_marriage", CLASSES),
    "investments": Public("statsmodels", "grunfeld", "invest"),
    "inflation": Public("statsmodels", "macrodata", "infl"),
    "modes of travel": Public("statsmodels", "modechoice", "choice", CLASSES),
    "doctor visits": Public("statsmodels", "randhie", "mdvis"),
    "schools": Public("statsmodels", "star98", "PCTAF"),
    "crime": Public("statsmodels", "statecrime", "murder"),
    "credit cards": Public("statsmodels", "ccard", "AVGEXP"),
    "cars": Public("vega_datasets", "cars", "Miles_per_Gallon"),
    "origin of cars": Public("vega_datasets", "cars", "Origin", CLASSES),
    "weather": Public("vega_datasets", "seattle_weather", "weather", CLASSES),
    "barley": Public("vega_datasets", "barley", "yield"),
    "stocks": Public("vega_datasets", "stocks", "price"),
    "temperatures": Public("vega_datasets", "seattle_temps", "temp"),
}
