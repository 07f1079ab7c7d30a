/*
 * app.js - the page: brings its parts together and holds what is going on.
 *
 *   composer.js  question ─┐                                        ┌─ chat.js      text with marked phrases
 *   picture-pane.js        ├─ dialogue.js ─ asking.js ─ (server) ───┤                  │ point at each other
 *   region-tool.js  box ───┘       └─ store.js                      └─ overlay.js, masks.js   over the picture
 *
 *   a word of an answer ── attention.js ── heat.js over the picture;   an answer ── imagine.js ── another picture
 *
 * Everything the user does ends here; one answer is under way at a time (this.abort is then set).
 */
import * as api from "./api.js";
import { AttentionView } from "./attention.js";
import { answerLast, groundAnswer, withKey } from "./asking.js";
import { ChatView } from "./chat.js";
import { Composer } from "./composer.js";
import { Dialogue } from "./dialogue.js";
import { byId, download } from "./dom.js";
import { Imagine } from "./imagine.js";
import { Masks } from "./masks.js";
import { Notices } from "./notices.js";
import { Overlay } from "./overlay.js";
import { PicturePane } from "./picture-pane.js";
import { RegionTool } from "./region-tool.js";
import { boxesAsked, formatBox, insertBox } from "./regions.js";
import { toJson, toMarkdown } from "./save.js";
import * as store from "./store.js";

const SAVE_MS = 400;   /* a growing answer is kept this often */
const HEALTH_MS = 2000; /* a server that is gone is looked for this often */
const NO_MASKS = "Masks need a segmenter, which this server has not got: start it with --sam FILE.";

class App {
    constructor() {
        this.props = { model: "SPHINX", sam: null, limits: { body_bytes: 32 << 20, pixels: 64 << 20 }, colors: {} };
        this.dialogue = new Dialogue();
        this.abort = null;
        this.shown = null;  /* id of the turn whose regions are on the picture */
        this.pinned = null; /* {turn, region} that was clicked */
        this.hovered = null;
        this.masksOf = new Map(); /* turn id -> masks */

        this.notices = new Notices(byId("notices"));
        this.chat = new ChatView(byId("messages"), byId("scroll"), {
            edit: (id, question) => this.ask(() => this.dialogue.again(id, question)),
            regenerate: (id) => this.ask(() => this.dialogue.again(id, this.dialogue.turn(id).question)),
            show: (id) => this.show(id),
            point: (turn, region) => this.point(region === null ? null : { turn, region }),
            pin: (turn, region) => this.attention.on || this.pin({ turn, region }), /* then a click chooses a word */
            imagine: (id, place) => this.imagine.make(id, place),
            made: (turn, place) => this.imagine.show(turn, place),
        });
        this.overlay = new Overlay(byId("overlay"), (region) => this.point(region === null ? null : { turn: this.onPicture, region }),
            (region) => this.pin({ turn: this.onPicture, region }));
        this.masks = new Masks(byId("masks"));
        this.attention = new AttentionView(this.dialogue, byId("messages"), (turn) => this.show(turn));
        this.imagine = new Imagine(this.dialogue, () => this.props, () => this.save(), (picture) => this.setPicture(picture));
        this.regionTool = new RegionTool(byId("frame"), byId("selection"), byId("region"), (box) => this.boxDragged(box));
        this.pane = new PicturePane(() => this.props.limits, (picture) => this.setPicture(picture), (message) => this.notices.show("error", message));
        this.composer = new Composer((question) => this.submit(question), (task) => this.taskChosen(task), () => this.showSwitches());
        this.composer.showSettings();
        this.setUpButtons();
        this.start();
    }

