"""Where the data come from. This file is yours: change ``load`` to read your own sources."""

from pathlib import Path

import pandas as pd


def load(source: str, url: str | None = None) -> pd.DataFrame:
    """The raw table that ``data.source`` in params.yaml names.

    A path ends in ``.csv`` or ``.parquet``. Anything that begins with SELECT is a query, put to the
    database whose SQLAlchemy URL stands in the environment as ``DATA_URL``.
    """
    if source.lower().split()[:1] == ["select"]:
        if not url:
            raise ValueError("data.source is a query, so DATA_URL must name the database")
        return pd.read_sql_query(source, url)
    if Path(source).suffix == ".parquet":
        return pd.read_parquet(source)
    # As text: schema.yaml decides the types, not a guess from the first rows.
    return pd.read_csv(source, dtype=str)
