"""The demo's table: card payments, of which a few in a hundred are fraud. `adopt` removes this file."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def make_table(rows: int = 12_000, seed: int = 7) -> pd.DataFrame:
    """Payments in the order of time. Night, distance, haste and unusual amounts make fraud likelier."""
    rng = np.random.default_rng(seed)
    customers = rng.integers(0, rows // 15, rows)
    usual = np.exp(rng.normal(3.6, 0.6, rows // 15 + 1))[customers]
    amount = np.clip(usual * np.exp(rng.normal(-0.1, 0.9, rows)), 0.5, 20_000)
    moments = np.datetime64("2025-01-01", "s") + np.sort(rng.integers(0, 180 * 86_400, rows)).astype(
        "timedelta64[s]"
    )
    hour = (moments - moments.astype("datetime64[D]")).astype(np.int64) / 3600
    channel = rng.choice(["chip", "contactless", "online", "phone"], rows, p=[0.35, 0.3, 0.3, 0.05])
    merchant = rng.choice(
        ["groceries", "fuel", "travel", "electronics", "gambling", "other"],
        rows,
        p=[0.35, 0.12, 0.1, 0.13, 0.05, 0.25],
    )
    distance = np.where(channel == "online", np.nan, np.clip(rng.exponential(25, rows), 0, 9_000))
    tries = np.minimum(rng.poisson(0.3, rows), 20)
    age = np.minimum(rng.integers(1, 5_000, rows), 5_000)
    known = rng.random(rows) < 0.85

    risk = (
        -6.3
        + 1.3 * np.log(amount / usual)
        + 1.6 * ((hour < 5) | (hour > 23))
        + 1.2 * (channel == "online")
        + 1.7 * np.isin(merchant, ["electronics", "gambling"])
        + 0.012 * np.minimum(np.nan_to_num(distance, nan=0.0), 200)
        + 1.4 * tries
        - 0.0005 * age
        + 2.2 * ~known
    )
    fraud = rng.random(rows) < 1 / (1 + np.exp(-risk))
    return pd.DataFrame(
        {
            "paid_at": np.datetime_as_string(moments, unit="s"),
            "customer": [f"c{number:05d}" for number in customers],
            "amount": amount.round(2),
            "usual_amount": usual.round(2),
            "channel": channel,
            "merchant": merchant,
            "distance_km": distance.round(1),
            "tries_last_hour": tries,
            "account_age_days": age,
            "device_known": known,
            "card_network": rng.choice(["visa", "mastercard"], rows),
            "fraud": fraud.astype(int),
        }
    )


if __name__ == "__main__":
    make_table().to_csv(Path(sys.argv[1]), index=False)
