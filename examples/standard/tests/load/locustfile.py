"""Load on the running service, with payloads made from schema.yaml.

locust -f tests/load/locustfile.py --host http://127.0.0.1:8000
"""

import random
from pathlib import Path

from locust import HttpUser, between, task

from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve.parts import own_headers

SCHEMA = Schema.load(Path(__file__).parents[2] / "schema.yaml")
RECORDS = SCHEMA.records(SCHEMA.sample(500))


class Caller(HttpUser):
    """Asks for one record most of the time, and for many now and then."""

    wait_time = between(0.0, 0.05)

    def on_start(self) -> None:
        self.client.headers.update(own_headers())

    @task(9)
    def one(self) -> None:
        self.client.post("/predict", json=random.choice(RECORDS))

    @task(1)
    def many(self) -> None:
        self.client.post("/predict/batch", json={"records": random.sample(RECORDS, 20)})
