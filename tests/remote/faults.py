"""A proxy before an S3 server that answers some requests wrongly, as a plan says."""

import http.client
import random
import socket
import threading
import time
from collections import Counter

from tests.remote.proxy import Proxy

ERRORS = {
    "500": (500, "InternalError"), "503": (503, "SlowDown"), "expired": (400, "ExpiredToken"),
    "denied": (403, "AccessDenied"), "signature": (403, "SignatureDoesNotMatch"),
}  # fmt: skip


class Faults(Proxy):
    """`plan(method, path, number) -> name of a fault or None`; the faults: those of ERRORS, and

    drop        the connection is lost before the request reaches the server
    lost        the request is carried out, its answer is lost
    truncate    half of the body is sent, then the connection is lost
    stall       nothing comes for a while
    """

    def __init__(self, url, plan, stall=3.0):
        self.plan, self.stall, self.said, self.requests = plan, stall, Counter(), []
        super().__init__(url)

    def answer(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.requests.append((request.command, request.path))
        fault = self.plan(request.command, request.path, len(self.requests))
        self.said[fault] += 1
        request.close_connection = fault is not None
        if fault in ERRORS:
            status, code = ERRORS[fault]
            secret = request.headers["Authorization"]
            text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no {secret}</Message></Error>"
            self._send(request, status, [("Content-Type", "application/xml")], text.encode())
            return
        if fault == "drop":
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault == "stall":
            time.sleep(self.stall)
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        behind = http.client.HTTPConnection(self.behind, timeout=60)
        behind.request(request.command, request.path, body, dict(request.headers.items()))
        answer = behind.getresponse()
        data, headers = answer.read(), answer.getheaders()
        behind.close()
        if fault == "lost":
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(request, answer.status, headers, data, half=fault == "truncate")

    def _send(self, request, status, headers, data, half=False):
        request.send_response_only(status)
        length = next((v for n, v in headers if n.lower() == "content-length"), len(data))
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                request.send_header(name, value)
        request.send_header("Content-Length", str(length if request.command == "HEAD" else len(data)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data[: len(data) // 2] if half else data)
        request.wfile.flush()
        if half:
            request.connection.shutdown(socket.SHUT_RDWR)


def some(share, seed=0, kinds=("500", "503", "drop", "lost", "truncate")):
    """Plan in which a share of all requests fails, in every way."""
    rng, lock = random.Random(seed), threading.Lock()

    def plan(method, path, number):
        with lock:
            return rng.choice(kinds) if rng.random() < share else None

    return plan
