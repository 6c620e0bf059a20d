"""One row of the table, as the body of a request."""

from pydantic import BaseModel


class Record(BaseModel):
    measure_a: float
    measure_b: float
    measure_c: float
    measure_d: float
    measure_e: float
    measure_f: float
    measure_g: float
    measure_h: float
    measure_i: float
    measure_j: float
    measure_k: float
    measure_l: float
    contract: str
    payment: str
    region: str
    segment: str
