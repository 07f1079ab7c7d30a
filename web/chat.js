/*
 * chat.js - the conversation on the page. Answers are put together from text nodes: whatever the model writes is shown, nothing is obeyed.
 *
 * While an answer comes it is plain text. When it is complete its regions become marked phrases that can be hovered, focused and clicked
 * (actions.point, actions.pin), and the overlay's regions make them stand out in turn (highlight). Each of its words knows its place in the
 * answer, for the attention view.
 */
import { iconButton, make, pointable } from "./dom.js";
import { confidenceOf, nameOf, percent, piecesOf, promptOf, shapesOf } from "./regions.js";

const ENCODERS = { clip: "CLIP", convnext: "ConvNeXt", dinov2: "DINOv2", qformer: "Q-Former" };
const NEAR_END = 80; /* pixels from the end within which the view follows a growing answer */

const IMAGINE = "Make a picture of this";

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" }); /* knows words without spaces between them, too */

const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

/* What the server is doing before the first word. */
function progressText({ stage, part, done, total }) {
    if (stage === "queue") return total - done > 0 ? `Waiting: ${count(total - done, "question")} ahead` : "Next in the queue";
    if (stage === "encode") return `Looking at the picture${part ? ` (${ENCODERS[part] ?? part})` : ""}`;
    if (stage === "prefill") return "Reading the question";
    return "Waiting for the server";
}

function secondsOf({ queue = 0, encode = 0, prefill = 0, decode = 0 }) {
    const all = queue + encode + prefill + decode;
    return all.toFixed(all < 1 ? 2 : 1);
}

function timingDetails({ timings, usage }) {
    const cached = usage?.prompt_tokens_details?.cached_tokens;
    const parts = Object.entries(timings).map(([name, value]) => `${ENCODERS[name] ?? name} ${value.toFixed(3)} s`);
    return [...parts, ...(cached ? [`${cached} of ${usage.prompt_tokens} prompt tokens remembered`] : [])].join("\n");
}

/* What the reader should know about how an answer ended. */
function notesOf(turn) {
    return [
        turn.state === "interrupted" && "Interrupted: the page was left while this was being answered.",
        turn.state === "stopped" && "Stopped.",
        turn.finish === "length" && "Cut at the maximum response length.",
        turn.dropped > 0 && `The conversation is too long for the model: its oldest ${count(turn.dropped, "turn")} had to be left out.`,
        turn.malformed > 0 && `${count(turn.malformed, "list")} of numbers in it ${turn.malformed === 1 ? "is" : "are"} neither box nor point.`,
    ].filter(Boolean);
}

/* A piece of an answer that begins at `start` and can be chosen as a whole. */
const word = (text, start, attributes = {}, length = text.length) =>
    make("span", { ...attributes, class: `word ${attributes.class ?? ""}`.trim(), "data-start": start, "data-end": start + length }, text);

/* A text of an answer with its words as elements. */
const wordsOf = (text, start) => [...segmenter.segment(text)].map(({ segment, index, isWordLike }) => (isWordLike ? word(segment, start + index) : segment));

export class ChatView {
    /* actions: edit(id, question), regenerate(id), show(id), point(id, region or null), pin(id, region), imagine(id, place), which makes a
     * picture of an answer, and made(turn, place), which shows the one that it has. scroll: what scrolls the list. */
    constructor(list, scroll, actions) {
        Object.assign(this, { list, scroll, actions, busy: false });
        this.items = new Map(); /* turn id -> {key, item}: only what has changed is made anew, or screen readers would read all of it again */
    }

    /* Shows all turns anew. busy: an answer is under way, nothing can be changed. */
    render(turns, busy) {
        const near = this.isNearEnd() || busy;
        const before = this.items;
        this.busy = busy;
        this.items = new Map(turns.map((turn) => {
            const key = JSON.stringify({ ...turn, made: null }); /* which is put into the item when it comes */
            const old = before.get(turn.id);
            return [turn.id, old?.key === key ? old : { key, item: this.turn(turn) }];
        }));
        this.place([...this.items.values()].map(({ item }) => item));
        for (const button of this.list.querySelectorAll(".edit, .regenerate")) button.disabled = busy;
        this.follow(near);
    }

    /* Makes these the list's items without touching those that are in their place. */
    place(items) {
        for (const item of [...this.list.children]) if (!items.includes(item)) item.remove();
        items.forEach((item, index) => {
            if (this.list.children[index] !== item) this.list.insertBefore(item, this.list.children[index] ?? null);
        });
    }

    item(id) {
        return this.list.querySelector(`[data-turn="${id}"]`);
    }

    /* More of an answer has come. */
    grow(turn) {
        const near = this.isNearEnd();
        const item = this.item(turn.id);
        item.querySelector(".progress")?.remove();
        item.querySelector(".answer-text").textContent = turn.answer;
        this.follow(near);
    }

    /* Before the first word. progress: as the server tells it, or {text} of our own. */
    progress(turn, progress) {
        const box = this.item(turn.id)?.querySelector(".progress");
        if (!box) return;
        const { done = 0, total = 0 } = progress;
        const bar = box.querySelector("progress");
        box.querySelector(".progress-text").textContent = progress.text ?? progressText(progress);
        box.dataset.stage = progress.stage ?? "";
        if (total > 0 && progress.stage !== "queue") Object.assign(bar, { max: total, value: done });
        else bar.removeAttribute("value");
    }

