"""Serve the review page on a loopback socket until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence

from rmset.errors import RootError
from rmset.root import Root


def serve(root: Root, video_ids: Sequence[str], *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Serve the review page until the user stops it.

    Args:
        root: the data set.
        video_ids: videos of the queue; those without a layout are left out.
        port: port number; 0 for any free port.
        ready: callback with the address, including the token, once the page can be opened.

    Raises:
        RootError: starlette or uvicorn is not installed, the port is taken, or no video has a layout.
    """
    try:
        import uvicorn

        from rmset.review.app import make_app
        from rmset.review.desk import Desk
        from rmset.review.limits import limited
    except ImportError as error:
        raise RootError(f"review page: expected {error.name}, found none; `pip install 'rmset[review]'`") from error
    desk = Desk(root, video_ids)
    if not desk.queue():
        raise RootError("review page: expected videos with a layout, found none; run `rmset layout propose` first")
    token = secrets.token_urlsafe(18)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise RootError(f"port {port}: cannot be opened ({error.strerror}); choose another with --port") from error
        port = listener.getsockname()[1]
        app = make_app(desk, token, port)
        # One process, so that locks and versions are only needed against other tabs and commands. The access log is
        # off, as it would show the token.
        config = uvicorn.Config(
            app, http=limited(), ws="none", log_level="error", access_log=False, lifespan="off", server_header=False,
            timeout_keep_alive=5, timeout_graceful_shutdown=1, backlog=256,
        )  # fmt: skip
        listener.listen(256)
        ready(f"http://127.0.0.1:{port}/{token}/")
        uvicorn.Server(config).run(sockets=[listener])
