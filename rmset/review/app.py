"""The routes of the page, as an ASGI app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rmset.errors import RmsetError
from rmset.review.desk import Desk, StaleError
from rmset.review.guard import Guard

STATIC = Path(__file__).parent / "static"
_MOST_BYTES = 4_000_000


def make_app(desk: Desk, token: str, port: int) -> Callable[..., Any]:
    """The app for one run: everything lies under `/<token>/`."""

    def page(request: Request) -> Response:  # noqa: ARG001 - what a route is called with
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    def queue(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse(desk.queue())

    def layout(request: Request) -> Response:
        return _told(lambda: JSONResponse(desk.open(request.path_params["video"])))

    async def save(request: Request) -> Response:
        body = await request.body()
        if len(body) > _MOST_BYTES:
            return JSONResponse({"error": "expected a layout, found something larger"}, 413)
        version = request.headers.get("if-match", "")
        video = request.path_params["video"]
        return _told(lambda: JSONResponse(desk.save(video, body.decode("utf-8", "replace"), version)))

    def frame(request: Request) -> Response:
        width = min(4096, max(16, int(request.path_params["width"])))
        video, number = request.path_params["video"], request.path_params["frame"]
        fresh = {"cache-control": "private, max-age=3600"}
        return _told(lambda: Response(desk.frame(video, number, width), media_type="image/jpeg", headers=fresh))

    routes = [
        Route("/", page),
        Route("/api/queue", queue),
        Route("/api/layout/{video}", layout, methods=["GET"]),
        Route("/api/layout/{video}", save, methods=["PUT"]),
        Route("/api/frame/{video}/{frame:int}/{width:int}", frame),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=[Mount(f"/{token}", routes=routes)]), token, port)


def _told(work: Callable[[], Response]) -> Response:
    """What was asked for, or why not, as one line."""
    try:
        return work()
    except StaleError as error:
        return JSONResponse({"error": str(error)}, 409)
    except RmsetError as error:
        return JSONResponse({"error": str(error)}, 422)
