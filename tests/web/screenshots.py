"""screenshots.py - the pictures of the page in docs/images/, made anew with the real server and the bundled models:

    tests/web/run.sh BUILD screenshots

Only that the right thing is on them is checked here; they are there to be looked at.
"""
import os

from selenium.webdriver.common.keys import Keys

from browser import GROUNDED, ROOT, PageTest, picture

FOLDER = os.path.join(ROOT, "docs", "images")
SAM = os.path.join(ROOT, "models", "sphinx-sam-nano.gguf")


class Screenshots(PageTest):
    def shoot(self, name):
        os.makedirs(FOLDER, exist_ok=True)
        self.assertTrue(self.driver.save_screenshot(os.path.join(FOLDER, name)))

    def settle(self):
        """Transitions and smooth scrolling come to their end."""
        self.await_js("await Promise.all(document.getAnimations().map(a => a.finished)); await new Promise(resolve => setTimeout(resolve, 600))")

    def test_wide_and_light(self):
        self.screen(1200, 760)
        self.give(picture("person.png"))
        self.ask(GROUNDED)
        self.ask("What color is the striped square?" + Keys.SHIFT + Keys.ENTER + Keys.NULL + "Answer the question using a single word or phrase.")
        self.click(".show")
        self.hover(self.css(".mark")[0])
        self.assertEqual(len(self.shapes()), 2)
        self.settle()
        self.shoot("demo.png")

    def test_phone_and_dark(self):
        self.open(self.server("--sam", SAM))
        self.screen(390, 780, phone=True)
        self.emulate(**{"prefers-color-scheme": "dark"})
        self.give(picture("people.jpg"))
        self.ask(GROUNDED)
        self.click("#show-masks")
        self.wait(lambda: self.run_js("return document.getElementById('masks').width") == 336, "no masks are shown")
        self.run_js("document.activeElement.blur(); for (const e of document.querySelectorAll('*')) e.scrollLeft = 0")
        self.assertEqual(len(self.shapes()), 2)
        self.settle()
        self.shoot("demo-phone.png")
