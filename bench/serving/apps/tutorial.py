"""A service as tutorials show it: FastAPI, a pydantic model, a data frame of one row, predict_proba."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from record import Record

model = joblib.load(os.environ["MODEL"])
app = FastAPI()


@app.post("/predict")
def predict(record: Record):
    frame = pd.DataFrame([record.model_dump()])
    return {"probability": float(model.predict_proba(frame)[0, 1])}


@app.get("/healthz")
def healthz():
    return {"status": "ok"}
