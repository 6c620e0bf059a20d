"""The demo's table: houses sold in a town, and for how much. `adopt` removes this file."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def make_table(rows: int = 6_000, seed: int = 7) -> pd.DataFrame:
    """Sales of one year. Area, district, age, energy and distance make the price; the agency does not."""
    rng = np.random.default_rng(seed)
    district = rng.choice(
        ["centre", "harbour", "hills", "north", "south"], rows, p=[0.15, 0.15, 0.2, 0.25, 0.25]
    )
    level = {"centre": 0.35, "harbour": 0.25, "hills": 0.15, "north": -0.1, "south": 0.0}
    area = np.clip(np.exp(rng.normal(4.6, 0.4, rows)), 20, 600)
    year = rng.integers(1880, 2025, rows)
    energy = rng.choice(["A", "B", "C", "D", "E", "F"], rows)
    distance = np.clip(rng.gamma(2.0, 2.5, rows) * np.where(district == "centre", 0.3, 1.0), 0.1, 40)
    flat = rng.random(rows) < 0.3
    plot = np.where(flat, np.nan, area * np.exp(rng.normal(1.2, 0.4, rows)))
    garden = ~flat & (rng.random(rows) < 0.7)
    day = rng.integers(0, 365, rows)

    logarithm = (
        8.6
        + 0.85 * np.log(area)
        + np.array([level[name] for name in district])
        + 0.0016 * (year - 1950)
        - 0.03 * (np.char.equal(energy, "E") | np.char.equal(energy, "F"))
        - 0.025 * distance
        + 0.0001 * np.nan_to_num(plot)
        + 0.06 * garden
        + 0.00015 * day
        + rng.normal(0, 0.08, rows)
    )
    return pd.DataFrame(
        {
            "sold_on": np.datetime_as_string(np.datetime64("2025-01-01") + day),
            "area_m2": area.round(1),
            "rooms": np.clip(np.round(area / 24 + rng.normal(0, 0.7, rows)), 1, 20).astype(int),
            "built_year": year,
            "district": district,
            "energy_class": [
                letter if known else None
                for letter, known in zip(energy, rng.random(rows) > 0.1, strict=True)
            ],
            "distance_centre_km": distance.round(2),
            "plot_m2": plot.round(),
            "has_garden": garden,
            "agency": rng.choice(["anchor", "beacon", "compass"], rows),
            "owner": [f"owner {number}" for number in rng.permutation(rows)],
            "price": (np.exp(logarithm) / 500).round() * 500,
        }
    )


if __name__ == "__main__":
    make_table().to_csv(Path(sys.argv[1]), index=False)
