"""An answer as a picture, made by another server (--image-api)."""
import threading

from browser import GROUNDED, PageTest, picture
from image_server import COLOR, SIZE, ImageServer, png
from test_access import CONTRAST

MADE = ".made img"


class WithoutServer(PageTest):
    def test_what_is_missing(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        button = self.one(".imagine")
        self.assertEqual((button.get_attribute("aria-label"), button.text), ("Make a picture of this", ""), "it is there, but not in the way")
        button.click()
        self.assertEqual(self.texts(".made .note"), ["Making pictures needs an image server, which this server does not know: start it with --image-api URL."])
        self.assertEqual(self.trouble.asked("/v1/images/generations"), [])


class WithServer(PageTest):
    @classmethod
    def setUpClass(cls):
        cls.images = ImageServer()
        cls.url = cls.server("--image-api", cls.images.url)

    @classmethod
    def tearDownClass(cls):
        cls.images.close()

    def setUp(self):
        super().setUp()
        self.images.asked, self.images.refuse, self.images.hold = [], None, None
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": self.url.rstrip("/"), "storageTypes": "all"})
        self.open(self.url)
        self.wait(lambda: self.css(".has-image-api"), "the page does not learn of it")
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)

    def make(self):
        self.run_js("document.querySelector('.imagine').scrollIntoView({ block: 'center', behavior: 'instant' })")
        self.click(".imagine")
        self.wait(lambda: self.run_js("return document.querySelector(arguments[0])?.naturalWidth", MADE), "no picture")

    def test_a_picture_of_the_answer(self):
        phrases = self.texts(".phrase")
        self.assertEqual(self.one(".imagine").text, "Make a picture of this")
        self.make()
        prompt = self.images.asked[0]["prompt"]
        self.assertEqual(self.images.asked[0]["response_format"], "b64_json")
        for phrase in phrases:
            self.assertIn(phrase, prompt)
        self.assertNotRegex(prompt, r"[\[\]<>]|  | [.,]", "places in the other picture are no part of it")
        self.assertEqual(self.one(MADE).get_attribute("alt"), f"Picture made of the words: {prompt}")
        self.assertEqual(self.run_js("const i = document.querySelector(arguments[0]); return [i.naturalWidth, i.naturalHeight]", MADE), list(SIZE))

    def test_save(self):
        self.make()
        self.click(".save-made")
        self.assertEqual(self.saved("made.png"), png(SIZE, COLOR), "the bytes that the other server sent")

    def test_a_dialogue_about_it(self):
        self.make()
        self.click(".take-made")
        self.wait(lambda: self.one("#picture-name").text.startswith("made.png, 96 × 64"), "it is not the picture")
        self.assertEqual(self.turns(), 0)
        self.ask("What is red?")

    def test_it_is_kept(self):
        self.make()
        self.ask("What else?")
        self.assertEqual(len(self.css(MADE)), 1)
        self.driver.refresh()
        self.wait(lambda: self.run_js("return document.querySelector(arguments[0])?.naturalWidth", MADE) == SIZE[0], "it is lost by a reload")

    def test_errors(self):
        self.images.refuse = "no picture of this is made here"
        self.click(".imagine")
        self.wait(lambda: self.css(".made [role=alert]"), "nothing is told")
        self.assertIn("There is no picture. ", self.texts(".made .note")[0])
        self.assertIn("no picture of this is made here", self.texts(".made .note")[0], "with the reason")
        self.images.refuse = None
        self.make()
        self.assertEqual(self.css(".made .note"), [], "and it can be tried again")

    def test_waiting_and_cancel(self):
        self.images.hold = threading.Event()
        self.click(".imagine")
        self.wait(lambda: self.texts(".made .progress span") == ["Making a picture of thisCancel"], "nothing says that it is under way")
        self.click(".imagine") # once more: nothing
        self.click(".made .link")
        self.wait(lambda: self.texts(".made *") == [], "it goes on")
        self.images.hold.set()
        self.assertEqual(len(self.images.asked), 1)
        self.images.hold = None
        self.make()

    def test_phone_and_contrast(self):
        self.screen(360, 740, phone=True)
        self.make()
        self.assertEqual(self.run_js("return document.documentElement.scrollWidth"), 360)
        self.assertLessEqual(self.one(MADE).rect["x"] + self.one(MADE).rect["width"], 360)
        self.wait(lambda: self.run_js("return document.querySelector('.take-made').getBoundingClientRect().bottom < document.querySelector('#scroll').getBoundingClientRect().bottom"),
                  "what can be done with it is not to be seen")
        self.leave()
        self.wait(lambda: self.run_js("return document.getAnimations().length") == 0, "it does not settle")
        self.assertEqual(self.run_js(CONTRAST), [])
