/*
 * notices.js - what went wrong, above the question, with what can be done about it; read out at once by screen readers.
 */
import { iconButton, make } from "./dom.js";

export class Notices {
    constructor(place) {
        this.place = place;
    }

    /* kind: "error" or "info". actions: [{label, run}]; a notice goes when it is closed, when one of its actions runs, or with clear(). */
    show(kind, message, actions = []) {
        this.clear();
        const buttons = actions.map(({ label, run }) => make("button", {
            type: "button", onclick: () => {
                this.clear();
                run();
            },
        }, label));
        const close = iconButton("close", "Close the message", () => this.clear(), { class: "quiet" });
        this.place.append(make("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : "status" }, make("p", {}, message), ...buttons, close));
    }

    clear() {
        this.place.replaceChildren();
    }
}
