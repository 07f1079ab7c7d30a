"""What an answer looks like: streamed text, marked phrases and boxes that point at each other, confidence, skeletons, masks, progress."""
import json
import os
import threading
import urllib.request

from selenium.webdriver.common.action_chains import ActionChains

from browser import GROUNDED, ROOT, PageTest, picture

TWO_PEOPLE = ("<p>nose</p>[0.20,0.20] <p>left eye</p>[0.22,0.18] <p>right eye</p>[0.18,0.18] "
              "<p>nose</p>[0.70,0.60] <p>left eye</p>[0.72,0.58] <p>left ear</p>[0.75,0.59]")
TWO_BOXES = "<p>one</p>[0.10,0.20,0.40,0.50] and <p>two</p>[0.30,0.30,0.90,0.80]"


def run_lengths(values):
    """COCO's compressed form of a mask's runs."""
    text = ""
    for i, value in enumerate(values):
        rest = value - values[i - 2] if i > 2 else value
        while True:
            group = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if group & 0x10 else 0)
            text += chr((group | (0x20 if more else 0)) + 48)
            if not more:
                break
    return text


def mask(region, width, height, x1, y1, x2, y2):
    """A mask that is a rectangle, as /v1/ground gives it. Runs go down the columns, the first outside."""
    runs = [x1 * height + y1]
    for _ in range(x2 - x1 - 1):
        runs += [y2 - y1, height - (y2 - y1)]
    runs += [y2 - y1, width * height - (x2 - 1) * height - y2]
    return {"region": region, "box": 0, "confidence": 0.9, "rle": {"size": [height, width], "counts": run_lengths(runs)}}