    setUpButtons() {
        const on = (id, event, run) => byId(id).addEventListener(event, run);
        on("stop", "click", () => this.stop());
        on("undo", "click", () => this.undo());
        on("clear", "click", () => this.clear());
        on("show-regions", "change", () => this.showSwitches());
        on("show-labels", "change", () => this.showSwitches());
        on("show-masks", "change", () => this.showMasks());
        on("opacity", "input", () => this.masks.setOpacity(byId("opacity").value / 100));
        on("save-boxes", "click", () => this.savePicture("boxes"));
        on("save-masks", "click", () => this.savePicture("masks"));
        on("save-markdown", "click", () => this.saveText("md", "text/markdown", toMarkdown));
        on("save-json", "click", () => this.saveText("json", "application/json", toJson));
        document.addEventListener("click", ({ target }) => {
            if (!byId("export").contains(target) || target.closest(".menu-items")) byId("export").open = false;
            if (!target.closest("#settings, #settings-toggle")) this.composer.openSettings(false);
        });
        document.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && this.escape());
        window.addEventListener("pagehide", () => this.save());
    }

    /* Closes what is open, or stops the answer, or leaves the attention view. */
    escape() {
        const open = byId("export").open ? byId("export").querySelector("summary") : !byId("settings").hidden ? byId("settings-toggle") : null;
        byId("export").open = false;
        this.composer.openSettings(false);
        if (open !== null) open.focus();
        else if (this.abort === null && this.attention.on) this.attention.leave();
        else this.stop();
    }

    /* ---- the server ---- */

    async start() {
        if (!(await store.open())) this.notices.show("info", "This browser keeps nothing here: a reload would lose the conversation.");
        const kept = await store.load().catch(() => null);
        if (kept !== null) {
            this.dialogue.restore(kept.picture, kept.turns);
            this.picturePresent();
            this.shown = this.dialogue.turns.findLast((turn) => turn.regions.length > 0)?.id ?? this.dialogue.last?.id ?? null;
        }
        this.render();
        await this.connect();
    }

    status(state, text) {
        byId("status").dataset.state = state;
        byId("status-text").textContent = text;
    }

    /* Gets to know the server, however long it takes to answer. */
    async connect() {
        try {
            this.props = await withKey(api.props);
        } catch (error) {
            if (error.kind === "gone" || error.kind === "busy") return this.lost();
            this.status("gone", "Not connected");
            return this.notices.show("error", error.message, [{ label: "Try again", run: () => this.connect() }]);
        }
        this.status("ready", "Ready");
        byId("model").textContent = this.props.model;
        byId("model").title = `${this.props.variant}, ${this.props.image_size} pixels, ${this.props.context} positions`;
        this.overlay.skeleton = this.props.skeleton;
        this.composer.setProps(this.props);
        document.body.classList.toggle("has-image-api", this.props.image_api === true);
        this.showTurn();
        this.showMasks();
    }

    lost() {
        this.status("gone", "No server");
        clearTimeout(this.healthTimer);
        this.healthTimer = setTimeout(async () => ((await api.isUp()) ? this.connect() : this.lost()), HEALTH_MS);
    }

    /* ---- asking ---- */

    submit(question) {
        if (this.abort !== null) return;
        this.composer.text = "";
        this.ask(() => this.dialogue.add(question));
    }

    /* Changes the dialogue so that its last turn wants an answer, and gets it. What fails leaves the dialogue as it was. */
    async ask(change) {
        if (this.abort !== null) return;
        const before = this.dialogue.snapshot();
        const turn = change();
        const abort = (this.abort = new AbortController());

        this.notices.clear();
        this.attention.clear();
        this.shown = this.pinned = this.hovered = null;
        this.composer.setBusy(true);
        this.render();
        if (document.activeElement === document.body) byId("stop").focus(); /* what was pressed is gone */
        this.chat.progress(turn, {});
        try {
            await answerLast(this.dialogue, this.composer.sampling, {
                progress: (progress) => this.chat.progress(turn, progress),
                text: (piece) => this.grow(turn, piece),
            }, abort.signal);
            this.status("ready", "Ready");
        } catch (error) {
            if (abort.signal.reason === "discard") return; /* the dialogue is already another one */
            if (error.name === "AbortError" && turn.answer !== "") turn.state = "stopped";
            else this.failed(error, before, turn.question, this.dialogue.turns.length > before.length);
        } finally {
            if (this.abort === abort) this.finished(turn);
        }
    }

    grow(turn, piece) {
        turn.answer += piece;
        this.chat.grow(turn);
        this.saveTimer ??= setTimeout(() => this.save(), SAVE_MS);
    }

    finished(turn) {
        this.abort = null;
        this.composer.setBusy(false);
        this.shown = this.dialogue.turns.includes(turn) ? turn.id : (this.dialogue.last?.id ?? null);
        this.render();
        this.save();
        this.showMasks();
        if (turn.state === "stopped" && this.dialogue.picture !== null && turn.answer.includes("[")) this.findRegions(turn);
    }

    /* A question that is no longer in the dialogue goes back into the box, unless the next one is there already. */
    failed(error, before, question, isNew) {
        const gone = isNew || !before.some((turn) => turn.question === question);
        this.dialogue.turns = before;
        if (gone && this.composer.text.trim() === "") this.composer.text = question;
        if (error.name === "AbortError") return;
        if (error.kind === "gone") this.lost();
        const hint = { gone: " Is it running?", busy: " It has no room for now." }[error.kind] ?? "";
        this.notices.show("error", error.message + hint, [{ label: "Try again", run: () => this.tryAgain(question) }]);
        if (!(error instanceof api.ApiError)) throw error; /* a fault of the page itself: let the console have it, too */
    }

    tryAgain(question) {
        if (this.composer.text.trim() === question) this.composer.text = "";
        if (this.dialogue.last?.question === question) this.ask(() => this.dialogue.again(this.dialogue.last.id, question));
        else this.ask(() => this.dialogue.add(question));
    }

    /* A stopped answer came without its regions. */
    async findRegions(turn) {
        const told = await groundAnswer(this.dialogue, turn, {}).catch(() => null);
        if (told === null || this.dialogue.turn(turn.id) !== turn) return;
        Object.assign(turn, { regions: told.regions, malformed: told.malformed });
        this.render();
        this.save();
    }

    stop() {
        this.abort?.abort();
    }

    /* Stops and forgets what is under way. */
    discard() {
        this.abort?.abort("discard");
        this.abort = null;
        this.composer.setBusy(false);
    }

    undo() {
        if (this.abort !== null || this.dialogue.last === null) return;
        this.dialogue.turns.pop();
        this.shown = this.dialogue.last?.id ?? null;
        this.render();
        this.save();
        this.showMasks();
    }

    clear() {
        this.setPicture(null);
        this.composer.write("");
    }

    /* ---- the picture ---- */

    setPicture(picture) {
        if (this.dialogue.picture !== null || this.dialogue.turns.length > 0) this.composer.text = "";
        this.discard();
        this.notices.clear();
        this.dialogue.begin(picture);
        this.shown = this.pinned = this.hovered = null;
        this.masksOf.clear();
        this.attention.turn(false);
        this.picturePresent();
        this.render();
        this.showMasks();
        this.save();
        store.savePicture(picture).catch(() => this.notSaved());
    }

    picturePresent() {
        const { picture } = this.dialogue;
        this.pane.show(picture);
        this.overlay.setPicture(picture);
        this.regionTool.setPicture(picture);
    }

    boxDragged(box) {
        const text = formatBox(box, this.dialogue.picture, this.composer.decimals);
        const { text: question, caret } = insertBox(this.composer.text, this.composer.box.selectionStart, text);
        this.composer.write(question, caret);
        this.showTurn();
    }

    /* The example for key points wants a box: the next drag gives it. */
    taskChosen(task) {
        if (task.prompt.includes("[x1") && this.dialogue.picture !== null) this.regionTool.arm(true);
    }

    /* ---- pointing ---- */

    get active() {
        return this.hovered ?? this.pinned;
    }

    /* The turn that is on the picture: what is pointed at comes before what is shown otherwise. */
    get onPicture() {
        return this.active?.turn ?? this.shown;
    }

    point(place) {
        this.hovered = place;
        this.showTurn();
    }

    /* A click keeps a region marked until the next click on it. */
    pin(place) {
        const same = this.pinned?.turn === place.turn && this.pinned.region === place.region;
        this.pinned = same ? null : place;
        this.show(place.turn);
    }

    show(id) {
        if (this.shown !== id) {
            this.shown = id;
            if (this.pinned?.turn !== id) this.pinned = null;
        }
        this.showTurn();
        this.showMasks();
    }

    /* Puts the regions of the turn on the picture; a redraw only where they change, since it would end the hovering. */
    showTurn() {
        const turn = this.abort === null ? this.dialogue.turn(this.onPicture) : null;
        const regions = turn !== null && byId("show-regions").checked ? turn.regions : [];
        const { picture } = this.dialogue;
        const question = this.composer.text || ((turn ?? this.dialogue.last)?.question ?? "");
        const asked = picture === null ? [] : boxesAsked(question, picture);
        const drawn = JSON.stringify([turn?.id, regions, asked]);
        if (drawn !== this.drawn) this.overlay.show(regions, asked);
        this.drawn = drawn;
        this.overlay.highlight(this.active?.turn === turn?.id ? (this.active?.region ?? null) : null);
        this.chat.highlight(this.onPicture, this.active);
    }

    showSwitches() {
        byId("messages").classList.toggle("no-numbers", !this.composer.numbers);
        this.overlay.setLabels(byId("show-labels").checked);
        this.showTurn();
    }

    async showMasks() {
        const wanted = byId("show-masks").checked;
        const turn = this.dialogue.turn(this.shown);
        this.masks.clear();
        byId("masks-note").textContent = wanted && !this.props.sam ? NO_MASKS : "";
        byId("opacity-row").hidden = !wanted || !this.props.sam;
        if (!wanted || !this.props.sam || this.abort !== null || !turn?.regions.some((region) => region.boxes.length > 0)) return;
        byId("masks-note").textContent = "Looking for the masks";
        try {
            if (!this.masksOf.has(turn.id)) this.masksOf.set(turn.id, (await groundAnswer(this.dialogue, turn, { masks: true })).masks);
            if (this.shown !== turn.id || this.abort !== null) return;
            await this.masks.show(this.masksOf.get(turn.id), turn.regions, this.props.colors);
            byId("masks-note").textContent = "";
        } catch (error) {
            byId("masks-note").textContent = `No masks: ${error.message}`;
        }
    }

    /* ---- keeping ---- */

    render() {
        byId("welcome").hidden = this.dialogue.turns.length > 0;
        document.body.classList.toggle("no-turns", this.dialogue.turns.length === 0);
        document.body.classList.toggle("with-picture", this.dialogue.picture !== null);
        this.chat.render(this.dialogue.turns, this.abort !== null);
        this.attention.refresh();
        this.drawn = null;
        this.showTurn();
    }

    save() {
        clearTimeout(this.saveTimer);
        this.saveTimer = null;
        store.saveTurns(this.dialogue.turns).catch(() => this.notSaved());
    }

    notSaved() {
        this.notices.show("info", "The conversation could not be kept in this browser: a reload would lose it.");
    }

    saveText(ending, type, format) {
        download(new Blob([format(this.props.model, this.dialogue)], { type }), `conversation.${ending}`);
    }

    /* Drawn by the server, in upstream's way and in the picture's own pixels. kind: "boxes" or "masks". */
    async savePicture(kind) {
        const turn = this.dialogue.turn(this.shown);
        if (this.dialogue.picture === null || turn === null || turn.answer === "")
            return this.notices.show("info", "There is nothing to draw yet: ask something about a picture first.");
        if (kind === "masks" && !this.props.sam) return this.notices.show("info", NO_MASKS);
        try {
            const { picture } = await groundAnswer(this.dialogue, turn, { picture: kind, labels: byId("show-labels").checked });
            const bytes = Uint8Array.from(atob(picture.slice(picture.indexOf(",") + 1)), (character) => character.charCodeAt(0));
            download(new Blob([bytes], { type: "image/png" }), `${kind}.png`);
        } catch (error) {
            this.notices.show("error", `The picture could not be drawn. ${error.message}`);
        }
    }
}

new App();
