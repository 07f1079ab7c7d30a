/*
 * masks.js - masks over the picture: the server's run lengths become pixels in their box's colour, blended with an opacity that the user
 * chooses, later ones over earlier ones. At the middle of the slider this is upstream's picture.
 *
 *   [{region, box, rle: {size: [height, width], counts}}] -> one bitmap each -> canvas
 */

/* COCO's compressed form: numbers in groups of five bits, from the third on as differences to the one before the last. */
export function runLengths(counts) {
    const runs = [];
    let at = 0;
    while (at < counts.length) {
        let value = 0;
        let shift = 0;
        let group;
        do {
            group = counts.charCodeAt(at++) - 48;
            value |= (group & 0x1f) << shift;
            shift += 5;
        } while (group & 0x20 && at < counts.length);
        if (group & 0x10 && shift < 32) value |= -1 << shift;
        runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
    }
    return runs;
}

/* Runs go down the columns, the first of them outside of the mask. */
function paint({ size: [height, width], counts }, [r, g, b]) {
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const [color] = new Uint32Array(new Uint8ClampedArray([r, g, b, 255]).buffer);
    let at = 0;
    runLengths(counts).forEach((run, i) => {
        const end = Math.min(at + run, width * height);
        if (i % 2 === 1) for (let k = at; k < end; k++) pixels[(k % height) * width + Math.floor(k / height)] = color;
        at = end;
    });
    return createImageBitmap(image);
}

export class Masks {
    constructor(canvas) {
        this.canvas = canvas;
        this.bitmaps = [];
        this.opacity = 0.5;
    }

    get any() {
        return this.bitmaps.length > 0;
    }

    /* masks of /v1/ground for regions, with colors by name as in /props. */
    async show(masks, regions, colors) {
        this.clear();
        const bitmaps = await Promise.all(masks.map(({ region, rle }) => paint(rle, colors[regions[region].color])));
        if (bitmaps.length === 0) return;
        this.bitmaps = bitmaps;
        this.canvas.width = bitmaps[0].width;
        this.canvas.height = bitmaps[0].height;
        this.draw();
    }

    clear() {
        for (const bitmap of this.bitmaps) bitmap.close();
        this.bitmaps = [];
        this.canvas.width = this.canvas.height = 1;
    }

    setOpacity(opacity) {
        this.opacity = opacity;
        this.draw();
    }

    draw() {
        const context = this.canvas.getContext("2d");
        context.clearRect(0, 0, this.canvas.width, this.canvas.height);
        context.globalAlpha = this.opacity;
        for (const bitmap of this.bitmaps) context.drawImage(bitmap, 0, 0);
    }
}
