"""A host of counters in Python: the standard library and the agent's contract.

GET  /             the count
POST /add          one more, in memory and in storage; ?hold=SECONDS waits first
GET  /deactivated  ids of objects whose end we were told
"""
import os, sys, time, urllib.request, urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

STORAGE = os.environ["STORAGE"]
counts = {}
deactivated = []


class Stale(Exception):
    pass


def storage(method, key, event, body=None):
    request = urllib.request.Request(
        f"http://{STORAGE}/v1/storage/{key}", data=body, method=method,
        headers={"Skewgate-Event": event, "Content-Type": "application/octet-stream"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        if error.code == 409:
            raise Stale() from error
        raise


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        url = urlsplit(self.path)
        if url.path == "/healthz":
            return 200, "ok"
        if url.path == "/deactivated":
            return 200, " ".join(deactivated)
        key, event = self.headers["Skewgate-Object"], self.headers["Skewgate-Event"]
        if url.path == "/_skewgate/deactivate":
            counts.pop(key, None)
            deactivated.append(key)
            return 204, ""
        if self.headers.get("Skewgate-Activation") == "new":
            counts[key] = int(storage("GET", "n", event) or b"0")
        if "hold" in parse_qs(url.query):
            print("holding", flush=True)
            time.sleep(float(parse_qs(url.query)["hold"][0]))
        if url.path == "/add":
            try:
                storage("PUT", "n", event, str(counts[key] + 1).encode())
            except Stale:
                print("stale", flush=True)
                return 500, "stale"
            counts[key] += 1
        return 200, str(counts[key])

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.handle_one()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Served-By", "python")
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
