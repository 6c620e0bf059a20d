"""Raw cells of a table as the arrays that features see."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def cast(kind: str, cells: pd.Series) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Cells as the array that features see, and which of them are not of that type."""
    there = cells.notna().to_numpy()
    if kind in ("category", "text"):
        values = cells.map(lambda v: str(v).strip(), na_action="ignore").to_numpy(dtype=object, na_value=None)
        return values, np.zeros(len(cells), dtype=bool)
    if kind == "datetime":
        moments = pd.to_datetime(cells, errors="coerce", utc=True, format="ISO8601")
        naive = moments.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        return naive, there & np.isnat(naive)
    if kind == "boolean":
        known = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
        cells = cells.map(lambda v: known.get(str(v).strip().lower()), na_action="ignore")
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = there & ~np.isfinite(numbers)
    if kind == "integer":
        bad |= there & (numbers != np.round(numbers))
    return numbers, bad
