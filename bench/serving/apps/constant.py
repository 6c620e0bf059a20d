"""The emitted service with two routes that answer a constant: what its server costs without a model.

/constant is plain ASGI before the service, in the same uvicorn, started by the same verb. /through
is a route of the service's own, behind all that each of its requests passes.
"""

import importlib

import uvicorn
from fastapi import APIRouter
from serving_bench.cli import app

ANSWER = (
    b'{"prediction":"no","probabilities":{"no":0.75,"yes":0.25},"model_version":"1"}'
)
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(ANSWER)).encode()),
]
START = {"type": "http.response.start", "status": 200, "headers": HEADERS}
BODY = {"type": "http.response.body", "body": ANSWER}
configured = uvicorn.Config.__init__
router = APIRouter()


@router.post("/through")
async def through():
    return {
        "prediction": "no",
        "probabilities": {"no": 0.75, "yes": 0.25},
        "model_version": "1",
    }


def before(service):
    async def called(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/constant":
            while (await receive()).get("more_body"):
                pass
            await send(START)
            await send(BODY)
        else:
            await service(scope, receive, send)

    return called


def config(self, service, *arguments, **options):
    configured(self, before(service), *arguments, **options)


def module(name):
    return importlib.import_module(f"serving_bench.kit.serve.{name}")


def add_route():
    """As a part of the service where it knows parts, else on its FastAPI application."""
    try:
        front = module("front")
    except ModuleNotFoundError:
        old = module("app")
        create = old.create_app

        def created(settings):
            service = create(settings)
            service.include_router(router)
            return service

        old.create_app = created
        return

    class Constant(front.Part):
        def __init__(self):
            super().__init__()
            self.router = router

    parts = module("parts")
    parts.PARTS = (*parts.PARTS, Constant)


uvicorn.Config.__init__ = config
add_route()
app(["serve"])
