"""An HTTP server that takes OTLP profiles as a Collector does, and decodes them with the official classes. For the Python
of build/peers/otlp.

    otlp_receiver.py PORT [--relayed]

With --relayed the sender is a Collector, whose own ways are not held against what it relays.
GET /got answers with what came until now: [{path, headers, size, problems, content}], `content` as otlp_checks.resolve()
gives it. GET /next?status=N&retry_after=S makes the next request be answered so, and not be kept."""

import gzip
import http.server
import json
import sys
import urllib.parse

import otlp_checks
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceResponse

PATH = "/v1development/profiles"
COLLECTORS_WAYS = ("attribute_table begins with 'value {\\n}\\n', not the zero value",)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    got = []
    answers = []  # of the requests to come: (status, Retry-After)
    ignored = ()  # problems

    def answer(self, status, kind, body, headers=()):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        address = urllib.parse.urlsplit(self.path)
        if address.path == "/next":
            query = dict(urllib.parse.parse_qsl(address.query))
            self.answers.append((int(query["status"]), query.get("retry_after")))
        self.answer(200, "application/json", json.dumps(self.got).encode())

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers["Content-Length"]))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def do_POST(self):
        body = self.body()
        if self.answers:
            status, retry_after = self.answers.pop(0)
            self.answer(status, "text/plain", b"as asked for\n", [("Retry-After", retry_after)] if retry_after else [])
            return
        record = {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()},
                  "size": len(body), "problems": [], "content": None}
        self.got.append(record)
        try:
            record["problems"] += self.look_at(record)
            if record["headers"].get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = otlp_checks.parse(body)
            record["problems"] += [one for one in otlp_checks.problems(request) if one not in self.ignored]
            if not record["problems"]:
                record["content"] = otlp_checks.resolve(request)
        except (ValueError, OSError, EOFError) as error:
            record["problems"].append(str(error))
        if record["problems"]:
            self.answer(400, "text/plain", "; ".join(record["problems"]).encode())
        else:
            self.answer(200, "application/x-protobuf", ExportProfilesServiceResponse().SerializeToString())

    @staticmethod
    def look_at(record):
        headers = record["headers"]
        if record["path"] != PATH:
            yield f"path {record['path']}, not {PATH}"
        if headers.get("content-type") != "application/x-protobuf":
            yield f"content-type {headers.get('content-type')}, not application/x-protobuf"
        if headers.get("content-encoding", "gzip") != "gzip":
            yield f"content-encoding {headers['content-encoding']}"

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if "--relayed" in sys.argv:
        Handler.ignored = COLLECTORS_WAYS
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
