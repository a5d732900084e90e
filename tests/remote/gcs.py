"""Google's XML uploads before fake-gcs-server, which knows only those of the JSON interface.

obstore uses the XML interface for all requests. fake-gcs-server reads, lists and deletes by it; uploads it knows from
the JSON interface alone. This proxy turns each upload into one of the JSON interface, and the answer back into headers.
Bytes, generations and conditions are the server's.
"""

import http.client
import itertools
import json
from urllib.parse import parse_qs, unquote, urlsplit

from tests.remote.proxy import Proxy

_EDGE = "edge-of-a-part"
_STARTED = "<InitiateMultipartUploadResult><UploadId>{}</UploadId></InitiateMultipartUploadResult>"
_COMPLETE = "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>"


class XmlUploads(Proxy):
    """The proxy."""

    def __init__(self, url):
        self._parts, self._ids = {}, itertools.count(1)
        super().__init__(url)

    def answer(self, request):
        """Answer a request."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        asked = urlsplit(request.path)
        query = parse_qs(asked.query, keep_blank_values=True)
        upload = query.get("uploadId", [""])[0]
        if request.command == "POST" and "uploads" in query:
            number = f"upload-{next(self._ids)}"
            self._parts[number] = {}
            self._send(request, 200, {}, _STARTED.format(number).encode())
        elif request.command == "PUT" and upload:
            self._parts[upload][int(query["partNumber"][0])] = body
            self._send(request, 200, {"ETag": f'"{len(body)}"'})
        elif request.command == "POST" and upload:
            parts = self._parts.pop(upload)
            whole = b"".join(parts[number] for number in sorted(parts))
            self._insert(request, asked.path, whole, _COMPLETE)
        elif request.command == "PUT":
            self._insert(request, asked.path, body)
        else:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
            status, headers, data = self._ask(request.command, request.path, body, headers)
            self._send(request, status, headers, data)

    def _insert(self, request, path, data, form=""):
        """Write an object by the JSON interface, under the same condition."""
        _, bucket, name = path.split("/", 2)
        condition = request.headers.get("x-goog-if-generation-match")
        query = "uploadType=multipart" + (f"&ifGenerationMatch={condition}" if condition is not None else "")
        about = json.dumps({"name": unquote(name)}).encode()
        edge = f"--{_EDGE}".encode()
        kind = b"Content-Type: application/octet-stream"
        text = b"\r\n".join(
            [edge, b"Content-Type: application/json", b"", about, edge, kind, b"", data, edge + b"--", b""]
        )
        status, _, answer = self._ask(
            "POST", f"/upload/storage/v1/b/{bucket}/o?{query}", text,
            {"Content-Type": f"multipart/related; boundary={_EDGE}"},
        )  # fmt: skip
        if status != 200:
            self._send(request, status, {}, answer)
            return
        made = json.loads(answer)
        headers = {"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]}
        self._send(request, 200, headers, form.format(made["etag"]).encode())

    def _ask(self, method, path, body, headers):
        behind = http.client.HTTPConnection(self.behind, timeout=60)
        try:
            behind.request(method, path, body, headers)
            answer = behind.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            behind.close()

    def _send(self, request, status, headers, data=b""):
        request.send_response_only(status)
        length = next((v for n, v in headers.items() if n.lower() == "content-length"), len(data))
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                request.send_header(name, value)
        request.send_header("Content-Length", str(length if request.command == "HEAD" else len(data)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)