class Streaming(PageTest):
    def test_text_comes_piece_by_piece(self):
        self.give(picture("rings.jpg"))
        self.trouble.say = TWO_BOXES
        self.trouble.delay = 0.15
        self.submit(GROUNDED)
        seen = set()
        self.wait(lambda: seen.add("".join(self.answers())) or self.css(".answer.done"), "no answer")
        parts = sorted((text for text in seen if text and text != self.answers()[0]), key=len)
        self.assertGreater(len(parts), 3, "the answer came as one piece")
        self.assertTrue(all(TWO_BOXES.startswith(text) for text in parts), parts)
        self.assertEqual([text.replace(" %", "") for text in self.answers()], ["one[0.10,0.20,0.40,0.50] and two[0.30,0.30,0.90,0.80]"])

    def test_old_boxes_go_while_the_next_answer_comes(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.assertEqual(len(self.shapes()), 3)
        self.trouble.delay = 0.2
        self.submit("Generate a detailed description about the image.")
        self.wait(lambda: self.css(".answer.streaming"), "no new answer")
        self.assertEqual(self.shapes(), [])
        self.wait(self.idle, "the answer does not end")

    def test_markup_is_shown_not_obeyed(self):
        self.give(picture("rings.jpg"))
        self.trouble.delay = 0.02
        self.trouble.say = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\"> <p><b>bold</b></p>[0.1,0.1,0.2,0.2]"
        self.ask("<script>document.title = 'asked'</script>")
        self.assertIn("<script>document.title = 'taken'</script><img src=x onerror=", self.answers()[0])
        self.assertEqual(self.texts(".phrase"), ["<b>bold</b>"])
        self.assertEqual(self.texts(".question-text"), ["<script>document.title = 'asked'</script>"])
        self.assertEqual(self.css(".messages script, .messages img, .messages b"), [])
        self.assertEqual(self.driver.title, "SPHINX")

    def test_progress(self):
        self.give(picture("rings.jpg"))
        self.trouble.delay = 0.4
        self.trouble.progress = [{"stage": "queue", "done": 0, "total": 2}, {"stage": "encode", "part": "dinov2", "done": 3, "total": 12},
                                 {"stage": "prefill", "done": 40, "total": 80}]
        self.submit("What's in the image?")
        seen = set()

        def look():
            seen.update(self.run_js("""return [...document.querySelectorAll(".progress")].map(p => {
                const bar = p.querySelector("progress");
                return [p.querySelector(".progress-text").textContent, bar.hasAttribute("value") ? bar.position : null].join("|");
            })"""))
            return self.css(".answer.done")

        self.wait(look, "no answer")
        for wanted in ("Waiting: 2 questions ahead|", "Looking at the picture (DINOv2)|0.25", "Reading the question|0.5"):
            self.assertIn(wanted, seen)
        self.assertEqual(self.css(".progress"), [])

    def test_real_progress(self):
        """What the server itself tells of a question that waits behind forty others. Of what takes less than a tenth of a second it tells nothing."""
        url = self.server("-np", "1")
        self.open(url)
        self.run_js("""
            window.stages = [];
            new MutationObserver(() => window.stages.push(document.querySelector(".progress")?.dataset.stage))
                .observe(document.getElementById("messages"), { subtree: true, childList: true, attributes: true, characterData: true });
        """)
        self.give(picture("rings.jpg"))
        body = json.dumps({"messages": [{"role": "user", "content": "Generate a detailed description about the image."}], "temperature": 0}).encode()
        others = [threading.Thread(target=lambda: urllib.request.urlopen(urllib.request.Request(url + "v1/chat/completions", body,
                  {"Content-Type": "application/json"}), timeout=60).close()) for _ in range(40)]
        for other in others:
            other.start()
        self.ask("What's in the image?")
        for other in others:
            other.join()
        self.assertIn("queue", self.run_js("return window.stages"))

    def test_how_it_ended(self):
        self.trouble.final = {"dropped_turns": 2, "malformed": 1}
        self.give(picture("rings.jpg"))
        self.run_js("const s = document.getElementById('length'); s.value = 0; s.dispatchEvent(new Event('input'))")
        self.ask("Generate a detailed description about the image.")
        self.assertEqual(self.trouble.asked()[-1]["max_tokens"], 1)
        self.assertEqual(self.texts(".answer .note"), [
            "Cut at the maximum response length.", "The conversation is too long for the model: its oldest 2 turns had to be left out.",
            "1 list of numbers in it is neither box nor point."])
        self.assertRegex(self.one(".cost").text, r"^1 token, \d+\.\d+ s$")


class Pointing(PageTest):
    def setUp(self):
        super().setUp()
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)

    def active(self):
        """Which regions stand out: in the answer, on the picture."""
        return [self.run_js("return [...document.querySelectorAll(arguments[0])].map(e => Number(e.dataset.region))", where)
                for where in (".mark.active", "#overlay .region.active")]

    def test_boxes_are_where_the_server_says(self):
        regions = self.kept()["turns"][0]["regions"]
        self.assertEqual([region["phrase"] for region in regions], self.texts(".phrase"))
        self.assertEqual(len(regions), 3)
        want = [[region["color"], *box["box"]] for region in regions for box in region["boxes"]]
        for got, told in zip(self.shapes(), want, strict=True):
            self.assertEqual(got[0], told[0])
            for a, b in zip(got[1:], told[1:]):
                self.assertAlmostEqual(a, b, places=3)

    def test_box_on_the_screen(self):
        """The drawn rectangle and the picture below it agree."""
        told = self.kept()["turns"][0]["regions"][0]["boxes"][0]["box"]
        image, box = self.run_js("""
            const rect = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
            return [rect(document.getElementById("picture")), rect(document.querySelector("#overlay .box"))];
        """)
        scale = (image[2] - image[0]) / 336
        for i in range(4):
            self.assertAlmostEqual(box[i], image[i % 2] + told[i] * scale, delta=2.5)

    def test_colours(self):
        colors = self.run_js("return [...document.querySelectorAll('#overlay .box')].map(r => getComputedStyle(r).stroke)")
        self.assertEqual(colors, ["rgb(0, 128, 0)", "rgb(0, 0, 255)", "rgb(255, 0, 0)"], "the last phrase is red, the one before it blue")

    def test_confidence(self):
        regions = self.kept()["turns"][0]["regions"]
        want = [f"{int(region['boxes'][0]['confidence'] * 100 + 0.5)} %" for region in regions]
        self.assertEqual(self.texts(".mark .sure"), want)
        self.assertEqual([label.get_attribute("aria-label") for label in self.css("#overlay .region")],
                         [f"{region['phrase']}, {sure}" for region, sure in zip(regions, want)])

    def test_hover_a_phrase(self):
        marks = self.css(".mark")
        for i in (1, 2):
            self.hover(marks[i])
            self.wait(lambda i=i: self.active() == [[i], [i]], "its box does not stand out")
        self.leave()
        self.wait(lambda: self.active() == [[], []], "it still stands out")

    def test_hover_a_box(self):
        self.hover(self.css("#overlay .box")[2])
        self.wait(lambda: self.active() == [[2], [2]], "its phrase does not stand out")
        label = self.css("#overlay .region")[2].find_element("css selector", ".label")
        self.wait(lambda: label.value_of_css_property("opacity") == "1", "its label is not shown")
        self.leave()
        self.wait(lambda: self.active() == [[], []], "it still stands out")

    def test_focus(self):
        for where, i in ((".mark", 0), ("#overlay .region", 1)):
            self.run_js("document.querySelectorAll(arguments[0])[arguments[1]].focus()", where, i)
            self.wait(lambda i=i: self.active() == [[i], [i]], "focus does the same as hovering")

    def test_click_keeps_it(self):
        self.css(".mark")[1].click()
        self.leave()
        self.assertEqual(self.active(), [[1], [1]])
        self.css(".mark")[1].click()
        self.leave()
        self.run_js("document.activeElement.blur()")
        self.assertEqual(self.active(), [[], []])

    def test_an_older_answer_on_the_picture(self):
        self.trouble.say = "Three things."
        self.ask("What's in the image?")
        self.assertEqual(self.shapes(), [], "the new answer has no boxes")
        self.hover(self.css(".mark")[0])
        self.wait(lambda: len(self.shapes()) == 3, "pointing at a phrase of the older answer shows its boxes")
        self.leave()
        self.wait(lambda: self.shapes() == [], "and leaving takes them away")
        self.click(".show")
        self.assertEqual(len(self.shapes()), 3)
        self.assertEqual(self.one(".show").get_attribute("aria-pressed"), "true")

    def test_switches(self):
        self.click("#show-regions")
        self.assertEqual(self.shapes(), [])
        self.click("#show-regions")
        self.click("#show-labels")
        self.assertEqual([label.text for label in self.css("#overlay .label.shown")], [mark.get_attribute("aria-label").split(":")[0] for mark in self.css(".mark")])
        self.click("#settings-toggle")
        self.assertTrue(self.css(".numbers")[0].is_displayed())
        self.click("#show-numbers")
        self.assertFalse(self.css(".numbers")[0].is_displayed())


