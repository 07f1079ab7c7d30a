/*
 * regions.js - what an answer points at, as the server tells it (docs/api.md, "Regions"), made ready for the page; and boxes in questions.
 *
 *   answer + regions -> pieces: plain text and marked phrases, in reading order
 *   regions          -> shapes in pixels of the picture, skeletons
 *   a dragged box    -> "[0.13,0.17,0.57,0.68]", fractions of the padded square, the square around the picture with side max(W, H)
 *
 * The grammar of answers has one home, src/text/grounding.c: the page never looks for boxes in an answer itself.
 */

/* Lists of numbers in a question; only what looks like one box is drawn. */
const ASKED_BOX = /\[\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*\]/g;

/* Upstream's example prompt for key points has this where a box belongs. */
const PLACEHOLDER = /\[x1, ?y1, ?x2, ?y2\]/;

/* What is asked when a box is dragged and nothing was written. */
const REGION_QUESTION = "Please provide a short description for this region: ";

export const percent = (confidence) => `${Math.round(confidence * 100)} %`;

/* All boxes and points of a region, in one list: {box or point, confidence}. */
export const shapesOf = (region) => [...region.boxes, ...region.points];

/* The least sure of its boxes and points; null where nothing is known. */
export function confidenceOf(region) {
    const known = shapesOf(region).map((shape) => shape.confidence).filter((c) => typeof c === "number");
    return known.length === 0 ? null : Math.min(...known);
}

/* "person in orange, 87 %": a region in words. */
export function nameOf(region) {
    const confidence = confidenceOf(region);
    const name = region.phrase || `${region.color} ${region.boxes.length > 0 ? "box" : "point"}`;
    return confidence === null ? name : `${name}, ${percent(confidence)}`;
}

/* The answer cut at its regions: [{text, start} or {region, phrase, start, list, listStart}], where region counts from 0 and starts are
 * places in the answer. */
export function piecesOf(answer, regions) {
    const pieces = [];
    let at = 0;
    regions.forEach((region, index) => {
        const { start_utf16: start, end_utf16: end } = region;
        if (!(start >= at && end > start && end <= answer.length)) return; /* not of this answer */
        if (start > at) pieces.push({ text: answer.slice(at, start), start: at });
        const listStart = answer.lastIndexOf("[", end);
        const phraseStart = Math.max(start, answer.indexOf(region.phrase, start));
        pieces.push({ region: index, phrase: region.phrase, start: phraseStart, list: answer.slice(listStart, end), listStart });
        at = end;
    });
    if (at < answer.length) pieces.push({ text: answer.slice(at), start: at });
    return pieces;
}

/* An answer's words without the places in the picture, as a prompt for another one; empty if there are none. */
export function promptOf({ answer, regions }) {
    const words = piecesOf(answer, regions).map((piece) => piece.text ?? piece.phrase).join("");
    return words.replace(/\s+/g, " ").replace(/ (?=[.,;:!?])/g, "").trim();
}

/* One list of lines [x1, y1, x2, y2] per person. edges: pairs of joints as /props numbers them. */
export function skeletonsOf(regions, { joints, edges }) {
    const persons = new Map();
    for (const { points } of regions) {
        for (const { joint, person, point } of points) {
            if (joint === undefined) continue;
            if (!persons.has(person)) persons.set(person, new Map());
            persons.get(person).set(joints.indexOf(joint), point);
        }
    }
    return [...persons.values()].map((seen) =>
        edges.filter(([a, b]) => seen.has(a) && seen.has(b)).map(([a, b]) => [...seen.get(a), ...seen.get(b)]));
}

/* The square around a picture: its side, and where in it the picture begins. */
export function squareOf({ width, height }) {
    const side = Math.max(width, height);
    return { side, left: Math.floor((side - width) / 2), top: Math.floor((side - height) / 2) };
}

/* The boxes that a question names, [x1, y1, x2, y2] in pixels of the picture. */
export function boxesAsked(question, picture) {
    const { side, left, top } = squareOf(picture);
    return [...question.matchAll(ASKED_BOX)].map((match) => match.slice(1).map(Number)).filter((box) => box.every((v) => v <= 1))
        .map((box) => box.map((value, i) => value * side - (i % 2 === 0 ? left : top)));
}

/* A box in pixels of the picture as the model expects it in a question. */
export function formatBox(box, picture, decimals) {
    const { side, left, top } = squareOf(picture);
    const values = box.map((pixel, i) => (pixel + (i % 2 === 0 ? left : top)) / side);
    return `[${values.map((v) => Math.min(1, Math.max(0, v)).toFixed(decimals)).join(",")}]`;
}

/* The question with a box put in: in place of upstream's placeholder, else at the caret, else as a question of its own. Returns the
 * text and where the caret belongs. */
export function insertBox(question, caret, box) {
    const placeholder = question.match(PLACEHOLDER);
    if (placeholder !== null) {
        const end = placeholder.index + box.length;
        return { text: question.replace(PLACEHOLDER, box), caret: end };
    }
    if (question.trim() === "") return { text: REGION_QUESTION + box, caret: REGION_QUESTION.length + box.length };
    const before = question.slice(0, caret);
    const space = before === "" || /\s$/.test(before) ? "" : " ";
    return { text: before + space + box + question.slice(caret), caret: (before + space + box).length };
}
