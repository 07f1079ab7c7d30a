"""The attention view: a word of an answer is chosen, the picture glows where the model looked."""
import threading

from selenium.webdriver.common.keys import Keys

from browser import GROUNDED, PageTest, picture
from test_access import CONTRAST

# A word behind a character of two UTF-16 units, and a region.
ANSWER = "Look \U0001F600: a red ring at <p>the star</p>[0.10,0.20,0.40,0.50]."


def grid(side, cells):
    """Weights that are zero but for {(row, column): weight}."""
    return [cells.get((i // side, i % side), 0) for i in range(side * side)]


class AttentionTest(PageTest):
    def begin(self, answer=ANSWER, name="cross.jpg"):
        """An answer, and the view on."""
        self.trouble.say = answer
        self.give(picture(name))
        self.ask(GROUNDED)
        self.click("#attention")

    def word(self, text):
        return next(word for word in self.css(".word") if word.text == text)

    def note(self):
        return self.one("#attention-note").text

    def told(self, text):
        self.wait(lambda: "attention was on" in self.note() and f"“{text}”" in self.note(), f"nothing is told of {text!r}")
        return self.note()

    def canvas(self):
        return self.run_js("const c = document.getElementById('heat'); return [c.width, c.height]")

    def light(self, x, y):
        """Red, green, blue and opacity at a pixel."""
        return self.run_js("return [...document.getElementById('heat').getContext('2d').getImageData(arguments[0], arguments[1], 1, 1).data]", x, y)


class Choosing(AttentionTest):
    def test_what_is_asked(self):
        """Characters are counted as Unicode has them, in answers with regions, too."""
        self.begin()
        for text in ("red", "star", "[0.10,0.20,0.40,0.50]"):
            self.word(text).click()
            self.told(text)
            body = self.trouble.asked("/v1/attention")[-1]
            self.assertEqual((body["answer"], body["answer"][body["start"]:body["end"]]), (ANSWER, text))
            self.assertEqual([message["role"] for message in body["messages"]], ["user"])
            self.assertIsNotNone(self.sent_image(body))
            self.assertEqual(self.texts('.word[aria-pressed="true"]'), [text])

    def test_a_word_of_an_older_answer(self):
        """The dialogue is sent as it was up to then, and the picture shows that answer's boxes."""
        self.trouble.say = ANSWER
        self.give(picture("cross.jpg"))
        self.ask(GROUNDED)
        self.trouble.say = "Nothing else."
        self.ask("What else?")
        self.click("#attention")
        self.word("else").click()
        self.told("else")
        self.assertEqual([message["role"] for message in self.trouble.asked("/v1/attention")[-1]["messages"]], ["user", "assistant", "user"])
        self.assertEqual(self.shapes(), [])
        self.word("ring").click()
        self.told("ring")
        body = self.trouble.asked("/v1/attention")[-1]
        self.assertEqual([message["role"] for message in body["messages"]], ["user"])
        self.assertEqual(body["messages"][0]["content"][1]["text"], GROUNDED)
        self.assertEqual(len(self.shapes()), 1)

    def test_words_without_spaces(self):
        self.begin("图中有一个红色的圆环。")
        self.assertGreater(len(self.css(".word")), 3)

    def test_by_keyboard(self):
        self.begin()
        self.click("#attention")
        self.run_js("document.getElementById('attention').focus()")
        self.press(Keys.ENTER)
        focus = lambda: self.run_js("return document.activeElement.textContent")
        self.assertEqual(focus(), "Look")
        self.press(Keys.ARROW_LEFT)
        self.assertEqual(focus(), "Look", "there is nothing before it")
        self.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        self.assertEqual(focus(), "red")
        self.assertEqual(len(self.css('.word[tabindex="0"]')), 1, "Tab reaches one of them")
        self.press(Keys.END)
        self.assertEqual(focus(), "[0.10,0.20,0.40,0.50]")
        self.press(Keys.HOME, Keys.ARROW_RIGHT, Keys.ENTER)
        self.told("a")
        self.assertEqual(focus(), "a", "the focus stays where it was")
        self.press(Keys.ESCAPE)
        self.assertEqual(self.run_js("return document.activeElement.id"), "attention")
        self.assertEqual((self.css(".word[role], .word[tabindex]"), self.canvas()), ([], [1, 1]))

    def test_marks_are_no_buttons_meanwhile(self):
        self.begin()
        self.assertEqual([mark.get_attribute("role") for mark in self.css(".mark")], ["group"])
        self.word("star").click()
        self.told("star")
        self.leave()
        self.assertEqual(self.css(".mark.active"), [], "a click chooses a word and nothing else")
        self.click("#attention")
        self.css(".mark")[0].click()
        self.leave()
        self.assertEqual(len(self.css(".mark.active")), 1, "marks are what they were")

    def test_before_the_first_answer(self):
        self.give(picture("cross.jpg"))
        self.click("#attention")
        self.assertIn("Ask something about the picture first", self.note())
        self.ask("What is red?")
        self.assertIn("Choose a word", self.note())
        self.assertTrue(self.css(".word[role=button]"), "the words of a new answer can be chosen")

    def test_it_ends_with_what_it_was_about(self):
        self.begin()
        self.word("red").click()
        self.told("red")
        self.click("#undo")
        self.assertEqual(self.canvas(), [1, 1])
        self.assertIn("Ask something", self.note())
        self.give(picture("rings.jpg"))
        self.assertFalse(self.one("#attention-bar").is_displayed())


class Glow(AttentionTest):
    def test_it_is_the_servers_picture(self):
        """The page's glow over the picture against what the server draws for the same word, all pixels of it."""
        self.give(picture("cross.jpg"))
        self.ask(GROUNDED)
        self.click("#attention")
        self.css(".word")[1].click()
        self.wait(lambda: self.canvas() == [252, 336], "nothing glows")
        body = self.trouble.asked("/v1/attention")[-1]
        difference, spread = self.await_js("""
            const reply = await fetch("v1/attention", { method: "POST", headers: { "Content-Type": "application/json" },
                body: JSON.stringify({ ...arguments[0], picture: true }) });
            const pixels = image => {
                const canvas = new OffscreenCanvas(252, 336).getContext("2d");
                image.forEach(part => canvas.drawImage(part, 0, 0));
                return canvas.getImageData(0, 0, 252, 336).data;
            };
            const drawn = new Image();
            drawn.src = (await reply.json()).picture;
            await drawn.decode();
            const [plain] = [pixels([document.getElementById("picture")])];
            const [ours, theirs] = [pixels([document.getElementById("picture"), document.getElementById("heat")]), pixels([drawn])];
            let difference = 0, spread = 0;
            for (let i = 0; i < ours.length; i++) {
                difference = Math.max(difference, Math.abs(ours[i] - theirs[i]));
                spread = Math.max(spread, Math.abs(plain[i] - theirs[i]));
            }
            return [difference, spread];
        """, body)
        self.assertGreater(spread, 60, "the server's picture does not glow: nothing is tested")
        self.assertLessEqual(difference, 4)

    def test_whole_and_parts(self):
        """The square has 42 empty pixels left and right of the picture, 252 x 336."""
        views = [grid(4, {(0, 1): 0.02, (3, 1): 0.1}), grid(4, {}), grid(4, {(0, 1): 0.25}), grid(4, {}), grid(4, {})]
        self.trouble.attention = (200, {"object": "attention", "views": 5, "side": 4, "weights": views})
        self.begin()
        self.word("red").click()
        self.assertEqual(self.told("red"), "“red”: 12 % of the model's attention was on the whole picture, most of it at the bottom.")
        self.assertGreater(min(self.light(126 - 42, 294)[:2]), 210, "the middle of the last row's second patch is brightest")
        dim = self.light(126 - 42, 42)
        self.assertLess(dim[1], 60, "where a fifth of it is, it is not yellow")
        self.assertEqual(self.light(200, 160), [0, 0, 0, 128], "dark where it is nothing")
        self.click("#attention-parts")
        self.assertEqual(self.told("red"), "“red”: 25 % of the model's attention was on the picture's parts, most of it at the top right.")
        self.assertGreater(min(self.light(231 - 42, 21)[:2]), 210, "the second patch of the second part, which is top right")
        self.assertEqual(self.light(126 - 42, 294), [0, 0, 0, 128])
        self.assertEqual(self.one("#attention-parts").get_attribute("aria-pressed"), "true")

    def test_nothing_at_all(self):
        self.trouble.attention = (200, {"object": "attention", "views": 1, "side": 2, "weights": [grid(2, {})]})
        self.begin()
        self.word("red").click()
        self.told("red")
        self.assertEqual(self.light(126, 168), [0, 0, 0, 128])
        self.assertFalse(self.one("#attention-views").is_displayed(), "there is one view: nothing to choose")


class Waiting(AttentionTest):
    def test_loading(self):
        self.trouble.hold = threading.Event()
        self.begin()
        self.word("red").click()
        self.wait(lambda: "Finding out" in self.note(), "nothing says that it is under way")
        self.assertTrue(self.one("#attention-progress").is_displayed())
        self.word("ring").click()
        self.trouble.hold.set()
        self.told("ring")
        self.assertFalse(self.one("#attention-progress").is_displayed())
        self.assertEqual(self.texts('.word[aria-pressed="true"]'), ["ring"], "the word before it was given up")

    def test_errors(self):
        self.trouble.attention = (400, {"error": {"message": "this variant has no patches", "type": "invalid_request_error"}})
        self.begin()
        self.word("red").click()
        self.wait(lambda: "It is not known where the model looked. this variant has no patches" in self.note(), "the reason is not told")
        self.assertEqual((self.canvas(), self.one("#attention-bar").get_attribute("data-state")), ([1, 1], "error"))
        self.trouble.attention = None
        self.word("red").click()
        self.told("red")
        self.trouble.gone = True
        self.word("ring").click()
        self.wait(lambda: "The server does not answer." in self.note(), "nothing says that the server is gone")

    def test_escape(self):
        """Stops an answer first; the view is left after that."""
        self.begin()
        self.trouble.delay = 0.2
        self.submit("What else?")
        self.wait(lambda: self.css(".answer.streaming"), "no answer")
        self.press(Keys.ESCAPE)
        self.wait(self.idle, "it is not stopped")
        self.assertEqual(self.one("#attention").get_attribute("aria-pressed"), "true")
        self.press(Keys.ESCAPE)
        self.assertEqual(self.one("#attention").get_attribute("aria-pressed"), "false")


class Looks(AttentionTest):
    def test_phone(self):
        self.screen(360, 740, phone=True)
        self.begin()
        self.word("red").click()
        self.told("red")
        width, parts = self.run_js("""
            return [document.documentElement.scrollWidth, ["#frame", "#attention-note", ".word[aria-pressed=true]", "#question"]
                .map(name => document.querySelector(name).getBoundingClientRect()).map(r => [r.left, r.right, r.top, r.bottom])];
        """)
        self.assertEqual(width, 360)
        for left, right, top, bottom in parts:
            self.assertTrue(0 <= left < right <= 360 and 0 <= top < bottom <= 740, (parts, "picture, note, word and question are on the screen"))

    def test_contrast(self):
        for theme in ("light", "dark"):
            self.emulate(**{"prefers-color-scheme": theme})
            self.begin()
            self.word("red").click()
            self.told("red")
            self.leave()
            self.wait(lambda: self.run_js("return document.getAnimations().length") == 0, "it does not settle")
            self.assertEqual(self.run_js(CONTRAST), [], theme)
            self.click("#clear")
