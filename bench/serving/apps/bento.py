"""BentoML: a service that predicts each record alone, and one that batches records."""

import os

import bentoml
import joblib
import pandas as pd
from record import Record


@bentoml.service(traffic={"timeout": 60, "max_concurrency": 1000})
class Plain:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, record: Record) -> dict[str, float]:
        frame = pd.DataFrame([record.model_dump()])
        return {"probability": float(self.model.predict_proba(frame)[0, 1])}


@bentoml.service(traffic={"timeout": 60, "max_concurrency": 1000})
class Batched:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=30_000)
    def predict(self, records: list[Record]) -> list[float]:
        frame = pd.DataFrame([record.model_dump() for record in records])
        return self.model.predict_proba(frame)[:, 1].tolist()
