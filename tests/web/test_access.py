"""For everybody: keyboard, screen readers, contrast, dark and light, narrow screens; and the page's own safety: no outside, strict policy."""
import glob
import os
import re
import urllib.request

from selenium.webdriver.common.keys import Keys

from browser import GROUNDED, ROOT, PageTest, picture

# WCAG 2's contrast of the colours that are really drawn: text against what lies behind it, through all transparent layers.
CONTRAST = """
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgba = (color, below) => {
        canvas.globalCompositeOperation = "copy";
        canvas.fillStyle = below ? `rgb(${below.join(",")})` : "transparent";
        canvas.fillRect(0, 0, 1, 1);
        canvas.globalCompositeOperation = "source-over";
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = e => {
        const layers = [];
        for (; e; e = e.parentElement) layers.unshift(getComputedStyle(e).backgroundColor);
        return layers.reduce((below, color) => rgba(color, below).slice(0, 3), [255, 255, 255]);
    };
    const opacity = e => { let all = 1; for (; e; e = e.parentElement) all *= getComputedStyle(e).opacity; return all; };
    return [...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && !e.disabled && !e.closest(".off-screen, .skip, svg")
            && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim() !== "")).map(e => {
        const below = behind(e);
        const text = rgba(getComputedStyle(e).color, below).slice(0, 3).map((v, i) => v * opacity(e) + below[i] * (1 - opacity(e)));
        const [a, b] = [light(text), light(below)].sort((x, y) => y - x);
        return [Math.round((a + 0.05) / (b + 0.05) * 100) / 100, `${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}`];
    }).filter(([ratio]) => ratio < 4.5);
"""


class Keyboard(PageTest):
    def walk(self):
        """What Tab reaches, one round."""
        self.run_js("document.querySelector('.skip').focus()")
        seen = ["Skip to the question"]
        for _ in range(120):
            self.press(Keys.TAB)
            name = self.run_js("""const e = document.activeElement;
                return e === document.body ? null : e.id || (e.dataset.region !== undefined ? `${e.tagName} ${e.dataset.region}` : e.getAttribute("aria-label") || e.textContent.trim())""")
            if name is None or name == seen[0]:
                return seen
            outline = self.run_js("""const s = getComputedStyle(document.activeElement), r = getComputedStyle(document.activeElement.closest(".question-row") ?? document.body);
                return s.outlineStyle !== "none" || r.boxShadow !== "none" || document.activeElement.closest(".region") !== null""")
            self.assertTrue(outline, f"the focus on {name} cannot be seen")
            seen.append(name)
        self.fail(f"Tab does not come round: {seen}")

    def test_everything_can_be_reached(self):
        reached = self.walk()
        for name in ("theme", "choose", "camera", "sample", "question", "send", "undo", "clear", "Save", "settings-toggle"):
            self.assertIn(name, reached)
        self.assertEqual(sum(name.startswith("Question") for name in reached), 1)
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.click("#settings-toggle")
        reached = self.walk()
        for name in ("region", "replace", "replace-camera", "remove", "show-regions", "show-labels", "show-masks", "attention", "Edit this question", "Answer again",
                     "Show on the picture", "Make a picture of this", "SPAN 0", "SPAN 2", "g 0", "g 2", "length", "temperature", "top-p", "decimals", "show-numbers", "reset"):
            self.assertIn(name, reached)

    def test_a_whole_conversation_by_keys(self):
        self.one("#sample").send_keys(Keys.ENTER)
        self.wait(lambda: self.run_js("return document.getElementById('picture').naturalWidth") > 0, "no picture")
        self.one('[data-task="caption_grounded"]').send_keys(Keys.ENTER)
        self.assertEqual(self.run_js("return document.activeElement.id"), "question")
        self.press(Keys.ENTER)
        self.wait(lambda: self.css(".answer.done"), "no answer")
        self.css(".mark")[0].send_keys(Keys.SPACE)
        self.assertEqual(len(self.css("#overlay .region.active")), 1)
        self.one("#export summary").send_keys(Keys.ENTER)
        self.assertEqual(self.run_js("return document.getElementById('save-json').checkVisibility()"), True)
        self.press(Keys.ESCAPE)
        self.assertEqual(self.run_js("return document.getElementById('save-json').checkVisibility()"), False)