class People(PageTest):
    def lines(self):
        return self.run_js("""return [...document.querySelectorAll("#overlay .skeleton")].map(g => [...g.querySelectorAll("line")].map(l =>
            ["x1", "y1", "x2", "y2"].map(n => Math.round(l.getAttribute(n)))))""")

    def test_two_skeletons(self):
        """Joints 1-2, 1-3, 2-3 of the first, 1-2 and 2-4 of the second; a repeated name begins it."""
        self.give(picture("people.jpg"))
        self.trouble.say = TWO_PEOPLE
        self.ask("Detect the key points.")
        place = {"nose": [67, 67], "left eye": [74, 60], "right eye": [60, 60], "nose 2": [235, 202], "left eye 2": [242, 195], "left ear 2": [252, 198]}
        first, second = [sorted(map(sorted, ([line[:2], line[2:]] for line in person))) for person in self.lines()]
        edge = lambda a, b: sorted([place[a], place[b]])
        self.assertEqual(first, sorted([edge("nose", "left eye"), edge("nose", "right eye"), edge("left eye", "right eye")]))
        self.assertEqual(second, sorted([edge("nose 2", "left eye 2"), edge("left eye 2", "left ear 2")]))
        self.assertEqual(len(self.css("#overlay .point")), 6)
        self.click("#show-labels")
        self.assertEqual(self.css("#overlay .label.shown"), [], "joints are told when they are pointed at only")

    def test_a_real_person(self):
        self.give(picture("person.png"))
        self.ask("Detect the key points of the person in the region [0.13,0.17,0.57,0.68].")
        self.assertEqual([len(person) for person in self.lines()], [19], "all edges of one person")
        self.assertEqual(len(self.css("#overlay rect.asked")), 1, "the region that was asked about is marked, too")


