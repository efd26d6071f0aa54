"""Prints every alert that Alertmanager sends, one line each: status, name, labels, summary."""

from __future__ import annotations

import argparse
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(BaseHTTPRequestHandler):
    """Alertmanager's webhook: a POST with `alerts`."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        # In one piece: print writes the end of a line by itself, and another thread's line could come in between.
        sys.stdout.write("".join(f"{line(alert)}\n" for alert in message["alerts"]))
        sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Be silent about requests: the lines are the alerts'."""


def line(alert: dict[str, Any]) -> str:
    labels = {name: value for name, value in sorted(alert["labels"].items()) if name != "alertname"}
    told = " ".join(f"{name}={value}" for name, value in labels.items())
    return f"{alert['status']} {alert['labels']['alertname']} {told}: {alert['annotations'].get('summary', '')}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9099, help="0 for a free one (default: %(default)s)")
    options = parser.parse_args()
    with ThreadingHTTPServer((options.host, options.port), Receiver) as server:
        print(f"listening on http://{options.host}:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
