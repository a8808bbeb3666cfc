"""Serve the built book on localhost.

usage: serve.py FOLDER PORT       serve until Ctrl-C
       serve.py --check PORT      only say whether the port is free
"""

import socket
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Files with the types that browsers insist on, whatever the machine's registry says."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".css": "text/css",
        ".svg": "image/svg+xml",
        ".json": "application/json",
        ".ipynb": "application/json",
        ".woff2": "font/woff2",
        ".wasm": "application/wasm",
    }

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")  # a rebuilt page is seen at the next reload
        super().end_headers()

    def log_message(self, *_):
        pass  # one line for each file would bury the address


class Server(ThreadingHTTPServer):
    daemon_threads = True


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def check(text):
    """The port as a number, or an end with a message that says what to do."""
    if not text.isdigit() or not 0 < int(text) < 65536:
        sys.exit(f"PORT={text} is no port: it must be a whole number from 1 to 65535.")
    port = int(text)
    if port < 1024 and not is_free(port):
        sys.exit(f"Port {port} is taken or reserved for the system. Try: make serve PORT=8000")
    if not is_free(port):
        other = next((p for p in range(port + 1, min(port + 100, 65536)) if is_free(p)), 8123)
        sys.exit(
            f"Port {port} is taken: another program (perhaps another `make serve`) listens there.\n"
            f"Stop that program, or take another port: make serve PORT={other}"
        )
    return port


def serve(folder, port):
    if not (Path(folder) / "index.html").is_file():
        sys.exit(f"There is no built book in {folder}. `make book` builds it.")
    with Server(("127.0.0.1", port), partial(Handler, directory=folder)) as server:
        print(f"The book is at http://localhost:{port} (stop with Ctrl-C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    port = check(sys.argv[2])
    if sys.argv[1] != "--check":
        serve(sys.argv[1], port)
