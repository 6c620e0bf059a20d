"""The emitted service with two routes that return a constant, to measure its server without a model.

/constant is plain ASGI before the service, in the same uvicorn, started by the same command. /through
is a route of the service itself, after everything that each of its requests passes.
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
original_init = uvicorn.Config.__init__
router = APIRouter()


@router.post("/through")
async def through():
    return {
        "prediction": "no",
        "probabilities": {"no": 0.75, "yes": 0.25},
        "model_version": "1",
    }


def answer_constant_first(service):
    """Wrap an ASGI application."""

    async def wrapper(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/constant":
            while (await receive()).get("more_body"):
                pass
            await send(START)
            await send(BODY)
        else:
            await service(scope, receive, send)

    return wrapper


def patched_init(self, service, *arguments, **options):
    original_init(self, answer_constant_first(service), *arguments, **options)


def import_serve_module(name):
    return importlib.import_module(f"serving_bench.kit.serve.{name}")


def add_route():
    """Add the route as a part of the service; in releases without parts, to its FastAPI application."""
    try:
        front = import_serve_module("front")
    except ModuleNotFoundError:
        app_module = import_serve_module("app")
        create = app_module.create_app

        def create_with_route(settings):
            service = create(settings)
            service.include_router(router)
            return service

        app_module.create_app = create_with_route
        return

    class Constant(front.Part):
        def __init__(self):
            super().__init__()
            self.router = router

    parts = import_serve_module("parts")
    parts.PARTS = (*parts.PARTS, Constant)


uvicorn.Config.__init__ = patched_init
add_route()
app(["serve"])
