/*
 * dialogue.js - a conversation about one picture, or none, and what of it is sent.
 *
 * A turn is { id, question, answer, state, finish, regions, malformed, dropped, usage, timings, made }, made: the picture that was made of its
 * answer (imagine.js). Its state is one of
 *
 *     streaming -> done          the whole answer is there (finish: "stop", or "length" if it was cut)
 *               -> stopped       by the user; what had come is kept
 *               -> interrupted   the page was left meanwhile
 *
 * A turn that fails leaves no trace: the caller puts back a snapshot that it took before.
 */

const NOTHING = { answer: "", state: "streaming", finish: null, regions: [], malformed: 0, dropped: 0, usage: null, timings: null, made: null };

const text = (content) => [{ type: "text", text: content }];

export class Dialogue {
    constructor() {
        this.picture = null;
        this.turns = [];
        this.nextId = 1;
    }

    /* Kept turns; one that was being answered is not any more. */
    restore(picture, turns) {
        this.picture = picture;
        this.turns = turns.map((turn) => (turn.state === "streaming" ? { ...turn, state: "interrupted" } : turn));
        this.nextId = Math.max(0, ...turns.map((turn) => turn.id)) + 1;
    }

    /* Another picture, or null: a new dialogue. */
    begin(picture) {
        this.picture = picture;
        this.turns = [];
    }

    get last() {
        return this.turns.at(-1) ?? null;
    }

    turn(id) {
        return this.turns.find((turn) => turn.id === id) ?? null;
    }

    add(question) {
        const turn = { id: this.nextId++, question, ...NOTHING };
        this.turns.push(turn);
        return turn;
    }

    /* The question of a turn once more, or another in its place. What came after it belonged to the old answer and goes. */
    again(id, question) {
        const index = this.turns.findIndex((turn) => turn.id === id);
        this.turns.length = index;
        return this.add(question);
    }

    snapshot() {
        return [...this.turns];
    }

    /* The messages up to a turn's question. Questions that never got an answer are left out; the picture stands where SPHINX reads it,
     * at the beginning. imageUrl: a data URL, or null. */
    messages(imageUrl, last = this.last) {
        const turns = this.turns.slice(0, this.turns.indexOf(last) + 1).filter((turn) => turn.answer !== "" || turn === last);
        return turns.flatMap((turn, index) => {
            const image = index === 0 && imageUrl !== null ? [{ type: "image_url", image_url: { url: imageUrl } }] : [];
            const question = { role: "user", content: [...image, ...text(turn.question)] };
            return turn === last ? [question] : [question, { role: "assistant", content: turn.answer }];
        });
    }
}
