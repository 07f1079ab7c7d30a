"""How a picture comes in: file, paste, drop, camera, sample; that the server gets the very bytes; what has to be written anew."""
import base64
import struct
import unittest

from browser import PageTest, picture

PASTE = """
    const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
"""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def turned(jpeg, orientation):
    """The JPEG with an EXIF orientation."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


class Bringing(PageTest):
    def size_shown(self):
        return self.run_js("const i = document.getElementById('picture'); return [i.naturalWidth, i.naturalHeight]")

    def shown(self, size):
        self.wait(lambda: self.size_shown() == size, f"no picture of {size} is shown")

    def sent(self):
        self.ask("What's in the image?")
        return self.sent_image(self.trouble.asked()[-1])

    def test_file(self):
        self.give(picture("cross.jpg"))
        self.assertEqual(self.size_shown(), [252, 336])
        self.assertIn("cross.jpg, 252 × 336", self.one("#picture-name").text)
        self.assertEqual(self.sent(), read(picture("cross.jpg")), "the server must get the file as it is")

    def test_paste(self):
        self.run_js(PASTE, base64.b64encode(read(picture("person.png"))).decode())
        self.shown([336, 336])
        self.assertEqual(self.sent(), read(picture("person.png")))

    def test_pasted_text_is_left_to_the_box(self):
        prevented = self.run_js("""
            const data = new DataTransfer();
            data.setData("text/plain", "words");
            const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
            return !document.getElementById("question").dispatchEvent(event);
        """)
        self.assertFalse(prevented)

    def test_drop_anywhere(self):
        """A real drag, as the browser gets it from the system, ending over the conversation."""
        drag = {"items": [], "files": [picture("cross.jpg")], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver"):
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 900, "y": 300, "data": drag})
        self.wait(lambda: self.one("#drop-hint").is_displayed(), "nothing says that it can be dropped")
        self.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": "drop", "x": 900, "y": 300, "data": drag})
        self.shown([252, 336])
        self.assertFalse(self.one("#drop-hint").is_displayed())
        self.assertEqual(self.sent(), read(picture("cross.jpg")))

    def test_camera(self):
        self.click("#camera")
        self.wait(lambda: self.run_js("return document.getElementById('video').videoWidth") > 0, "the camera shows nothing")
        self.click("#shoot")
        self.wait(lambda: self.size_shown()[0] > 0, "no picture was taken")
        self.assertFalse(self.one("#camera-dialog").is_displayed())
        self.assertIsNone(self.run_js("return document.getElementById('video').srcObject"), "the camera must be off again")
        self.assertEqual(self.sent()[:4], b"\x89PNG")

    def test_camera_that_is_not_there(self):
        self.run_js("navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))")
        self.click("#camera")
        self.assertIn("The camera cannot be used: there is none", self.notice())

    def test_sample(self):
        self.click("#sample")
        self.shown([336, 336])
        self.ask("Detect all people shown in the image.")
        self.assertEqual(len(self.shapes()), 1, "the bundled model finds the one person of the sample")

    def test_no_picture(self):
        self.one("#file").send_keys(__file__)
        self.assertIn("is not a picture that this browser can open", self.notice())


class WrittenAnew(PageTest):
    """Pictures that the server cannot take, or would see otherwise than the user."""

    def choose(self, name, kind, content):
        self.run_js("""
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(arguments[2]), c => c.charCodeAt(0))], arguments[0], { type: arguments[1] }));
            const field = document.getElementById("file");
            field.files = data.files;
            field.dispatchEvent(new Event("change"));
        """, name, kind, base64.b64encode(content).decode())
        self.wait(lambda: self.run_js("return document.getElementById('picture').naturalWidth") > 0 or self.css(".notice"), "nothing happens")
        self.assertEqual(self.texts(".notice p"), [])

    def sent(self):
        self.ask("What's in the image?")
        return self.sent_image(self.trouble.asked()[-1])

    def test_turned_photo(self):
        """252 x 336, to be turned by 90 degrees: the model must see what the user sees."""
        self.choose("photo.jpg", "image/jpeg", turned(read(picture("cross.jpg")), 6))
        self.assertIn("336 × 252", self.one("#picture-name").text)
        sent = self.sent()
        size, _ = self.pixels(sent, (0, 0))
        self.assertEqual(size, [336, 252])
        self.assertNotIn(b"Exif", sent)

    def test_upright_photo_is_left_alone(self):
        content = turned(read(picture("cross.jpg")), 1)
        self.choose("photo.jpg", "image/jpeg", content)
        self.assertEqual(self.sent(), content)

    def test_format_that_only_the_browser_reads(self):
        """An icon file of 16 x 16 orange pixels."""
        bitmap = struct.pack("<IiiHHIIiiII", 40, 16, 32, 1, 32, 0, 0, 0, 0, 0, 0) + bytes([0, 128, 255, 255]) * 256 + bytes(64)
        icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(bitmap), 22) + bitmap
        self.choose("picture.ico", "image/x-icon", icon)
        self.assertEqual(self.pixels(self.sent(), (8, 8)), [[16, 16], [255, 128, 0]])

    def test_too_many_pixels(self):
        self.trouble.props = {"limits": {"body_bytes": 33554432, "pixels": 168 * 168, "max_tokens": 512, "queue": 64}}
        self.open()
        self.choose("person.png", "image/png", read(picture("person.png")))
        self.assertIn("Reduced from 336 × 336", self.one("#picture-name").text)
        self.assertEqual(self.pixels(self.sent())[0], [168, 168])

    def test_too_many_bytes(self):
        limit = 65536 + 12000
        self.trouble.props = {"limits": {"body_bytes": limit, "pixels": 67108864, "max_tokens": 512, "queue": 64}}
        self.open()
        content = read(picture("person.png"))
        self.assertGreater(len(content) * 4 / 3, 12000)
        self.choose("person.png", "image/png", content)
        self.assertIn("Reduced", self.one("#picture-name").text)
        self.assertLess(len(self.sent()) * 4 / 3, 12000)

    def test_twenty_megapixels(self):
        """The sample, in the middle of a wide photo: what is found is marked where it is."""
        self.await_js("""
            const drawn = new Image(336, 336);
            drawn.src = "sample.svg";
            await drawn.decode();
            const canvas = new OffscreenCanvas(5200, 3900);
            const context = canvas.getContext("2d");
            context.fillStyle = "#d9e6ee";
            context.fillRect(0, 0, 5200, 3900);
            context.drawImage(drawn, 650, 0, 3900, 3900);
            const data = new DataTransfer();
            data.items.add(new File([await canvas.convertToBlob({ type: "image/jpeg" })], "large.jpg", { type: "image/jpeg" }));
            document.getElementById("file").files = data.files;
            document.getElementById("file").dispatchEvent(new Event("change"));
        """)
        self.wait(lambda: "5200 × 3900" in self.one("#picture-name").get_attribute("textContent"), "the photo is not taken")
        self.ask("Please provide the bounding box coordinate of the region this sentence describes: person in blue.")
        boxes = self.shapes()
        self.assertEqual(len(boxes), 1)
        _, x1, y1, x2, y2 = boxes[0]
        self.assertTrue(800 < x1 < x2 < 2800 and 1200 < y1 < y2 < 3500, boxes)
