/*
 * composer.js - where questions are written: the box, the example questions, and the settings with upstream's sliders and defaults.
 */
import { byId, make } from "./dom.js";
import * as store from "./store.js";

/* Upstream's slider goes in tens. Ours counts the tens, so that both ends, 1 and a maximum that is no multiple of ten, can be reached. */
const LENGTH_STEP = 10;

/* Short words for the buttons; what they ask is upstream's, told by the server. */
const TASK_LABELS = {
    question: "Question", caption_detailed: "Detailed caption", caption_short: "Short caption", rec: "Find by words", relation: "Relationship",
    caption_grounded: "Caption with boxes", detection: "Detect objects", keypoints: "Key points", text_detection: "Find text", chart: "Chart to table",
};

/* What the user will want to replace in an example: "blue backpack", "[x1, y1, x2, y2]". */
const VARIABLE = /(?<=describes ?: ).*?(?=\.$)|\[x1, ?y1, ?x2, ?y2\]|(?<=Detect all )\w+(?= shown)/;

export class Composer {
    /* onSubmit(question), onTask(task), onView(): a setting that changes how things look. */
    constructor(onSubmit, onTask, onView) {
        this.box = byId("question");
        this.onSubmit = onSubmit;
        this.onTask = onTask;
        this.onView = onView;
        this.defaults = { max_tokens: 1024, temperature: 0.1, top_p: 0.75 };
        this.lengthMax = 1024;
        this.changed = store.settings(); /* only what the user has set, so that another model's defaults come through */
        this.text = store.draft();

        byId("composer").addEventListener("submit", (event) => {
            event.preventDefault();
            this.submit();
        });
        this.box.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            this.submit();
        });
        this.box.addEventListener("input", () => this.written());
        this.setUpSettings();
    }

    get text() {
        return this.box.value;
    }

    set text(text) {
        this.box.value = text;
        this.written();
    }

    submit() {
        if (this.text.trim() !== "" && !byId("send").disabled) this.onSubmit(this.text.trim());
    }

    /* Keeps what is written, and gives it the height that it needs (style.css bounds it). */
    written() {
        store.saveDraft(this.text);
        this.box.style.height = "auto";
        this.box.style.height = `${this.box.scrollHeight}px`;
    }

    /* Puts a text in the box with a part of it selected. */
    write(text, begin = text.length, end = begin) {
        this.text = text;
        this.box.focus();
        this.box.setSelectionRange(begin, end);
    }

    /* While an answer comes there is a stop button in place of the other. */
    setBusy(busy) {
        const hadFocus = document.activeElement === byId(busy ? "send" : "stop");
        byId("send").hidden = byId("send").disabled = busy;
        byId("stop").hidden = !busy;
        byId("undo").disabled = busy;
        if (hadFocus) byId(busy ? "stop" : "send").focus();
    }

    /* What the server told: example questions, and where the sliders stand and end. */
    setProps({ tasks, defaults, context }) {
        byId("tasks").replaceChildren(...tasks.map((task) =>
            make("button", { type: "button", class: "task", "data-task": task.name, title: task.prompt, onclick: () => this.example(task) },
                make("span", { class: "task-name" }, TASK_LABELS[task.name] ?? task.title), make("span", { class: "task-prompt" }, task.prompt))));
        this.defaults = defaults;
        this.lengthMax = Math.max(defaults.max_tokens, Math.floor(context / 4));
        byId("length").max = Math.ceil(this.lengthMax / LENGTH_STEP);
        this.showSettings();
    }

    example(task) {
        const variable = task.prompt.match(VARIABLE);
        if (variable === null) this.write(task.prompt);
        else this.write(task.prompt, variable.index, variable.index + variable[0].length);
        this.onTask(task);
    }

    setUpSettings() {
        const lengthOf = (tens) => Math.min(this.lengthMax, Math.max(1, LENGTH_STEP * tens));
        const set = (name, value) => {
            this.changed[name] = value;
            store.saveSettings(this.changed);
            this.showSettings();
        };
        byId("length").min = 0;
        byId("length").addEventListener("input", (event) => set("max_tokens", lengthOf(Number(event.target.value))));
        byId("temperature").addEventListener("input", (event) => set("temperature", Number(event.target.value)));
        byId("top-p").addEventListener("input", (event) => set("top_p", Number(event.target.value)));
        byId("decimals").addEventListener("change", (event) => set("decimals", Number(event.target.value)));
        byId("show-numbers").addEventListener("change", (event) => set("numbers", event.target.checked));
        byId("reset").addEventListener("click", () => {
            this.changed = {};
            store.saveSettings(this.changed);
            this.showSettings();
        });
        byId("settings-toggle").addEventListener("click", () => this.openSettings(byId("settings").hidden));
    }

    openSettings(open) {
        byId("settings").hidden = !open;
        byId("settings-toggle").setAttribute("aria-expanded", String(open));
    }

    showSettings() {
        const { max_tokens, temperature, top_p } = this.sampling;
        byId("length").value = max_tokens === this.lengthMax ? byId("length").max : Math.floor(max_tokens / LENGTH_STEP);
        byId("length").setAttribute("aria-valuetext", `${max_tokens} tokens`);
        byId("length-value").textContent = max_tokens;
        byId("temperature").value = temperature;
        byId("temperature-value").textContent = temperature.toFixed(2);
        byId("top-p").value = top_p;
        byId("top-p-value").textContent = top_p.toFixed(2);
        byId("decimals").value = String(this.decimals);
        byId("show-numbers").checked = this.numbers;
        this.onView();
    }

    /* As the request wants them. */
    get sampling() {
        const { max_tokens, temperature, top_p } = { ...this.defaults, ...this.changed };
        return { max_tokens: Math.min(max_tokens, this.lengthMax), temperature, top_p };
    }

    get decimals() {
        return this.changed.decimals ?? 2;
    }

    get numbers() {
        return this.changed.numbers ?? true;
    }
}
