"""What is done with a conversation: examples, undo, clear, stop, answering again, editing, sliders, saving, reloading."""
from selenium.webdriver.common.keys import Keys

from browser import GROUNDED, PageTest, picture

# Upstream's, to the letter.
EXAMPLES = [
    "What's in the image?", "Generate a detailed description about the image.", "Provide a one-sentence caption for the provided image.",
    "Please provide the bounding box coordinate of the region this sentence describes: blue backpack.",
    "Please provide the bounding box coordinate of the region this sentence describes : people on car.",
    "Describe the image concisely. Include the bounding box for each mentioned object.", "Detect all people shown in the image.",
    "Detect the key points of the person in the region [x1, y1, x2, y2].", "Please detect all texts and provide their bounding box coordinate.",
    "Convert this chart to a table.",
]
SLOW = "A long answer that takes its time to be told to the end, word by word, until somebody has heard enough of it."
SHORT = "Provide a one-sentence caption for the provided image."


class Examples(PageTest):
    def test_a_button_each(self):
        self.assertEqual(len(self.css(".task")), len(EXAMPLES))
        for button, prompt in zip(self.css(".task"), EXAMPLES):
            button.click()
            self.assertEqual(self.question(), prompt)

    def test_the_variable_part_is_selected(self):
        for task, variable in (("rec", "blue backpack"), ("relation", "people on car"), ("keypoints", "[x1, y1, x2, y2]"), ("detection", "people")):
            self.click(f'[data-task="{task}"]')
            selected = self.run_js("const q = document.getElementById('question'); return q.value.slice(q.selectionStart, q.selectionEnd)")
            self.assertEqual(selected, variable)
        self.press("cars")
        self.assertEqual(self.question(), "Detect all cars shown in the image.")


