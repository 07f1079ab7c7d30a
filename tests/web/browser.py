"""browser.py - headless Chromium with the page in it, and what the tests do with it. The session is started by run.py:

    real server (sphinx serve, bundled model) - trouble.py - Chromium
"""
import base64
import json
import os
import time
import unittest

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.chrome.service import Service

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PICTURES = os.path.join(ROOT, "examples", "pictures")
GROUNDED = "Describe the image concisely. Include the bounding box for each mentioned object."
WAIT = 30 # seconds: for a busy machine; what is waited for comes at once otherwise


def picture(name):
    return os.path.join(PICTURES, name)


def start_chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,820",
                 "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


class PageTest(unittest.TestCase):
    """One browser and one server for all tests; each begins with an empty page at 1280 x 820."""

    driver = None  # set by run.py
    trouble = None
    server = None  # starts another server: server("--api-key", "x", embedded=False) -> its URL
    downloads = None

    def setUp(self):
        self.trouble.reset()
        old = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab") # which has no sessionStorage yet
        new = self.driver.current_window_handle
        self.driver.switch_to.window(old)
        self.driver.close()
        self.driver.switch_to.window(new)
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": self.trouble.url.rstrip("/"), "storageTypes": "all"})
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": self.downloads})
        self.screen(1280, 820)
        self.open()

    def tearDown(self):
        faults = [entry["message"] for entry in self.driver.get_log("browser")
                  if entry["level"] == "SEVERE" and not entry["message"].split(" - ")[-1].startswith("Failed to load resource")]
        self.assertEqual(faults, [], "the browser's console has errors")

    # ---- the page ----

    def open(self, url=None):
        self.driver.get(url or self.trouble.url)
        self.wait(lambda: self.css("#status")[0].get_attribute("data-state") is not None, "the page does not start")

    def screen(self, width, height, phone=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})

    def emulate(self, **features):
        """emulate(**{"prefers-color-scheme": "dark"})"""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": n, "value": v} for n, v in features.items()]})

    def wait(self, condition, complaint):
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.03)
        self.fail(complaint)

    def css(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        found = self.css(selector)
        self.assertEqual(len(found), 1, selector)
        return found[0]

    def texts(self, selector):
        return self.run_js("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)

    def click(self, selector):
        self.one(selector).click()

    def run_js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def await_js(self, script, *arguments):
        """script is the body of an async function."""
        value = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; (async function () {" + script + "})"
            ".apply(null, [...arguments].slice(0, -1)).then(done, e => done('failed: ' + e))", *arguments)
        self.assertFalse(isinstance(value, str) and value.startswith("failed: "), value)
        return value

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def hover(self, element):
        ActionChains(self.driver).move_to_element(element).perform()

    def leave(self):
        ActionChains(self.driver).move_to_element(self.one("h1")).perform()

    # ---- what users do ----

    def give(self, path):
        """Chooses a file."""
        before = self.run_js("return document.getElementById('picture').src")
        self.one("#file").send_keys(path)
        self.wait(lambda: self.run_js("const i = document.getElementById('picture'); return i.complete && i.naturalWidth && i.src", before) not in (before, 0, None, ""),
                  "the picture is not shown")

    def question(self):
        return self.run_js("return document.getElementById('question').value")

    def write(self, text):
        self.one("#question").click()
        self.one("#question").send_keys(text)

    def submit(self, text):
        self.write(text + Keys.ENTER)

    def turns(self):
        return len(self.css(".turn"))

    def idle(self):
        return not self.one("#stop").is_displayed()

    def ask(self, text):
        """Asks and waits for the complete answer."""
        n = self.turns()
        self.submit(text)
        self.wait(lambda: self.turns() == n + 1 and self.idle(), f"no answer to {text!r}")
        self.assertEqual(len(self.css(".turn:last-child .answer.done")), 1, self.texts(".notice"))

    def notice(self):
        return self.wait(lambda: " ".join(self.texts(".notice p")), "no message is shown")

    def answers(self):
        return self.run_js("return [...document.querySelectorAll('.answer-text')].map(e => e.textContent)")

    def saved(self, name):
        """The bytes of a file that the page gives to keep."""
        path = os.path.join(self.downloads, name)
        self.wait(lambda: os.path.exists(path), f"{name} was not saved")
        with open(path, "rb") as file:
            content = file.read()
        os.remove(path)
        return content

    def save(self, item, name):
        self.click("#export summary")
        self.click(item)
        return self.saved(name)

    def pixels(self, png, *places):
        """Size and colours of a PNG, as the browser reads it."""
        return self.await_js("""
            const [data, places] = arguments;
            const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(data), c => c.charCodeAt(0))]));
            const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
            canvas.getContext("2d").drawImage(bitmap, 0, 0);
            return [[bitmap.width, bitmap.height], ...places.map(([x, y]) => [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3))];
        """, base64.b64encode(png).decode(), [list(place) for place in places])

    # ---- what the server said ----

    def sent_image(self, body):
        """The bytes of the picture in a request, None without one."""
        urls = [part["image_url"]["url"] for message in body["messages"] if isinstance(message["content"], list)
                for part in message["content"] if part["type"] == "image_url"]
        self.assertLessEqual(len(urls), 1)
        return base64.b64decode(urls[0].split(",", 1)[1]) if urls else None

    def kept(self):
        """The conversation as the page saves it."""
        return json.loads(self.save("#save-json", "conversation.json"))

    def shapes(self):
        """The boxes on the picture: [class of the region, x1, y1, x2, y2] in its pixels."""
        return self.run_js("""return [...document.querySelectorAll("#overlay .region")].flatMap(g => [...g.querySelectorAll(".box")].map(r => {
            const n = name => Number(r.getAttribute(name));
            return [g.classList[1], n("x"), n("y"), n("x") + n("width"), n("y") + n("height")];
        }))""")
