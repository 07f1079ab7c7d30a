#!/usr/bin/env python3
"""faults.py SPHINX - what clients and the world do to `sphinx serve`: after each of it the server answers as before, with all its slots.

    clients that go away at every stage, connections that are half open or send a byte now and then, HTTP, JSON, base64 and UTF-8 that are none, pictures of 100
    megapixels and cut ones, a history of 10,000 turns, a full disk under its log, missing and wrong keys, paths out of the page's folder, bodies too large, pages
    of other sites, names that are not the server's, SIGTERM while it works

Prints a line for each, and exits with 1 if one went wrong. Needs nothing but Python.
"""
import atexit
import base64
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
PICTURE = os.path.join(ROOT, "examples", "pictures", "rings.jpg")
SLOTS = 2
failures = []


# ---- a server, and requests to it --------------------------------------------------------------------------------

class Server:
    def __init__(self, *options, stdout=subprocess.DEVNULL):
        command = [sys.argv[1], "serve", "--port", "0", "-np", str(SLOTS), "--queue", "8", *options]
        if "SPHINX_MODEL" not in os.environ:
            command += ["-m", os.path.join(ROOT, "models", "sphinx-nano.gguf")]
        self.process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        for line in self.process.stderr:
            found = re.search(r"http://[^ ]*:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        else:
            sys.exit("the server did not start")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def connect(self, seconds=60):
        return socket.create_connection(("127.0.0.1", self.port), seconds)

    def end(self, wait=60):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(wait)


def request(method, path, body=b"", headers=()):
    head = [f"{method} {path} HTTP/1.1", *headers, "Connection: close", f"Content-Length: {len(body)}"]
    if not any(h.lower().startswith("host:") for h in headers):
        head.append("Host: localhost")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def read_all(s):
    data = b""
    try:
        while piece := s.recv(1 << 16):
            data += piece
    except ConnectionError:
        pass
    return data


def ask(server, method, path, body=b"", headers=()):
    """-> (status, the whole reply); status 0: cut off"""
    with server.connect() as s:
        try:
            s.sendall(request(method, path, body, headers))
        except ConnectionError:
            pass
        data = read_all(s)
    found = re.match(rb"HTTP/1\.[01] (\d+)", data)
    return (int(found.group(1)) if found else 0), data


def chat_body(text="What is in the image?", image=True, **more):
    content = [{"type": "text", "text": text}]
    if image:
        data = base64.b64encode(open(PICTURE, "rb").read()).decode()
        content.append({"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + data}})
    return json.dumps({"model": "x", "temperature": 0, "max_tokens": 32, "messages": [{"role": "user", "content": content}],
                       **more}).encode()


def chat(server, body=None, headers=()):
    return ask(server, "POST", "/v1/chat/completions", body if body is not None else chat_body(), headers)


def check(what, ok, told=""):
    print(f"{'ok    ' if ok else 'FAILED'} {what}{': ' + told if told and not ok else ''}", flush=True)
    if not ok:
        failures.append(what)


def check_whole(server, after):
    """It lives, every slot is idle again, and as many requests as there are slots are answered at once."""
    alive, idle = server.process.poll() is None, False
    for _ in range(100):
        status, reply = ask(server, "GET", "/slots")
        idle = status == 200 and reply.count(b'"idle"') == SLOTS
        if idle or not alive:
            break
        time.sleep(0.1)
    status, reply = chat(server) if alive else (0, b"")
    check(f"whole after {after}", alive and idle and status == 200 and b'"content"' in reply, f"alive {alive}, idle {idle}, status {status}")


# ---- clients ---------------------------------------------------------------------------------------------------------

def gone_clients(server):
    """Away in the middle of the headers, of the body, before the answer, in the middle of it; politely and not."""
    stream = request("POST", "/v1/chat/completions", chat_body(stream=True, max_tokens=200, ignore_eos=True))
    for cut in (1, 20, 100, len(stream) // 2, len(stream) - 1, len(stream)):
        for rude in (False, True):
            s = server.connect()
            s.sendall(stream[:cut])
            if cut == len(stream):
                time.sleep(random.choice((0, 0.01, 0.05)))
            if rude:  # a reset instead of an end
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    for n in (1, 200, 1000):
        s = server.connect()
        s.sendall(stream)
        while n > 0 and (piece := s.recv(n)):
            n -= len(piece)
        s.close()
    check_whole(server, "clients that went away at every stage")


def many_gone(server):
    stream = request("POST", "/v1/chat/completions", chat_body(stream=True, max_tokens=200))
    for _ in range(100):
        s = server.connect()
        s.sendall(stream)
        s.close()
    check_whole(server, "100 clients that asked and left")


def half_open(server):
    """Sends all and closes its half: it may still listen, or not; a silent one is cut off by --timeout-read."""
    s = server.connect()
    s.sendall(request("POST", "/v1/chat/completions", chat_body()))
    s.shutdown(socket.SHUT_WR)
    read_all(s)
    s.close()
    silent, began = server.connect(30), time.monotonic()
    read_all(silent)
    check("a silent connection is cut off", time.monotonic() - began < 20)
    check_whole(server, "half-open connections")


def slow(server):
    """A byte at a time, of headers and of a body; meanwhile others are answered, and in the end the line is cut."""
    body = request("POST", "/v1/chat/completions", chat_body())
    lines = [(server.connect(), bytes_) for bytes_ in [body[:400]] * 20 + [body] * 20]
    for s, bytes_ in lines:
        s.sendall(bytes_[:len(bytes_) // 2])
    began, answered, open_lines = time.monotonic(), 0, len(lines)
    while time.monotonic() - began < 15 and open_lines > 0:
        status, _ = chat(server)
        answered += status == 200
        open_lines = 0
        for s, bytes_ in lines:
            try:
                s.sendall(b" ")
                open_lines += 1
            except OSError:
                pass
        time.sleep(0.2)
    check("others are answered beside 40 slow ones", answered > 5, str(answered))
    check("slow ones are cut off", open_lines == 0, f"{open_lines} are open after 15 s")
    for s, _ in lines:
        s.close()
    check_whole(server, "slow connections")


# ---- bytes that are none -----------------------------------------------------------------------------------------------

def malformed_http(server):
    for bytes_ in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET " + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                   b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                   b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                   b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", os.urandom(4096)):
        with server.connect() as s:
            try:
                s.sendall(bytes_)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            reply = read_all(s)
            if reply and not re.match(rb"HTTP/1\.[01] (4|5)", reply):
                check(f"{bytes_[:30]!r} is refused", False, repr(reply[:60]))
    check_whole(server, "malformed HTTP")


def malformed_bodies(server):
    good = chat_body().decode()
    image = '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "%s"}}]}]}'
    bodies = [b"", b"{", b"[]", b"null", b"\xff\xfe", good.replace("What", "\\ud800").encode(), good[:-2].encode(), b"[" * 100000,
              (image % "data:image/png;base64,!!!").encode(), (image % "data:image/png;base64,").encode(), (image % "data:image/png,abc").encode(),
              (image % "http://127.0.0.1/x.png").encode(), (image % "file:///etc/passwd").encode(), b'{"messages": []}', b'{"messages": [{"role": "user"}]}',
              b'{"messages": [{"role": "alien", "content": "x"}]}', b'{"messages": [{"role": "user", "content": "\xc3\x28"}]}',
              b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": -7}', b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1e999}']
    for body in bodies:
        status, reply = chat(server, body)
        if status != 400 or b'"error"' not in reply or b'"message"' not in reply:
            check(f"{body[:60]!r} is a 400 with a reason", False, f"{status} {reply[-200:]!r}")
    generator = random.Random(1)
    for _ in range(200):  # a good body with some bytes changed: any answer but none
        body = bytearray(chat_body(image=False))
        for _ in range(generator.randint(1, 4)):
            body[generator.randrange(len(body))] = generator.randrange(256)
        status, _ = chat(server, bytes(body))
        if status not in (200, 400):
            check(f"{bytes(body)!r} is answered", False, str(status))
    check_whole(server, "malformed bodies")


def png(width, height, rows):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def pictures(server):
    def ask_about(data):
        url = "data:image/png;base64," + base64.b64encode(data).decode()
        return chat(server, json.dumps({"max_tokens": 4, "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is this?"}]}]}).encode())

    packer = zlib.compressobj(1)
    row = b"\0" * (1 + 3 * 10000)
    large = png(10000, 10000, b"".join(packer.compress(row) for _ in range(10000)) + packer.flush())
    status, reply = ask_about(large)
    check("a PNG of 100 megapixels is refused", status == 400 and b"invalid_image" in reply, f"{status} {reply[-200:]!r}")
    whole = open(PICTURE, "rb").read()
    for data in (whole[:len(whole) // 3], whole[:10], b"GIF89a", png(0, 0, b""), png(2**31 - 1, 2**31 - 1, b""), os.urandom(1000)):
        status, reply = ask_about(data)
        if status not in (400, 200) or (status == 200 and data[:2] != whole[:2]):
            check(f"{data[:12]!r} is refused", False, f"{status} {reply[-100:]!r}")
    check_whole(server, "large and broken pictures")


def long_history(server):
    turns = [{"role": role, "content": "What color is it?" if role == "user" else "red"} for _ in range(10000) for role in ("user", "assistant")]
    body = json.dumps({"messages": turns + [{"role": "user", "content": "And now?"}], "max_tokens": 4}).encode()
    status, reply = chat(server, body)
    check("a history of 10,000 turns is answered or refused with the reason", status == 200 or (status == 400 and b'"message"' in reply),
          f"{status} {reply[-200:]!r}")
    check_whole(server, "a long history")


# ---- who may ask -------------------------------------------------------------------------------------------------------

def security(server):
    for path in ("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/index.html/../../etc/passwd", "/..\\..\\etc\\passwd"):
        status, reply = ask(server, "GET", path)
        check(f"{path} is not there", status in (400, 404) and b"root:" not in reply, str(status))
    status, reply = chat(server, headers=["Host: evil.example"])
    check("another Host is refused (DNS rebinding)", status == 403, str(status))
    status, _ = chat(server, headers=["Origin: http://evil.example"])
    check("another site's page is refused", status == 403, str(status))
    status, _ = chat(server, headers=["Content-Type: text/plain", "Origin: null"])
    check("a page without an origin is refused", status == 403, str(status))
    status, _ = chat(server, headers=[f"Origin: http://127.0.0.1:{server.port}", f"Host: 127.0.0.1:{server.port}"])
    check("its own page is answered", status == 200, str(status))
    status, _ = ask(server, "POST", "/v1/chat/completions", b"x" * (34 << 20))
    check("a body too large is refused", status == 413, str(status))
    status, _ = ask(server, "DELETE", "/v1/chat/completions")
    check("another method is refused", status == 405, str(status))
    status, reply = ask(server, "GET", "/")
    check("the page has a policy", status == 200 and b"Content-Security-Policy" in reply and b"unsafe" not in reply.split(b"\r\n\r\n")[0], str(status))


def keys():
    server = Server("--api-key", "right")
    for headers, want in (([], 401), (["Authorization: Bearer wrong"], 401), (["Authorization: Bearer "], 401), (["Authorization: right"], 401),
                          (["Authorization: Bearer righ"], 401), (["Authorization: Bearer right!"], 401), (["Authorization: Bearer right"], 200)):
        status, _ = chat(server, headers=headers)
        check(f"with {headers or 'no key'}: {want}", status == want, str(status))
    for path in ("/props", "/slots", "/metrics", "/v1/models"):
        status, _ = ask(server, "GET", path)
        check(f"{path} needs the key", status == 401, str(status))
    check("ends", server.end() == 0)


# ---- the world ---------------------------------------------------------------------------------------------------------

def full_disk():
    """Its log goes to a disk that is full."""
    with open("/dev/full", "w", encoding="ascii") as full:
        server = Server(stdout=full)
        status, _ = chat(server)
        check("answers while its log cannot be written", status == 200, str(status))
        check_whole(server, "a full disk under the log")
        server.end()


def term_under_load():
    """The answers that have begun are given, new ones are refused, and it ends with 0."""
    server = Server()
    body = chat_body(stream=True, max_tokens=400, ignore_eos=True)
    results = []

    def client():
        results.append(ask(server, "POST", "/v1/chat/completions", body))

    threads = [threading.Thread(target=client) for _ in range(SLOTS)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    code = server.end()
    for t in threads:
        t.join(60)
    whole = sum(status == 200 and reply.rstrip().endswith((b"[DONE]", b"[DONE]\r\n\r\n0", b"0")) and b"[DONE]" in reply for status, reply in results)
    check("SIGTERM under load: what had begun is answered to its end", whole == SLOTS, f"{whole} of {SLOTS}")
    check("SIGTERM under load: exit 0", code == 0, str(code))


def main():
    server = Server("--timeout-read", "5")
    check_whole(server, "the start")
    for part in (gone_clients, many_gone, half_open, slow, malformed_http, malformed_bodies, pictures, long_history, security):
        part(server)
    check("SIGTERM: exit 0", server.end() == 0)
    keys()
    full_disk()
    term_under_load()
    print(f"{len(failures)} failed" if failures else "all held")
    sys.exit(1 if failures else 0)


main()
