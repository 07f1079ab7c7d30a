/*
 * overlay.js - boxes, points and skeletons over the picture on the page, as SVG in the picture's own pixels. Each region can be hovered,
 * focused and clicked, and tells the page which one it is, so that its phrase in the answer stands out; and the other way round.
 *
 * Lines, discs and letters keep their size on the screen however large the picture is. Pictures that are kept are drawn by the server.
 */
import { makeSvg, pointable } from "./dom.js";
import { nameOf, percent, shapesOf, skeletonsOf } from "./regions.js";

const POINT_RADIUS = [4, 5]; /* on small pictures, on others */
const LABEL_SIZE = 13;
const SMALL = 400; /* pixels of the screen: on a picture that is narrower points are smaller */

export class Overlay {
    /* onPoint(region or null) is called when the user points at a region or leaves it, onPin(region) when it is clicked. */
    constructor(svg, onPoint, onPin) {
        this.svg = svg;
        this.onPoint = onPoint;
        this.onPin = onPin;
        this.picture = null;
        this.labels = false;
        this.skeleton = { joints: [], edges: [] };
        this.regions = [];
        this.asked = [];
        this.active = null;
        new ResizeObserver(() => this.draw()).observe(svg);
    }

    /* {width, height} or null. */
    setPicture(picture) {
        this.picture = picture;
        if (picture !== null) this.svg.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
        this.show([], []);
    }

    /* regions: as the server tells them; asked: boxes of the question in pixels. */
    show(regions, asked) {
        this.regions = regions;
        this.asked = asked;
        this.draw();
    }

    setLabels(labels) {
        this.labels = labels;
        this.draw();
    }

    /* Makes one region stand out; null for none. */
    highlight(region) {
        this.active = region;
        this.svg.classList.toggle("one-active", region !== null);
        for (const group of this.svg.querySelectorAll("[data-region]"))
            group.classList.toggle("active", Number(group.dataset.region) === region);
    }

    draw() {
        const focused = document.activeElement?.dataset?.region;
        const hadFocus = this.svg.contains(document.activeElement);

        this.svg.replaceChildren();
        if (this.picture === null) return;
        /* Pixels of the picture per pixel of the screen; before the first layout there is none. */
        this.scale = this.picture.width / (this.svg.clientWidth || this.picture.width);
        for (const box of this.asked) this.svg.append(this.box(box, "asked"));
        for (const lines of skeletonsOf(this.regions, this.skeleton)) {
            const drawn = lines.map(([x1, y1, x2, y2]) => makeSvg("line", { x1, y1, x2, y2 }));
            this.svg.append(makeSvg("g", { class: "skeleton" }, ...drawn));
        }
        this.regions.forEach((region, index) => this.svg.append(this.group(region, index)));
        for (const label of this.svg.querySelectorAll(".label")) this.fit(label);
        this.highlight(this.active);
        if (hadFocus) this.svg.querySelector(`[data-region="${focused}"]`)?.focus();
    }

    group(region, index) {
        const shapes = shapesOf(region);
        return makeSvg("g", {
            class: `region ${region.color}`, "data-region": index, "aria-label": nameOf(region),
            ...pointable(() => this.onPoint(index), () => this.onPoint(null), () => this.onPin(index)),
        }, ...shapes.map((shape) => (shape.box ? this.box(shape.box, "box") : this.point(shape.point))),
        ...shapes.map((shape) => this.label(region, shape)));
    }

    box([x1, y1, x2, y2], name) {
        return makeSvg("rect", { class: name, x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) });
    }

    point([cx, cy]) {
        const radius = POINT_RADIUS[this.svg.clientWidth < SMALL ? 0 : 1];
        return makeSvg("circle", { class: "point", cx, cy, r: radius * this.scale });
    }

    /* Joints are told when they are pointed at only: seventeen labels would hide the person. */
    label(region, shape) {
        const sure = typeof shape.confidence === "number" ? percent(shape.confidence) : "";
        const text = [region.phrase, sure].filter((word) => word !== "").join(", ");
        const [x, y] = shape.box ?? shape.point;
        const shown = this.labels && shape.joint === undefined;

        if (text === "") return null;
        return makeSvg("g", { class: shown ? "label shown" : "label", "aria-hidden": "true", "data-x": x, "data-y": y },
            makeSvg("rect"), makeSvg("text", { "font-size": LABEL_SIZE * this.scale }, text));
    }

    /* Above its box, or inside where the picture ends; as wide as its text, which only the browser knows. */
    fit(label) {
        const [back, text] = label.children;
        const size = LABEL_SIZE * this.scale;
        const width = text.getComputedTextLength() + 0.9 * size;
        const y = Number(label.dataset.y);
        const left = Math.max(0, Math.min(label.dataset.x, this.picture.width - width));
        const top = Math.max(0, y - 1.7 * size >= 0 ? y - 1.7 * size : y + 0.25 * size);
        const set = (element, places) => Object.entries(places).forEach(([name, value]) => element.setAttribute(name, value));

        set(back, { x: left, y: top, width, height: 1.45 * size, rx: 0.3 * size });
        set(text, { x: left + 0.45 * size, y: top + 1.06 * size });
    }
}