class Masks(PageTest):
    def alpha(self, x, y):
        return self.run_js("""const c = document.getElementById("masks");
            return [c.width, c.height, ...c.getContext("2d").getImageData(arguments[0], arguments[1], 1, 1).data]""", x, y)

    def test_without_a_segmenter(self):
        self.trouble.props = {"sam": None}
        self.open()
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.click("#show-masks")
        self.assertIn("start it with --sam FILE", self.one("#masks-note").text)
        self.assertFalse(self.one("#opacity-row").is_displayed())

    def test_masks_and_opacity(self):
        self.trouble.props = {"sam": "ViT-B"}
        self.trouble.masks = [mask(0, 252, 336, 10, 20, 100, 90), mask(1, 252, 336, 90, 80, 200, 300)]
        self.trouble.say = TWO_BOXES
        self.open()
        self.give(picture("cross.jpg"))
        self.ask(GROUNDED)
        self.assertEqual(self.alpha(0, 0)[:2], [1, 1], "no masks until they are wanted")
        self.click("#show-masks")
        self.wait(lambda: self.alpha(0, 0)[:2] == [252, 336], "no masks are shown")
        for x, y, color in ((10, 20, [0, 0, 255]), (99, 79, [0, 0, 255]), (199, 299, [255, 0, 0])):
            red, green, blue, alpha = self.alpha(x, y)[2:]
            self.assertEqual([red, green, blue], color)
            self.assertAlmostEqual(alpha, 128, delta=1)
        for x, y in ((9, 20), (10, 19), (100, 70), (200, 299), (199, 300)):
            self.assertEqual(self.alpha(x, y)[5], 0)
        self.run_js("const s = document.getElementById('opacity'); s.value = 80; s.dispatchEvent(new Event('input'))")
        self.assertAlmostEqual(self.alpha(10, 20)[5], 204, delta=1)
        self.click("#show-masks")
        self.wait(lambda: self.alpha(0, 0)[:2] == [1, 1], "the masks are still there")


class RealMasks(PageTest):
    """A server with a segmenter: a tiny one of random weights, whose masks are not of things but have to arrive as they are."""

    SAM = os.path.join(ROOT, "tests", "data", "sam", "tiny.pth")

    @staticmethod
    def covered(rle):
        """The places of a mask's pixels, as x * height + y."""
        height, width = rle["size"]
        runs, at, inside = [], 0, []
        text = rle["counts"]
        while at < len(text):
            value = shift = 0
            while True:
                group = ord(text[at]) - 48
                at += 1
                value |= (group & 0x1F) << shift
                shift += 5
                if not group & 0x20:
                    break
            if group & 0x10:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
        at = 0
        for i, run in enumerate(runs):
            if i % 2 == 1:
                inside += range(at, at + run)
            at += run
        assert at == width * height
        return set(inside)

    def test_masks(self):
        self.open(self.server("--sam", self.SAM))
        self.give(picture("cross.jpg"))
        self.ask(GROUNDED)
        self.run_js("""
            const fetched = window.fetch;
            window.fetch = async (...args) => {
                const reply = await fetched(...args);
                if (args[0].endsWith("ground")) window.grounding = await reply.clone().json();
                return reply;
            };
        """)
        self.click("#show-masks")
        self.wait(lambda: self.run_js("return document.getElementById('masks').width") == 252, "no masks are shown")
        self.assertEqual(self.one("#masks-note").text, "")
        masks = self.run_js("return window.grounding.masks")
        self.assertEqual(len(masks), len(self.shapes()))
        want = set().union(*(self.covered(mask["rle"]) for mask in masks))
        got = self.run_js("""
            const c = document.getElementById("masks");
            const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
            const set = [];
            for (let x = 0; x < c.width; x++) for (let y = 0; y < c.height; y++) if (data[4 * (y * c.width + x) + 3] > 0) set.push(x * c.height + y);
            return set;
        """)
        self.assertTrue(want, "all masks are empty: nothing is tested")
        self.assertEqual(set(got), want)
        size, = self.pixels(self.save("#save-masks", "masks.png"))
        self.assertEqual(size, [252, 336])


