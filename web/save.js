/*
 * save.js - a conversation as a file: Markdown to read, JSON for programs. Pictures are drawn by the server.
 */
import { percent, shapesOf } from "./regions.js";

function regionLine(region) {
    const places = shapesOf(region).map(({ box, point, confidence }) => {
        const sure = typeof confidence === "number" ? ` (${percent(confidence)})` : "";
        return `${box ? "box" : "point"} ${(box ?? point).map((value) => value.toFixed(1)).join(", ")}${sure}`;
    });
    return `- ${region.phrase || region.color}: ${places.join("; ")}`;
}

/* Lines of a block quote, so that nothing in the text is taken for Markdown's own. */
const quote = (text) => text.split("\n").map((line) => `    ${line}`).join("\n");

/* model: its name; dialogue: dialogue.js. */
export function toMarkdown(model, { picture, turns }) {
    const head = [`# Conversation with ${model}`, picture ? `Picture: ${picture.name}, ${picture.width} × ${picture.height}` : "No picture"];
    const body = turns.flatMap((turn) => [
        "## Question", quote(turn.question), "## Answer", quote(turn.answer),
        ...(turn.state === "done" ? [] : [`(${turn.state})`]),
        ...(turn.regions.length > 0 ? [`Regions, in pixels of the picture:\n\n${turn.regions.map(regionLine).join("\n")}`] : []),
    ]);
    return `${[...head, ...body].join("\n\n")}\n`;
}

export function toJson(model, { picture, turns }) {
    const image = picture && { name: picture.name, width: picture.width, height: picture.height };
    const kept = turns.map(({ question, answer, state, finish, regions, usage }) => ({ question, answer, state, finish_reason: finish, regions, usage }));
    return `${JSON.stringify({ model, image, turns: kept }, null, 2)}\n`;
}
