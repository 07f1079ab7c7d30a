/*
 * attention.js - the attention view: the user chooses a word of an answer, and the picture glows where the model looked as it wrote it.
 *
 *   words of chat.js ── click, or arrow keys and Enter ── /v1/attention ── heat.js over the picture, a sentence below it
 *
 * While the view is on, words are buttons and the marked phrases around them are not. Tab reaches one word; arrow keys go on from there.
 */
import { lookAt } from "./asking.js";
import { byId } from "./dom.js";
import { gridOf, Heat, placeOf } from "./heat.js";
import { percent } from "./regions.js";

const HOW = "Choose a word of an answer: click it, or go to it with the arrow keys and press Enter.";
const NO_WORDS = "Ask something about the picture first. Then choose a word of the answer.";

export class AttentionView {
    /* dialogue: whose answers it is about; list: where they stand; onWord(turn id): a word was chosen. */
    constructor(dialogue, list, onWord) {
        Object.assign(this, { dialogue, list, onWord, on: false, chosen: null, told: null, parts: false, current: null });
        this.heat = new Heat(byId("heat"));
        this.button = byId("attention");
        this.button.addEventListener("click", (event) => (this.on ? this.leave() : this.enter(event.detail === 0)));
        byId("attention-whole").addEventListener("click", () => this.see(false));
        byId("attention-parts").addEventListener("click", () => this.see(true));
        list.addEventListener("click", ({ target }) => this.on && target.closest(".word") && this.choose(target.closest(".word")));
        list.addEventListener("keydown", (event) => this.on && event.target.matches(".word") && this.key(event));
    }

    /* ---- on and off ---- */

    enter(byKeyboard) {
        this.turn(true);
        if (byKeyboard) this.current?.focus();
    }

    leave() {
        const lost = this.list.contains(document.activeElement);
        this.turn(false);
        if (lost) this.button.focus();
    }

    turn(on) {
        this.on = on;
        this.button.setAttribute("aria-pressed", String(on));
        document.body.classList.toggle("attending", on);
        byId("attention-bar").hidden = !on;
        this.clear();
        this.refresh();
    }

    /* No word is chosen any more. */
    clear() {
        this.abort?.abort();
        this.chosen = this.told = null;
        this.heat.clear();
        byId("attention-views").hidden = true;
        this.say(HOW);
    }

    /* ---- the words ---- */

    /* Those that can be seen, in reading order. */
    get words() {
        return [...this.list.querySelectorAll(".word")].filter((word) => word.checkVisibility());
    }

    placeOfWord(word) {
        return { turn: Number(word.closest("[data-turn]").dataset.turn), start: Number(word.dataset.start), end: Number(word.dataset.end) };
    }

    isChosen(word) {
        const { turn, start } = this.placeOfWord(word);
        return this.chosen !== null && this.chosen.turn === turn && this.chosen.start === start;
    }

    /* To be called whenever the conversation was drawn: new words become buttons, and the chosen one may be gone. */
    refresh() {
        if (this.chosen !== null && this.dialogue.turn(this.chosen.turn) === null) this.clear();
        this.list.classList.toggle("picking", this.on);
        for (const mark of this.list.querySelectorAll(".mark")) {
            mark.setAttribute("role", this.on ? "group" : "button");
            mark.tabIndex = this.on ? -1 : 0;
        }
        for (const word of this.list.querySelectorAll(".word")) {
            const states = { role: "button", tabindex: -1, "aria-pressed": this.isChosen(word) };
            for (const [name, value] of Object.entries(states)) this.on ? word.setAttribute(name, value) : word.removeAttribute(name);
        }
        if (!this.on) return;
        const words = this.words;
        const last = this.list.lastElementChild;
        this.reach(words.find((word) => this.isChosen(word)) ?? words.find((word) => last.contains(word)) ?? words[0] ?? null);
        if (this.chosen === null) this.say(words.length > 0 ? HOW : NO_WORDS);
    }

    /* Makes this the word that Tab reaches. */
    reach(word) {
        if (this.current !== null) this.current.tabIndex = -1;
        this.current = word;
        if (word !== null) word.tabIndex = 0;
    }

    key(event) {
        const { words } = this;
        const at = words.indexOf(event.target);
        const moves = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: words.length - 1 };
        if (event.key === "Enter" || event.key === " ") this.choose(event.target);
        else if (!(event.key in moves)) return;
        else if (words[moves[event.key]] !== undefined) {
            this.reach(words[moves[event.key]]);
            this.current.focus();
        }
        event.preventDefault();
    }

    /* ---- where the model looked ---- */

    async choose(word) {
        this.clear();
        this.chosen = { ...this.placeOfWord(word), text: word.textContent };
        this.refresh();
        this.onWord(this.chosen.turn);
        const { turn, start, end, text } = this.chosen;
        const { signal } = (this.abort = new AbortController());
        this.say(`Finding out where the model looked as it wrote “${text}”`, "busy");
        try {
            const told = await lookAt(this.dialogue, this.dialogue.turn(turn), start, end, signal);
            signal.throwIfAborted();
            this.told = told;
            byId("attention-views").hidden = told.views === 1;
            this.see(this.parts && told.views > 1);
        } catch (error) {
            if (error.name !== "AbortError") this.say(`It is not known where the model looked. ${error.message}`, "error");
        }
    }

    /* Shows how the whole picture was looked at, or its parts, which the model sees enlarged. */
    see(parts) {
        const { picture } = this.dialogue;
        const grid = gridOf(this.told, parts);
        const share = grid.weights.reduce((sum, weight) => sum + weight, 0);
        const seen = this.told.views === 1 ? "the picture" : parts ? "the picture's parts" : "the whole picture";

        this.parts = parts;
        byId("attention-whole").setAttribute("aria-pressed", String(!parts));
        byId("attention-parts").setAttribute("aria-pressed", String(parts));
        this.heat.show(grid, picture);
        this.say(`“${this.chosen.text}”: ${percent(share)} of the model's attention was on ${seen}, most of it ${placeOf(grid, picture)}.`);
    }

    /* state: "busy", "error" or nothing. */
    say(text, state = "") {
        byId("attention-note").textContent = text;
        byId("attention-bar").dataset.state = state;
        byId("attention-progress").hidden = state !== "busy";
    }
}