class ScreenReader(PageTest):
    def test_everything_has_a_name(self):
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.click("#settings-toggle")
        self.driver.execute_cdp_cmd("Accessibility.enable", {})
        nodes = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        field = lambda node, name: node.get(name, {}).get("value", "")
        usable = [node for node in nodes if not node["ignored"] and any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))]
        usable = [node for node in usable if field(node, "role") not in ("RootWebArea", "log", "region", "list")]
        self.assertGreater(len(usable), 35)
        self.assertEqual([field(node, "role") for node in usable if field(node, "name").strip() == ""], [])
        self.assertIn("image", [field(node, "role") for node in nodes if field(node, "name") == "The picture that is asked about"])

    def test_answers_are_read_out_once_they_are_complete(self):
        log = self.one("#messages")
        self.assertEqual((log.get_attribute("role"), log.get_attribute("aria-live")), ("log", "polite"))
        self.trouble.say = "An answer."
        self.trouble.delay = 0.3
        self.submit("What is red?")
        self.wait(lambda: self.css(".answer[aria-busy=true]"), "an answer that is not complete must be marked as such")
        self.wait(lambda: self.css(".answer[aria-busy=false]"), "a complete answer must not")

    def test_old_answers_are_not_read_out_again(self):
        """A live region tells what is put into it: only the new turn may be."""
        self.ask("What is red?")
        self.run_js("""
            window.added = [];
            new MutationObserver(all => all.forEach(one => one.addedNodes.forEach(node => window.added.push(node.textContent))))
                .observe(document.getElementById("messages"), { childList: true, subtree: true });
        """)
        self.ask("What is blue?")
        added = self.run_js("return window.added")
        self.assertTrue(added)
        self.assertEqual([text for text in added if "What is red?" in text], [])

    def test_language_and_structure(self):
        self.assertEqual(self.one("html").get_attribute("lang"), "en")
        self.assertEqual(len(self.css("h1")), 1)
        self.assertEqual(len(self.css("main")), 1)


class Colours(PageTest):
    def background(self):
        return self.run_js("return getComputedStyle(document.body).backgroundColor")

    def contrast(self):
        self.give(picture("person.png"))
        self.trouble.final = {"malformed": 1}
        self.trouble.say = "Words and " + " ".join(f"<p>{name}</p>[0.{i}0,0.10]" for i, name in enumerate(("red", "blue", "green", "purple", "orange", "six"), 1))
        self.ask("What is red?")
        self.click("#settings-toggle")
        self.assertEqual(self.run_js(CONTRAST), [])

    def test_light(self):
        self.emulate(**{"prefers-color-scheme": "light"})
        self.assertEqual(self.background(), "rgb(247, 244, 238)")
        self.contrast()

    def test_dark(self):
        self.emulate(**{"prefers-color-scheme": "dark"})
        self.assertEqual(self.background(), "rgb(21, 20, 19)")
        self.contrast()

    def test_switch(self):
        self.emulate(**{"prefers-color-scheme": "light"})
        self.click("#theme") # light, as it was
        self.click("#theme")
        self.assertEqual(self.background(), "rgb(21, 20, 19)")
        self.open()
        self.assertEqual(self.background(), "rgb(21, 20, 19)", "it is remembered")
        self.click("#theme")
        self.assertEqual(self.background(), "rgb(247, 244, 238)", "as the system again")