class Regions(PageTest):
    """A box that the user drags, and what becomes of it in the question."""

    def drag(self, x1, y1, x2, y2):
        """From and to fractions of the picture as it is shown."""
        frame = self.one("#frame")
        width, height = frame.size["width"], frame.size["height"]
        start = (round((x1 - 0.5) * width), round((y1 - 0.5) * height))
        by = (round((x2 - x1) * width), round((y2 - y1) * height))
        ActionChains(self.driver).move_to_element_with_offset(frame, *start).click_and_hold().move_by_offset(*by).release().perform()

    def test_drag(self):
        """252 x 336: the padded square has 42 pixels left and right of it."""
        self.give(picture("cross.jpg"))
        self.drag(0.2, 0.1, 0.8, 0.5)
        self.wait(self.question, "nothing is asked")
        self.assertRegex(self.question(), r"^Please provide a short description for this region: \[[\d.,]+\]$")
        got = [float(v) for v in self.question().split("[")[1].strip("]").split(",")]
        for value, want in zip(got, [(42 + 0.2 * 252) / 336, 0.1, (42 + 0.8 * 252) / 336, 0.5], strict=True):
            self.assertAlmostEqual(value, want, delta=0.011)
        self.assertEqual(len(self.css("#overlay rect.asked")), 1, "the box stays to be seen")
        self.press("\ue007")
        self.wait(lambda: self.css(".answer.done"), "Enter asks it")

    def test_place_in_the_question(self):
        self.give(picture("person.png"))
        self.write("Is  red?")
        self.run_js("document.getElementById('question').setSelectionRange(3, 3)")
        self.drag(0.2, 0.2, 0.5, 0.5)
        self.wait(lambda: "[" in self.question(), "nothing is inserted")
        self.assertRegex(self.question(), r"^Is \[0\.\d\d,0\.\d\d,0\.\d\d,0\.\d\d\] red\?$")

    def test_key_points_example(self):
        self.give(picture("person.png"))
        self.click('[data-task="keypoints"]')
        self.assertIn("[x1, y1, x2, y2]", self.question())
        self.drag(0.1, 0.15, 0.6, 0.7)
        self.wait(lambda: "x1" not in self.question(), "the placeholder is still there")
        self.assertRegex(self.question(), r"^Detect the key points of the person in the region \[0\.\d\d,0\.\d\d,0\.\d\d,0\.\d\d\]\.$")

    def test_a_click_is_no_box(self):
        self.give(picture("person.png"))
        self.one("#frame").click()
        self.assertEqual(self.question(), "")

    def test_drag_begins_on_a_box(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.drag(0.25, 0.55, 0.9, 0.9)
        self.wait(self.question, "a box of the answer must not be in the way")

    def test_keyboard_and_decimals(self):
        self.give(picture("person.png"))
        self.click("#settings-toggle")
        self.run_js("const s = document.getElementById('decimals'); s.value = '3'; s.dispatchEvent(new Event('change'))")
        self.run_js("document.getElementById('region').focus()")
        self.press("\ue007")
        self.assertEqual(self.one("#region").get_attribute("aria-pressed"), "true")
        self.press("\ue014", "\ue014", "\ue015")  # right, right, down
        ActionChains(self.driver).key_down("\ue008").send_keys("\ue012").key_up("\ue008").perform()  # Shift and left
        self.press("\ue007")
        self.assertEqual(self.question(), "Please provide a short description for this region: [0.290,0.270,0.770,0.770]")

    def test_escape_gives_up(self):
        self.give(picture("person.png"))
        self.run_js("document.getElementById('region').focus()")
        self.press("\ue007")
        self.press("\ue00c")
        self.assertEqual(self.one("#region").get_attribute("aria-pressed"), "false")
        self.assertEqual(self.question(), "")
