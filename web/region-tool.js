/*
 * region-tool.js - a box drawn over the picture, to ask about what is in it.
 *
 * With a mouse or pen a box can be dragged at any time; a finger, which scrolls otherwise, and the keyboard need the button first. By
 * keyboard the box appears in the middle: arrow keys move it, with Shift they size it, Enter takes it, Escape gives up.
 */

const DRAG_MIN = 6;  /* pixels of the screen: less is a click */
const STEP = 0.02;   /* of the longer side, for a key */
const START = 0.25;  /* margins of the keyboard's first box */

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class RegionTool {
    /* frame: what is dragged on; svg: where the box is shown; button: begins and ends it; onBox([x1, y1, x2, y2]) in the picture's pixels. */
    constructor(frame, svg, button, onBox) {
        Object.assign(this, { frame, svg, button, onBox, picture: null, box: null, from: null, armed: false });
        this.rect = svg.querySelector("rect");
        button.addEventListener("click", (event) => (this.armed ? this.end() : this.begin(event.detail === 0)));
        frame.addEventListener("pointerdown", (event) => this.down(event));
        frame.addEventListener("pointermove", (event) => this.move(event));
        frame.addEventListener("pointerup", (event) => this.up(event));
        frame.addEventListener("pointercancel", () => this.end());
        frame.addEventListener("click", (event) => this.dragged && event.stopPropagation(), true);
        svg.addEventListener("keydown", (event) => this.key(event));
    }

    setPicture(picture) {
        this.picture = picture;
        if (picture !== null) this.svg.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
        this.end();
    }

    begin(byKeyboard) {
        this.arm(true);
        if (!byKeyboard) return;
        const { width, height } = this.picture;
        this.show([START * width, START * height, (1 - START) * width, (1 - START) * height]);
        this.svg.focus();
    }

    arm(armed) {
        this.armed = armed;
        this.button.setAttribute("aria-pressed", String(armed));
        this.frame.classList.toggle("armed", armed);
    }

    end() {
        this.arm(false);
        this.from = null;
        this.show(null);
    }

    /* The pointer's place in pixels of the picture. */
    place(event) {
        const bounds = this.frame.getBoundingClientRect();
        return [
            clamp((event.clientX - bounds.left) / bounds.width, 0, 1) * this.picture.width,
            clamp((event.clientY - bounds.top) / bounds.height, 0, 1) * this.picture.height,
        ];
    }

    show(box) {
        this.box = box;
        this.rect.toggleAttribute("hidden", box === null);
        if (box === null) return;
        const [x1, y1, x2, y2] = box;
        for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) this.rect.setAttribute(name, value);
    }

    down(event) {
        this.dragged = false;
        if (this.picture === null || event.button !== 0 || (event.pointerType === "touch" && !this.armed)) return;
        this.from = { place: this.place(event), x: event.clientX, y: event.clientY };
    }

    move(event) {
        if (this.from === null) return;
        if (!this.dragged && Math.hypot(event.clientX - this.from.x, event.clientY - this.from.y) < DRAG_MIN) return;
        if (!this.dragged) this.frame.setPointerCapture(event.pointerId);
        this.dragged = true;
        const [x, y] = this.place(event);
        const [x0, y0] = this.from.place;
        this.show([Math.min(x, x0), Math.min(y, y0), Math.max(x, x0), Math.max(y, y0)]);
    }

    up() {
        if (this.from === null) return;
        this.from = null;
        if (this.dragged) this.take();
    }

    take() {
        const box = this.box;
        this.end();
        if (box !== null && box[2] > box[0] && box[3] > box[1]) this.onBox(box);
    }

    key(event) {
        if (this.box === null) return;
        const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
        const step = STEP * Math.max(this.picture.width, this.picture.height);

        if (event.key in moves) this.nudge(moves[event.key].map((way) => way * step), event.shiftKey);
        else if (event.key === "Enter") this.take();
        else if (event.key === "Escape") {
            this.end();
            this.button.focus();
        } else return;
        event.preventDefault();
        event.stopPropagation();
    }

    nudge([dx, dy], sizes) {
        const { width, height } = this.picture;
        let [x1, y1, x2, y2] = this.box;
        if (sizes) {
            x2 = clamp(x2 + dx, x1 + 1, width);
            y2 = clamp(y2 + dy, y1 + 1, height);
        } else {
            dx = clamp(dx, -x1, width - x2);
            dy = clamp(dy, -y1, height - y2);
            [x1, y1, x2, y2] = [x1 + dx, y1 + dy, x2 + dx, y2 + dy];
        }
        this.show([x1, y1, x2, y2]);
    }
}
