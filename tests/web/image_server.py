"""image_server.py - a server that speaks /v1/images/generations, for --image-api: its pictures are of one colour.

    browser - sphinx serve --image-api URL - ImageServer (this)

    asked     the requests' JSON, oldest first
    refuse    None, or a sentence: it answers with status 400 and this
    hold      None, or an Event that it waits for before it answers
"""
import base64
import json
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIZE = (96, 64)
COLOR = (200, 30, 120)


def png(size, color):
    """The bytes of a PNG of one colour."""
    part = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = (b"\0" + bytes(color) * size[0]) * size[1]
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


class ImageServer:
    def __init__(self):
        self.asked, self.refuse, self.hold = [], None, None
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"images": self}))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Handler(BaseHTTPRequestHandler):
    images = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        images = self.images
        images.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if images.hold is not None:
            images.hold.wait(30)
        if self.path != "/v1/images/generations":
            self.reply(404, {"error": {"message": f"nothing at {self.path}"}})
        elif images.refuse is not None:
            self.reply(400, {"error": {"message": images.refuse}})
        else:
            self.reply(200, {"created": 1, "data": [{"b64_json": base64.b64encode(png(SIZE, COLOR)).decode()}]})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", len(body))
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass # nobody wants it any more