class Phone(PageTest):
    def setUp(self):
        super().setUp()
        self.screen(360, 740, phone=True)
        self.open()

    def fits(self):
        width, parts = self.run_js("""
            const out = [...document.querySelectorAll("main > *, .composer > *:not(.tasks), .turn, .stage, .frame, .top > *")].filter(e => e.checkVisibility())
                .map(e => [e.className || e.id, e.getBoundingClientRect()]).filter(([, r]) => r.left < -0.5 || r.right > innerWidth + 0.5);
            return [document.documentElement.scrollWidth, out.map(([name]) => name)];
        """)
        self.assertEqual((width, parts), (360, []))

    def test_it_fits(self):
        self.fits()
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        self.fits()
        tops = [self.one(part).rect for part in ("#frame", ".mark[data-region='0']", "#question")]
        self.assertTrue(tops[0]["y"] + tops[0]["height"] < tops[1]["y"] < tops[2]["y"], "picture, answer and question, one below the other")
        self.assertLess(tops[2]["y"] + tops[2]["height"], 740, "and all of them on the screen")
        self.click("#settings-toggle")
        self.fits()

    def test_fingers_find_the_buttons(self):
        self.give(picture("rings.jpg"))
        small = self.run_js("""return [...document.querySelectorAll("button, summary, .switch")].filter(e => e.checkVisibility())
            .map(e => [e.id || e.textContent, e.getBoundingClientRect()]).filter(([, r]) => r.width < 36 || r.height < 36).map(([name]) => name)""")
        self.assertEqual(small, [])

    def test_a_finger_scrolls_unless_a_region_is_asked_for(self):
        self.give(picture("person.png"))
        self.swipe()
        self.assertEqual(self.question(), "")
        self.click("#region")
        self.swipe()
        self.assertRegex(self.question(), r"for this region: \[0\.2\d,0\.2\d,0\.5\d,0\.5\d\]$")

    def swipe(self):
        frame = self.one("#frame").rect
        at = lambda part: {"x": frame["x"] + part * frame["width"], "y": frame["y"] + part * frame["height"]}
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at(0.25)]})
        for part in (0.3, 0.4, 0.55):
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at(part)]})
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


class Policy(PageTest):
    """What the server itself sends, without the proxy between."""

    def test_nothing_from_outside(self):
        self.open(self.server(embedded=True))
        self.give(picture("rings.jpg"))
        self.ask(GROUNDED)
        origins = self.run_js("return [...new Set(performance.getEntriesByType('resource').map(r => r.name.startsWith('blob:') ? location.origin : new URL(r.name).origin))]")
        self.assertEqual(origins, [self.run_js("return location.origin")])

    def test_the_program_holds_the_page(self):
        """All of it, as it is in the tree, each file with its type."""
        url = self.server(embedded=True)
        types = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "webmanifest": "application/manifest+json"}
        for path in glob.glob(os.path.join(ROOT, "web", "*")):
            name = os.path.basename(path)
            with open(path, "rb") as file, urllib.request.urlopen(url + name) as reply:
                self.assertEqual(reply.read(), file.read(), f"{name}: the program was built from another one")
                self.assertEqual(reply.headers.get_content_type(), types[name.split(".")[-1]], name)

    def test_strict_policy(self):
        self.open(self.server())
        policy = self.await_js("return (await fetch('')).headers.get('Content-Security-Policy')")
        self.assertIn("default-src 'self'", policy)
        self.assertNotRegex(policy, r"unsafe|\*|http:|https:")
        taken = self.await_js("""
            const script = document.createElement("script");
            script.textContent = "window.taken = true";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<p id='styled' style='color: red' onclick='window.taken = true'>x</p>");
            document.getElementById("styled").click();
            setTimeout("window.evaluated = true", 0); /* is eval: the driver's own code, which this is, may call that itself */
            await new Promise(resolve => setTimeout(resolve, 300));
            const color = getComputedStyle(document.getElementById("styled")).color;
            return [window.taken ?? false, window.evaluated ?? false, color === "rgb(255, 0, 0)"];
        """)
        self.driver.get_log("browser") # the refusals are written there
        self.assertEqual(taken, [False, False, False], "inline scripts, eval and inline styles must be refused")

    def test_sources(self):
        """No inline code or style, no way to turn text into markup, nothing to fetch from elsewhere; modules stay small."""
        for path in glob.glob(os.path.join(ROOT, "web", "*")):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            name = os.path.basename(path)
            self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", name)
            outside = [url for url in re.findall(r"https?://[^\s\"'<>)]+", text) if url != "http://www.w3.org/2000/svg"]
            self.assertEqual(outside, [], name)
            if name.endswith((".html", ".svg")):
                self.assertNotRegex(text, r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", name)
            self.assertLess(text.count("\n"), 400, name)
