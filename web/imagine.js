/*
 * imagine.js - an answer as a picture: its words go to the server's image API, the picture that comes back stands under the answer and can
 * be saved, or asked about in a dialogue of its own. It is kept in its turn, as turn.made, in the form of picture.js.
 */
import * as api from "./api.js";
import { withKey } from "./asking.js";
import { download, iconButton, make } from "./dom.js";
import { pictureFrom } from "./picture.js";
import { promptOf } from "./regions.js";

const NO_API = "Making pictures needs an image server, which this server does not know: start it with --image-api URL.";

/* How the base64 text of a file begins. */
const TYPES = { iVBOR: "image/png", "/9j/": "image/jpeg", UklGR: "image/webp" };

function fileFrom(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const type = Object.entries(TYPES).find(([begin]) => base64.startsWith(begin))?.[1] ?? "";
    return new File([bytes], `made.${type.split("/")[1] ?? "bin"}`, { type });
}

export class Imagine {
    /* dialogue: of whose answers pictures are made; props(): the server's; onMade(): a turn has one now; onTake(picture): it is to be asked about. */
    constructor(dialogue, props, onMade, onTake) {
        Object.assign(this, { dialogue, props, onMade, onTake });
    }

    /* Makes a picture of a turn's answer and shows it, or why there is none, in a place under the answer. */
    async make(id, place) {
        if (!this.props().image_api) return this.say(place, NO_API);
        if (place.dataset.state === "busy") return;
        const abort = new AbortController();
        this.showProgress(place, abort);
        try {
            const file = fileFrom(await withKey(() => api.makePicture(promptOf(this.dialogue.turn(id)), abort.signal)));
            const made = await pictureFrom(file, this.props().limits);
            const turn = this.dialogue.turn(id);
            if (turn === null) return; /* undone meanwhile */
            turn.made = made;
            this.show(turn, place);
            this.onMade();
        } catch (error) {
            if (error.name === "AbortError") this.fill(place, "");
            else this.say(place, `There is no picture. ${error.message}`, "error");
        }
    }

    /* Shows the picture that a turn has. */
    show(turn, place) {
        const url = URL.createObjectURL(turn.made.blob);
        const { width, height } = turn.made; /* so that its place is known before it is there */
        const alt = `Picture made of the words: ${promptOf(turn)}`;
        const image = make("img", { src: url, alt, width, height, onload: () => URL.revokeObjectURL(url) });
        this.fill(place, "done", make("figure", {}, image, make("figcaption", { class: "row" },
            iconButton("save", "Save the picture", () => download(turn.made.blob, turn.made.name), { text: true, class: "save-made" }),
            iconButton("region", "Ask about this picture", () => this.onTake(turn.made), { text: true, class: "take-made" }))));
    }

    showProgress(place, abort) {
        const cancel = make("button", { type: "button", class: "link", onclick: () => abort.abort() }, "Cancel");
        this.fill(place, "busy", make("div", { class: "progress" }, make("span", { class: "row" }, "Making a picture of this", cancel),
            make("progress", { "aria-label": "Progress" })));
    }

    say(place, message, state = "") {
        this.fill(place, state, make("p", { class: `note ${state || "muted"}`, role: state === "error" ? "alert" : "status" }, message));
    }

    fill(place, state, ...content) {
        place.dataset.state = state;
        place.replaceChildren(...content);
        place.scrollIntoView({ block: "nearest" });
    }
}
