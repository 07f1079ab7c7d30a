"""run.py BUILD [TEST ...] - see run.sh."""
import glob
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from browser import ROOT, PageTest, start_chromium # noqa: E402
from trouble import Trouble # noqa: E402


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Servers:
    """Real servers, each on a port of its own, ended together."""

    def __init__(self, build):
        self.build = build
        self.running = []

    def start(self, *options, embedded=False):
        """Its port. Its page is the one in the tree, so that it can be worked on without building, or the one in the program."""
        port = free_port()
        command = [os.path.join(self.build, "sphinx"), "serve", "-m", os.path.join(ROOT, "models", "sphinx-nano.gguf"), "--port", str(port)]
        command += [*([] if embedded else ["--web-path", os.path.join(ROOT, "web")]), *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        self.running.append(process)
        for _ in range(600):
            if process.poll() is not None:
                sys.exit(f"{' '.join(command)} ended with {process.returncode}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                return port
            except OSError:
                time.sleep(0.1)
        sys.exit("the server did not become ready within a minute")

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: tests/web/run.sh BUILD [TEST ...]")
    servers = Servers(os.path.abspath(sys.argv[1]))
    driver = None
    try:
        trouble = Trouble(servers.start())
        driver = start_chromium()
        with tempfile.TemporaryDirectory() as downloads:
            PageTest.driver, PageTest.trouble, PageTest.downloads = driver, trouble, downloads
            PageTest.server = staticmethod(lambda *options, **how: f"http://127.0.0.1:{servers.start(*options, **how)}/")
            files = sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(HERE, "test_*.py")))
            suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[2:] or files)
            result = unittest.TextTestRunner(verbosity=2).run(suite)
    finally:
        if driver is not None:
            driver.quit()
        servers.stop()
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)


main()
