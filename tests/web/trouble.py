"""trouble.py - a proxy between the browser and the real server that makes, on demand, the trouble which a page must stand.

    browser - Trouble (this) - sphinx serve

Without orders it passes everything on and remembers the requests. A test gives orders by setting attributes; reset() takes them back:

    gone          closes every connection without a word
    busy          that many answers are refused first: 503, Retry-After: 1
    delay         seconds before each piece of an answer
    cut_after     the connection is closed after so many pieces
    say           every answer is this text (its regions are the server's)
    progress      [{stage, done, total, part}]: told before the answer
    final         {...}: goes over the fields of the last chunk's "sphinx"
    props         {...}: goes over the fields of /props
    masks         what /v1/ground replies as masks, without asking the server
    attention     (status, value): what /v1/attention replies, without asking the server
    hold          an Event: /v1/attention waits for it
"""
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 5 # characters of a text that `say` makes an answer


def chunk(delta, finish=None, **more):
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more}


class Trouble:
    def __init__(self, server_port):
        self.server_port = server_port
        self.reset()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"trouble": self}))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def reset(self):
        self.gone = False
        self.busy = 0
        self.delay = 0
        self.cut_after = None
        self.say = None
        self.progress = []
        self.final = {}
        self.props = {}
        self.masks = None
        self.attention = None
        self.hold = None
        self.requests = [] # (path, body as JSON)

    def close(self):
        self.http.shutdown()

    def asked(self, path="/v1/chat/completions"):
        """The bodies of the requests to a path, oldest first."""
        return [body for where, body in self.requests if where == path]

    def forward(self, method, path, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port)
        own = {"host", "origin", "referer", "connection", "accept-encoding"}
        connection.request(method, path, body, {name: value for name, value in headers.items() if name.lower() not in own})
        return connection.getresponse()

    def ground(self, image, answer):
        body = json.dumps({"image": image, "answer": answer})
        return json.load(self.forward("POST", "/v1/ground", {"Content-Type": "application/json"}, body))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    trouble = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        if not self.trouble.gone:
            self.pass_on("GET", None)
        self.close_connection |= self.trouble.gone

    def do_POST(self):
        trouble = self.trouble
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if trouble.gone:
            self.close_connection = True
            return
        asked = json.loads(body)
        trouble.requests.append((self.path, asked))
        if self.path == "/v1/ground" and asked.get("masks") and trouble.masks is not None:
            self.send_json(200, {**trouble.ground(asked["image"], asked["answer"]), "masks": trouble.masks})
        elif self.path == "/v1/attention":
            if trouble.hold is not None:
                trouble.hold.wait(30)
            if trouble.attention is None:
                self.pass_on("POST", body)
            else:
                self.send_json(*trouble.attention)
        elif self.path != "/v1/chat/completions":
            self.pass_on("POST", body)
        elif trouble.busy > 0:
            trouble.busy -= 1
            self.send_json(503, {"error": {"message": "the queue is full", "type": "unavailable_error", "code": "queue_full"}}, {"Retry-After": "1"})
        elif trouble.say is not None:
            self.stream(self.said(asked))
        else:
            self.pass_on("POST", body)

    def send_json(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, content in {"Content-Type": "application/json", "Content-Length": len(body), **dict(headers)}.items():
            self.send_header(name, content)
        self.end_headers()
        self.write(body)

    def write(self, body):
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass # the page has given it up

    def pass_on(self, method, body):
        reply = self.trouble.forward(method, self.path, self.headers, body)
        if reply.headers.get("Content-Type", "").startswith("text/event-stream"):
            return self.stream(self.heard(reply))
        content = reply.read()
        if self.path == "/props" and reply.status == 200:
            content = json.dumps({**json.loads(content), **self.trouble.props}).encode()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server", "keep-alive"):
                self.send_header(name, value)
        self.send_header("Content-Length", len(content))
        self.end_headers()
        self.write(content)

    # ---- answers ----

    @staticmethod
    def heard(reply):
        """The server's own events."""
        for line in reply:
            if line.startswith(b"data:"):
                data = line[5:].strip()
                yield None if data == b"[DONE]" else json.loads(data)

    def said(self, asked):
        """The events of an answer that the test has written."""
        text = self.trouble.say
        images = [part["image_url"]["url"] for message in asked["messages"] if isinstance(message["content"], list)
                  for part in message["content"] if part["type"] == "image_url"]
        regions = self.trouble.ground(images[0], text)["regions"] if images else []
        yield chunk({"role": "assistant", "content": ""})
        for at in range(0, len(text), PIECE):
            yield chunk({"content": text[at:at + PIECE]})
        yield chunk({}, "stop", sphinx={"regions": regions, "malformed": 0, "dropped_turns": 0, "timings": {"decode": 0.1}})
        yield None

    def stream(self, events):
        trouble = self.trouble
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for progress in trouble.progress:
                self.send_event(chunk({}, sphinx={"progress": progress}))
            pieces = 0
            for event in events:
                content = event and event.get("choices") and event["choices"][0]["delta"].get("content")
                if content:
                    if pieces == trouble.cut_after:
                        return
                    pieces += 1
                elif event and "regions" in event.get("sphinx", {}):
                    event["sphinx"].update(trouble.final)
                self.send_event(event, trouble.delay if content else 0)
        except (BrokenPipeError, ConnectionResetError):
            pass # the page has stopped listening, as it should when the user says so

    def send_event(self, event, delay=None):
        time.sleep(self.trouble.delay if delay is None else delay)
        self.wfile.write(b"data: " + (b"[DONE]" if event is None else json.dumps(event).encode()) + b"\n\n")
        self.wfile.flush()
