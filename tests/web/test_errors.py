"""What goes wrong, and that the page says so, keeps the question, and goes on when it can."""
from selenium.webdriver.common.keys import Keys

from browser import GROUNDED, PageTest, picture

QUESTION = "Provide a one-sentence caption for the provided image."


class Failures(PageTest):
    def failed(self, *words):
        """A message with these words; the turn is gone and its question back in the box."""
        message = self.notice()
        for word in words:
            self.assertIn(word, message)
        self.assertEqual(self.css(".notice[role=alert]") != [], True, "screen readers must hear of it at once")
        self.wait(self.idle, "the page still waits")
        self.assertEqual((self.turns(), self.question()), (0, QUESTION))

    def test_server_gone_and_back(self):
        self.trouble.gone = True
        self.submit(QUESTION)
        self.failed("The server does not answer. Is it running?")
        self.assertEqual(self.one("#status").get_attribute("data-state"), "gone")
        self.trouble.gone = False
        self.wait(lambda: self.one("#status").get_attribute("data-state") == "ready", "the page does not notice that it is back")
        self.press(Keys.ENTER)
        self.wait(lambda: self.css(".answer.done"), "the question cannot be asked again")

    def test_try_again(self):
        self.trouble.gone = True
        self.submit(QUESTION)
        self.failed("does not answer")
        self.trouble.gone = False
        self.css(".notice button")[0].click()
        self.wait(lambda: self.css(".answer.done"), "it is not asked again")
        self.assertEqual((self.texts(".question-text"), self.question(), self.texts(".notice")), ([QUESTION], "", []))

    def test_broken_off(self):
        self.trouble.say = "An answer that nobody will hear to its end."
        self.trouble.delay = 0.05
        self.trouble.cut_after = 3
        self.submit(QUESTION)
        self.failed("The server ended the answer before it was complete.")

    def test_busy(self):
        """Two refusals with Retry-After, then an answer, without anything to be done."""
        self.trouble.busy = 2
        self.submit(QUESTION)
        self.wait(lambda: "The server is busy. Next try in 1 s" in self.texts(".progress-text"), "nothing says what it waits for")
        self.wait(lambda: self.css(".answer.done"), "it is not tried again")
        self.assertEqual(len(self.trouble.asked()), 3)

    def test_busy_and_given_up(self):
        self.trouble.busy = 100
        self.submit(QUESTION)
        self.wait(lambda: self.trouble.busy < 100, "nothing is asked")
        self.wait(lambda: self.texts(".progress-text"), "nothing waits")
        self.press(Keys.ESCAPE)
        self.wait(self.idle, "it cannot be stopped")
        self.assertEqual((self.turns(), self.question(), self.texts(".notice")), (0, QUESTION, []))

    def test_refused(self):
        """The reason that the server gives is shown: here a picture that only the browser can read to its end."""
        self.give(picture("rings.jpg"))
        self.run_js("""
            const fetched = window.fetch;
            window.fetch = (path, options) => fetched(path, path.endsWith("completions")
                ? { ...options, body: options.body.replace(/base64,[^"]*/, "base64,AAAA") } : options);
        """)
        self.submit(QUESTION)
        self.failed("image")
        self.assertTrue(self.one("#picture").is_displayed(), "the picture stays")

    def test_a_failure_takes_nothing_else_with_it(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        answers, shapes = self.answers(), self.shapes()
        self.trouble.gone = True
        for fail in (lambda: self.submit(QUESTION), lambda: self.click(".regenerate")):
            fail()
            self.notice()
            self.wait(self.idle, "the page still waits")
            self.assertEqual((self.answers(), self.shapes()), (answers, shapes), "the dialogue is as it was before")
            self.assertEqual(self.question(), QUESTION)
            self.click(".notice [aria-label='Close the message']")
            self.assertEqual(self.texts(".notice"), [])

    def test_an_edit_that_fails(self):
        self.ask("What is red?")
        answers = self.answers()
        self.trouble.gone = True
        self.css(".edit")[0].click()
        self.one(".edit-box").clear()
        self.one(".edit-box").send_keys(QUESTION + Keys.ENTER)
        self.notice()
        self.wait(self.idle, "the page still waits")
        self.assertEqual((self.answers(), self.question()), (answers, QUESTION))


class Key(PageTest):
    """A server that wants a key, without the proxy between."""

    def open_locked(self):
        self.driver.get(self.server("--api-key", "open-sesame"))
        self.wait(lambda: self.one("#key-dialog").is_displayed(), "the key is not asked for")

    def give_key(self, key):
        self.one("#key").send_keys(key + Keys.ENTER)

    def test_key(self):
        self.open_locked()
        self.assertEqual(self.one("#key").get_attribute("type"), "password")
        self.give_key("wrong")
        self.wait(lambda: "not accepted" in self.one("#key-reason").text, "a wrong key must be said to be wrong")
        self.give_key("open-sesame")
        self.wait(lambda: "Ready" in self.one("#status").text, "the right key does not open")
        self.ask("What is red?")
        self.assertEqual(self.run_js("return [sessionStorage.getItem('sphinx-key'), JSON.stringify(localStorage).includes('sesame')]"),
                         ["open-sesame", False], "it is kept for this tab only")
        self.driver.refresh()
        self.wait(lambda: "Ready" in self.one("#status").text, "it is asked for again after a reload")
        self.assertFalse(self.one("#key-dialog").is_displayed())

    def test_no_key(self):
        self.open_locked()
        self.press(Keys.ESCAPE)
        self.wait(lambda: "Not connected" in self.one("#status").text, "the page does not say that it is not connected")
        self.assertIn("key", self.notice())
