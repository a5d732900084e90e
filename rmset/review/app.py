"""ASGI app with the routes of the review page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rmset.errors import RmsetError
from rmset.review.desk import Desk, StaleError
from rmset.review.guard import Guard
from rmset.review.limits import MOST_BODY, TooLargeError, body_of

STATIC = Path(__file__).parent / "static"


def make_app(desk: Desk, token: str, port: int) -> Callable[..., Any]:
    """Make the app for one run, with all routes under `/<token>/`."""

    def page(request: Request) -> Response:  # noqa: ARG001 - what a route is called with
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    def queue(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse(desk.queue())

    def layout(request: Request) -> Response:
        return _answer(lambda: JSONResponse(desk.open(request.path_params["video"])))

    async def save(request: Request) -> Response:
        try:
            body = await body_of(request)
        except TooLargeError:
            # Do not wait for the rest of the body.
            large = {"error": f"expected a layout of at most {MOST_BODY:,} bytes, found something larger"}
            return JSONResponse(large, 413, headers={"connection": "close"})
        version, video = request.headers.get("if-match", ""), request.path_params["video"]

        def written() -> Response:
            return JSONResponse(desk.save(video, body.decode("utf-8", "replace"), version))

        # In a thread, so that other requests are answered meanwhile.
        return await run_in_threadpool(_answer, written)

    def frame(request: Request) -> Response:
        numbers = [request.path_params[name] for name in ("frame", "width")]
        if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in numbers):
            return JSONResponse({"error": "expected the number of a frame and a width in px"}, 404)
        video, number, width = request.path_params["video"], int(numbers[0]), min(4096, max(16, int(numbers[1])))
        fresh = {"cache-control": "private, max-age=3600"}
        return _answer(lambda: Response(desk.frame(video, number, width), media_type="image/jpeg", headers=fresh))

    routes = [
        Route("/", page),
        Route("/api/queue", queue),
        Route("/api/layout/{video}", layout, methods=["GET"]),
        Route("/api/layout/{video}", save, methods=["PUT"]),
        Route("/api/frame/{video}/{frame}/{width}", frame),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=[Mount(f"/{token}", routes=routes)]), token, port)


def _answer(work: Callable[[], Response]) -> Response:
    """Return the response of `work`, or its error as one line."""
    try:
        return work()
    except StaleError as error:
        return JSONResponse({"error": str(error)}, 409)
    except (RmsetError, OSError) as error:
        # A file that disappeared or became unreadable is not a program error.
        return JSONResponse({"error": str(error)}, 422)
