/*
 * heat.js - where the model looked, as a glow over the picture: the same that the server draws (docs/api.md, "POST /v1/attention").
 *
 *   weights of patches, a grid a view -> one grid over the padded square -> at each pixel interpolated between the patches' middles -> canvas
 */
import { squareOf } from "./regions.js";

const CANVAS_MAX = 512; /* pixels of the longer side: a glow has no finer lines */

/* One grid {side, weights}: that of the whole picture, or those of its parts put side by side. */
export function gridOf({ views, side, weights }, parts) {
    if (!parts) return { side, weights: weights[0] };
    const across = Math.round(Math.sqrt(views - 1));
    const all = across * side;
    return {
        side: all,
        weights: Array.from({ length: all * all }, (_, i) => {
            const row = Math.floor(i / all);
            const column = i % all;
            return weights[1 + Math.floor(row / side) * across + Math.floor(column / side)][(row % side) * side + (column % side)];
        }),
    };
}

/* At (x, y) in cells; beyond the outermost middles as there. */
function weightAt({ side, weights }, x, y) {
    const column = Math.min(Math.max(x - 0.5, 0), side - 1);
    const row = Math.min(Math.max(y - 0.5, 0), side - 1);
    const [x0, y0] = [Math.floor(column), Math.floor(row)];
    const [x1, y1] = [Math.min(x0 + 1, side - 1), Math.min(y0 + 1, side - 1)];
    const between = (a, b, part) => a + (b - a) * part;
    return between(between(weights[y0 * side + x0], weights[y0 * side + x1], column - x0),
        between(weights[y1 * side + x0], weights[y1 * side + x1], column - x0), row - y0);
}

/* What lies over a pixel so that it has half its light at heat 0, is red in between and mostly a warm yellow at 1. */
function glow(heat) {
    const cover = 0.75 * heat;
    const opacity = 1 - (1 - cover) * (0.5 + 0.5 * heat);
    return [...[255, 230 * heat ** 2, 40 * heat ** 3].map((color) => (color * cover) / opacity), 255 * opacity];
}

/* "at the top left": the largest weight, in words, for those who do not see the glow. */
export function placeOf({ side, weights }, { width, height }) {
    const square = squareOf({ width, height });
    const at = weights.indexOf(Math.max(...weights));
    const third = (cell, margin, length) => {
        const part = (((cell + 0.5) / side) * square.side - margin) / length;
        return part < 1 / 3 ? 0 : part > 2 / 3 ? 2 : 1;
    };
    const down = ["top", "", "bottom"][third(Math.floor(at / side), square.top, height)];
    const across = ["left", "", "right"][third(at % side, square.left, width)];
    return down || across ? `at the ${[down, across].filter(Boolean).join(" ")}` : "in the middle";
}

export class Heat {
    constructor(canvas) {
        this.canvas = canvas;
        this.clear();
    }

    /* grid: of gridOf; picture: {width, height}. */
    show(grid, picture) {
        const square = squareOf(picture);
        const scale = Math.min(1, CANVAS_MAX / square.side);
        const width = Math.max(1, Math.round(picture.width * scale));
        const height = Math.max(1, Math.round(picture.height * scale));
        const largest = Math.max(...grid.weights);
        const image = new ImageData(width, height);
        for (let y = 0; y < height; y++) {
            const row = (((y + 0.5) / height) * picture.height + square.top) / square.side;
            for (let x = 0; x < width; x++) {
                const column = (((x + 0.5) / width) * picture.width + square.left) / square.side;
                const weight = weightAt(grid, column * grid.side, row * grid.side);
                image.data.set(glow(largest > 0 ? weight / largest : 0), 4 * (y * width + x));
            }
        }
        Object.assign(this.canvas, { width, height });
        this.canvas.getContext("2d").putImageData(image, 0, 0);
    }

    clear() {
        this.canvas.width = this.canvas.height = 1;
    }
}