    /* Makes the marks of one region stand out, and says which turn the picture shows. */
    highlight(shown, active) {
        for (const item of this.list.children) {
            const id = Number(item.dataset.turn);
            item.querySelector(".show")?.setAttribute("aria-pressed", String(id === shown));
            for (const mark of item.querySelectorAll(".mark"))
                mark.classList.toggle("active", active !== null && active.turn === id && active.region === Number(mark.dataset.region));
        }
    }

    isNearEnd() {
        const { scrollHeight, scrollTop, clientHeight } = this.scroll;
        return scrollHeight - scrollTop - clientHeight < NEAR_END;
    }

    follow(near) {
        if (near) this.scroll.scrollTop = this.scroll.scrollHeight;
    }

    turn(turn) {
        return make("li", { class: "turn", "data-turn": turn.id }, this.question(turn), this.answer(turn));
    }

    question(turn) {
        const bubble = make("div", { class: "question" }, make("p", { class: "question-text" }, turn.question));
        const edit = iconButton("edit", "Edit this question", () => this.beginEdit(turn, bubble), { class: "quiet edit", disabled: this.busy });
        bubble.prepend(make("span", { class: "off-screen" }, "You asked: "), edit);
        return bubble;
    }

    beginEdit(turn, bubble) {
        const box = make("textarea", { rows: 2, "aria-label": "Edit the question", class: "edit-box" });
        const cancel = () => {
            const fresh = this.question(turn);
            form.replaceWith(fresh);
            fresh.querySelector(".edit").focus();
        };
        const save = (event) => {
            event?.preventDefault();
            if (box.value.trim() !== "" && !this.busy) this.actions.edit(turn.id, box.value.trim());
        };
        const form = make("form", { class: "question editing", onsubmit: save },
            box, make("div", { class: "row" }, make("button", { class: "primary" }, "Ask again"), make("button", { type: "button", onclick: cancel }, "Cancel")));
        box.value = turn.question;
        box.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) save(event);
            if (event.key === "Escape") {
                event.stopPropagation();
                cancel();
            }
        });
        bubble.replaceWith(form);
        box.focus();
    }

    answer(turn) {
        const streaming = turn.state === "streaming";
        const body = make("p", { class: "answer-text" });
        const article = make("article", { class: `answer ${turn.state}`, "aria-busy": String(streaming) },
            make("span", { class: "off-screen" }, "Answer: "), body);

        if (streaming) {
            body.textContent = turn.answer;
            if (turn.answer === "") article.append(this.progressBox());
            return article;
        }
        body.append(...piecesOf(turn.answer, turn.regions).flatMap((piece) => (piece.text ? wordsOf(piece.text, piece.start) : this.mark(turn, piece))));
        for (const note of notesOf(turn)) article.append(make("p", { class: "note muted" }, note));
        const place = make("div", { class: "made" });
        article.append(this.tools(turn, place), place);
        if (turn.made) this.actions.made(turn, place);
        return article;
    }

    progressBox() {
        return make("div", { class: "progress" }, make("span", { class: "progress-text" }, "Waiting for the server"),
            make("progress", { "aria-label": "Progress" }));
    }

    mark(turn, { region, phrase, start, list, listStart }) {
        const told = turn.regions[region];
        const sure = confidenceOf(told);
        const n = shapesOf(told).length;
        const kind = told.boxes.length > 0 ? `box${n > 1 ? "es" : ""}` : `point${n > 1 ? "s" : ""}`;
        return make("span", {
            class: `mark ${told.color}`, "data-region": region, "aria-label": `${nameOf(told)}: on the picture`,
            ...pointable(() => this.actions.point(turn.id, region), () => this.actions.point(turn.id, null), () => this.actions.pin(turn.id, region)),
        }, phrase ? make("span", { class: "phrase" }, ...wordsOf(phrase, start)) : word(n > 1 ? `${n} ${kind}` : kind, listStart, { class: "stand-in" }, list.length),
        word(list, listStart, { class: "numbers" }),
        sure === null ? null : make("span", { class: "sure" }, percent(sure)));
    }

    tools(turn, place) {
        const copy = iconButton("copy", "Copy the answer", async () => {
            await navigator.clipboard.writeText(turn.answer);
            copy.replaceWith(iconButton("check", "Copied", null, { class: "quiet", disabled: true }));
        }, { class: "quiet" });
        const tools = make("div", { class: "row answer-tools" });
        if (navigator.clipboard) tools.append(copy);
        tools.append(iconButton("again", "Answer again", () => this.actions.regenerate(turn.id), { class: "quiet regenerate", disabled: this.busy }));
        if (turn.regions.length > 0)
            tools.append(iconButton("eye", "Show on the picture", () => this.actions.show(turn.id), { class: "quiet show", "aria-pressed": "false" }));
        if (promptOf(turn) !== "")
            tools.append(iconButton("imagine", IMAGINE, () => this.actions.imagine(turn.id, place), { text: true, title: IMAGINE, "aria-label": IMAGINE, class: "quiet imagine" }));
        if (turn.usage && turn.timings)
            tools.append(make("span", { class: "cost muted", title: timingDetails(turn) },
                `${count(turn.usage.completion_tokens, "token")}, ${secondsOf(turn.timings)} s`));
        return tools;
    }
}
