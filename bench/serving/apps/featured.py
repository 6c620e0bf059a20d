"""The tutorial with the default features of the emitted service, each as tutorials show it."""

import bisect
import json
import logging
import os
import sqlite3
import threading
import time
import uuid

import joblib
import pandas as pd
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import APIKeyHeader
from prometheus_client import Counter
from prometheus_fastapi_instrumentator import Instrumentator
from record import Record
from slowapi import Limiter
from slowapi.middleware import SlowAPIMiddleware
from starlette.middleware.base import BaseHTTPMiddleware

KEY = "bench"
EDGES = [float(edge) for edge in range(2, 20, 2)]
MOST_BYTES = 1_000_000

model = joblib.load(os.environ["MODEL"])
database = sqlite3.connect(os.environ["LOG_DATABASE"], check_same_thread=False)
database.execute("PRAGMA journal_mode=WAL")
database.execute(
    "CREATE TABLE predictions (id TEXT, at REAL, version TEXT, inputs TEXT, output REAL)"
)
database_lock = threading.Lock()
drift = Counter("drift", "Values by feature and bin", ["feature", "bin"])
predictions = Counter("predictions", "Predictions by class", ["label"])


class Json(logging.Formatter):
    def format(self, record):
        fields = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        return json.dumps(fields | getattr(record, "fields", {}))


handler = logging.StreamHandler()
handler.setFormatter(Json())
log = logging.getLogger("access")
log.addHandler(handler)
log.setLevel(logging.INFO)


class RequestId(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        request.state.id = request.headers.get("X-Request-ID") or uuid.uuid4().hex
        response = await call_next(request)
        response.headers["X-Request-ID"] = request.state.id
        return response


class AccessLog(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        began = time.perf_counter()
        response = await call_next(request)
        fields = {
            "method": request.method,
            "path": request.url.path,
            "status": response.status_code,
        }
        fields |= {
            "id": request.state.id,
            "milliseconds": 1000 * (time.perf_counter() - began),
        }
        log.info("request", extra={"fields": fields})
        return response


class SafeHeaders(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        if int(request.headers.get("Content-Length", 0)) > MOST_BYTES:
            return Response(status_code=413)
        response = await call_next(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response


app = FastAPI()
app.state.limiter = Limiter(
    key_func=lambda request: request.headers["X-API-Key"],
    default_limits=["1000000/second"],
)
app.add_middleware(SlowAPIMiddleware)
app.add_middleware(SafeHeaders)
app.add_middleware(AccessLog)
app.add_middleware(RequestId)
Instrumentator().instrument(app).expose(app)


def caller(key: str = Depends(APIKeyHeader(name="X-API-Key"))):
    if key != KEY:
        raise HTTPException(401)
    return key


@app.post("/predict", dependencies=[Depends(caller)])
def predict(record: Record, request: Request):
    values = record.model_dump()
    probability = float(model.predict_proba(pd.DataFrame([values]))[0, 1])
    for name, value in values.items():
        drift.labels(
            name, value if isinstance(value, str) else bisect.bisect(EDGES, value)
        ).inc()
    predictions.labels(probability >= 0.5).inc()
    row = (request.state.id, time.time(), "1", record.model_dump_json(), probability)
    with database_lock:
        database.execute("INSERT INTO predictions VALUES (?, ?, ?, ?, ?)", row)
        database.commit()
    return {"probability": probability, "model_version": "1"}


@app.get("/healthz")
@app.state.limiter.exempt
def healthz(request: Request):
    return {"status": "ok"}