class Turns(PageTest):
    def slow(self):
        self.trouble.say = SLOW
        self.trouble.delay = 0.1

    def begin(self, question=SHORT):
        self.submit(question)
        self.wait(lambda: self.answers() and self.answers()[-1], "nothing comes")

    def test_the_dialogue_is_sent(self):
        self.give(picture("rings.jpg"))
        self.ask(SHORT)
        first = self.answers()[0]
        self.ask("Detect all people shown in the image.")
        messages = self.trouble.asked()[-1]["messages"]
        self.assertEqual([message["role"] for message in messages], ["user", "assistant", "user"])
        self.assertEqual([part["type"] for part in messages[0]["content"]], ["image_url", "text"])
        self.assertEqual(messages[1]["content"], first)
        self.assertEqual(messages[2]["content"], [{"type": "text", "text": "Detect all people shown in the image."}])

    def test_without_a_picture(self):
        self.ask("What is red?")
        self.assertIsNone(self.sent_image(self.trouble.asked()[0]))

    def test_empty_questions_are_ignored(self):
        self.submit("   ")
        self.click("#send")
        self.assertEqual((self.turns(), self.trouble.asked()), (0, []))

    def test_undo(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.ask(SHORT)
        self.click("#undo")
        self.assertEqual(self.texts(".question-text"), [GROUNDED])
        self.assertEqual(len(self.shapes()), 3, "the picture stays, with the boxes of the answer that is last now")
        self.click("#undo")
        self.click("#undo")
        self.assertEqual((self.turns(), self.shapes()), (0, []))
        self.assertTrue(self.one("#picture").is_displayed())

    def test_clear(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.write("Half a quest")
        self.run_js("const s = document.getElementById('temperature'); s.value = 0.5; s.dispatchEvent(new Event('input'))")
        self.click("#clear")
        self.assertEqual((self.turns(), self.question()), (0, ""))
        self.assertFalse(self.one("#picture").is_displayed())
        self.assertEqual(self.one("#temperature").get_attribute("value"), "0.5", "the sliders stay")

    def test_another_picture_begins_a_new_dialogue(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.write("Half a quest")
        self.give(picture("person.png"))
        self.assertEqual((self.turns(), self.question(), self.shapes()), (0, "", []))
        self.ask(SHORT)
        self.assertEqual(len(self.trouble.asked()[-1]["messages"]), 1)
        self.click("#remove")
        self.assertEqual(self.turns(), 0)
        self.assertTrue(self.one("#choose").is_displayed())

    def test_a_question_written_before_its_picture_stays(self):
        self.write("What's in the image?")
        self.give(picture("rings.jpg"))
        self.assertEqual(self.question(), "What's in the image?")

    def test_stop(self):
        for stop in (lambda: self.click("#stop"), lambda: self.press(Keys.ESCAPE)):
            self.slow()
            self.begin()
            self.assertFalse(self.one("#send").is_displayed())
            stop()
            self.wait(self.idle, "it does not stop")
            self.assertEqual(self.texts(".turn:last-child .note"), ["Stopped."])
            text = self.answers()[-1]
            self.assertTrue(SLOW.startswith(text) and 0 < len(text) < len(SLOW), text)
        self.trouble.reset()
        self.ask("What is red?")
        self.assertEqual([message["role"] for message in self.trouble.asked()[-1]["messages"]], ["user", "assistant"] * 2 + ["user"])

    def test_stop_before_the_first_word(self):
        self.slow()
        self.trouble.progress = [{"stage": "queue", "done": 0, "total": 1}] * 50
        self.submit(SHORT)
        self.wait(lambda: self.css(".progress"), "nothing begins")
        self.press(Keys.ESCAPE)
        self.wait(self.idle, "it does not stop")
        self.assertEqual((self.turns(), self.question(), self.texts(".notice")), (0, SHORT, []))

    def test_a_stopped_answer_has_its_boxes(self):
        self.give(picture("rings.jpg"))
        self.slow()
        self.trouble.say = "<p>a ring</p>[0.10,0.10,0.30,0.30] and " + SLOW
        self.submit(GROUNDED)
        self.wait(lambda: self.answers() and "and A" in self.answers()[0], "nothing comes")
        self.click("#stop")
        self.wait(lambda: [shape[0] for shape in self.shapes()] == ["red"], "its box is not shown")
        self.assertEqual(self.texts(".phrase"), ["a ring"])
        self.assertEqual(self.css(".sure"), [], "how sure the model was is not known then")

    def test_answer_again(self):
        self.give(picture("rings.jpg"))
        self.ask(SHORT)
        self.trouble.say = "Another answer."
        self.click(".regenerate")
        self.wait(lambda: self.answers() == ["Another answer."] and self.idle(), "it is not answered again")
        self.assertEqual(self.trouble.asked()[0]["messages"], self.trouble.asked()[1]["messages"])
        self.assertEqual(self.texts(".question-text"), [SHORT])

    def test_only_the_last_can_be_answered_again(self):
        self.ask("What is red?")
        self.ask("What is blue?")
        self.assertEqual([button.is_displayed() for button in self.css(".regenerate")], [False, True])

    def test_edit(self):
        self.give(picture("rings.jpg"))
        self.ask(SHORT)
        self.ask("What is red?")
        self.css(".edit")[0].click()
        box = self.one(".edit-box")
        self.assertEqual(box.get_attribute("value"), SHORT)
        box.clear()
        box.send_keys(GROUNDED + Keys.ENTER)
        self.wait(lambda: self.texts(".question-text") == [GROUNDED] and self.css(".answer.done"), "the edited question is not asked")
        self.assertEqual(len(self.trouble.asked()[-1]["messages"]), 1, "what came after it is gone")
        self.assertEqual(len(self.shapes()), 3)

    def test_edit_given_up(self):
        self.ask("What is red?")
        self.css(".edit")[0].click()
        self.one(".edit-box").send_keys(" or not" + Keys.ESCAPE)
        self.assertEqual(self.texts(".question-text"), ["What is red?"])
        self.assertEqual(self.css(".edit-box"), [])

    def test_lines(self):
        self.write("one" + Keys.SHIFT + Keys.ENTER + Keys.NULL + "two" + Keys.ENTER)
        self.wait(lambda: self.css(".answer.done"), "no answer")
        self.assertEqual(self.trouble.asked()[0]["messages"][0]["content"][0]["text"], "one\ntwo")


class Sliders(PageTest):
    def setUp(self):
        super().setUp()
        self.click("#settings-toggle")

    def set(self, slider, value):
        self.run_js("const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))", slider, value)

    def values(self):
        return [self.one(f"#{slider}-value").text for slider in ("length", "temperature", "top-p")]

    def test_defaults_are_sent(self):
        props = self.await_js("return (await fetch('props')).json()")
        self.assertEqual(self.values(), [str(props["context"] // 4), "0.10", "0.75"], "upstream's")
        self.ask("What is red?")
        asked = self.trouble.asked()[0]
        self.assertEqual((asked["max_tokens"], asked["temperature"], asked["top_p"]), (props["context"] // 4, 0.1, 0.75))

    def test_closing(self):
        for close in (lambda: self.press(Keys.ESCAPE), lambda: self.click("h1"), lambda: self.click("#settings-toggle")):
            if not self.one("#settings").is_displayed():
                self.click("#settings-toggle")
            self.assertTrue(self.one("#settings").is_displayed())
            close()
            self.assertFalse(self.one("#settings").is_displayed())

    def test_ends_and_steps(self):
        self.set("length", 0)
        self.assertEqual(self.values()[0], "1")
        self.run_js("document.getElementById('length').focus()")
        self.press(Keys.ARROW_RIGHT)
        self.assertEqual(self.values()[0], "10")
        self.press(Keys.ARROW_RIGHT)
        self.assertEqual(self.values()[0], "20")
        for slider in ("temperature", "top-p"):
            element = self.one(f"#{slider}")
            self.assertEqual([element.get_attribute(name) for name in ("min", "max", "step")], ["0", "1", "0.01"])

    def test_they_are_sent_and_kept(self):
        self.set("length", 2)
        self.set("temperature", 0.33)
        self.set("top-p", 1)
        self.ask("What is red?")
        asked = self.trouble.asked()[0]
        self.assertEqual((asked["max_tokens"], asked["temperature"], asked["top_p"]), (20, 0.33, 1))
        self.open()
        self.click("#settings-toggle")
        self.assertEqual(self.values(), ["20", "0.33", "1.00"])
        self.click("#reset")
        self.assertEqual(self.values()[1:], ["0.10", "0.75"])


class Saving(PageTest):
    def setUp(self):
        super().setUp()
        self.give(picture("person.png"))
        self.ask(GROUNDED)

    def test_json(self):
        kept = self.kept()
        self.assertEqual((kept["model"], kept["image"]), ("sphinx-nano", {"name": "person.png", "width": 336, "height": 336}))
        self.assertEqual([turn["question"] for turn in kept["turns"]], [GROUNDED])
        self.assertRegex(kept["turns"][0]["answer"], r"^A <p>person in orange</p>\[")
        self.assertEqual([region["phrase"] for region in kept["turns"][0]["regions"]], ["person in orange", "yellow square"])

    def test_markdown(self):
        text = self.save("#save-markdown", "conversation.md").decode()
        self.assertTrue(text.startswith("# Conversation with sphinx-nano\n\nPicture: person.png, 336 × 336\n"), text)
        self.assertIn(f"## Question\n\n    {GROUNDED}\n\n## Answer\n\n    A <p>person in orange</p>[", text)
        self.assertRegex(text, r"- person in orange: box \d+\.\d, \d+\.\d, \d+\.\d, \d+\.\d \(\d+ %\)\n")

    def test_picture_with_boxes(self):
        """The corners of the boxes have their colours, and what is between them has the picture's."""
        x1, y1, x2, y2 = [int(v) for v in self.kept()["turns"][0]["regions"][0]["boxes"][0]["box"]]
        with open(picture("person.png"), "rb") as file:
            plain = file.read()
        inside = ((x1 + x2) // 2, y1 + 40)
        size, corner, edge, other, body = self.pixels(self.save("#save-boxes", "boxes.png"), (x1, y1), (x2, y1 + 9), (x1 - 2, y1), inside)
        self.assertEqual(size, [336, 336])
        self.assertEqual((corner, edge), ([0, 0, 255], [0, 0, 255]), "the first of two phrases is blue")
        self.assertEqual([other, body], self.pixels(plain, (x1 - 2, y1), inside)[1:])

    def test_picture_with_masks_needs_a_segmenter(self):
        self.trouble.props = {"sam": None}
        self.open()
        self.click("#export summary")
        self.click("#save-masks")
        self.assertIn("start it with --sam FILE", self.notice())

    def test_nothing_to_draw(self):
        self.click("#clear")
        self.click("#export summary")
        self.click("#save-boxes")
        self.assertIn("ask something about a picture first", self.notice())

    def test_copy(self):
        self.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
        self.css(".answer-tools button")[0].click()
        self.assertEqual(self.await_js("return navigator.clipboard.readText()"), self.kept()["turns"][0]["answer"])


class Reload(PageTest):
    def test_everything_is_there_again(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.write("Half a quest")
        answers, shapes = self.answers(), self.shapes()
        self.open()
        self.wait(lambda: self.answers() == answers, "the conversation is gone")
        self.wait(lambda: self.run_js("return document.getElementById('picture').naturalWidth") == 336, "the picture is gone")
        self.assertEqual((self.shapes(), self.question()), (shapes, "Half a quest"))
        self.assertIn("rings.jpg", self.one("#picture-name").text)
        self.one("#question").clear()
        self.ask(SHORT)
        with open(picture("rings.jpg"), "rb") as file:
            self.assertEqual(self.sent_image(self.trouble.asked()[-1]), file.read())
        self.assertEqual(len(self.trouble.asked()[-1]["messages"]), 3)

    def test_in_the_middle_of_an_answer(self):
        self.give(picture("rings.jpg"))
        self.trouble.say = SLOW
        self.trouble.delay = 0.15
        self.submit(SHORT)
        self.wait(lambda: self.answers() and len(self.answers()[0]) > 25, "nothing comes")
        self.open()
        self.wait(lambda: self.css(".answer.interrupted"), "it is not marked as interrupted")
        self.assertIn("Interrupted", self.one(".answer .note").text)
        self.assertTrue(SLOW.startswith(self.answers()[0]) and self.answers()[0], self.answers())
        self.trouble.reset()
        self.click(".regenerate")
        self.wait(lambda: self.css(".answer.done"), "it cannot be answered again")
        self.assertEqual(self.texts(".question-text"), [SHORT])

    def test_what_was_cleared_stays_away(self):
        self.give(picture("rings.jpg"))
        self.ask(SHORT)
        self.click("#clear")
        self.open()
        self.wait(lambda: "Ready" in self.one("#status").text, "the page does not start")
        self.assertEqual(self.turns(), 0)
        self.assertFalse(self.one("#picture").is_displayed())

    def test_tabs_do_not_disturb_each_other(self):
        self.ask("What is red?")
        first = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        try:
            self.open()
            self.assertEqual(self.turns(), 0)
            self.ask("What is blue?")
        finally:
            self.driver.close()
            self.driver.switch_to.window(first)
        self.open()
        self.wait(lambda: self.texts(".question-text") == ["What is red?"], "the other tab took its place")
