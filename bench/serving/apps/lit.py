"""LitServe: an API that predicts each record alone, and one that batches records."""

import os
import sys

import joblib
import litserve as ls
import pandas as pd


class Plain(ls.LitAPI):
    def setup(self, device):
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request):
        return request

    def predict(self, record):
        return self.model.predict_proba(pd.DataFrame([record]))[0, 1]

    def encode_response(self, probability):
        return {"probability": float(probability)}


class Batched(Plain):
    def batch(self, records):
        return records

    def predict(self, records):
        return self.model.predict_proba(pd.DataFrame(records))[:, 1]

    def unbatch(self, probabilities):
        return list(probabilities)


if __name__ == "__main__":
    how, port = sys.argv[1:]
    api = (
        Batched(max_batch_size=64, batch_timeout=0.005) if how == "batched" else Plain()
    )
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(
        host="127.0.0.1",
        port=int(port),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
