/*
 * asking.js - one answer: the dialogue as a request, sent again while the server is busy or wants a key, until the answer is complete.
 */
import * as api from "./api.js";
import { byId } from "./dom.js";
import { dataUrl } from "./picture.js";

const BUSY_TRIES = 8;

/* Resolves after some seconds, telling each of them; throws AbortError as fetch does. */
async function countdown(seconds, tell, signal) {
    for (let left = Math.ceil(seconds); left > 0; left--) {
        tell(left);
        await new Promise((resolve) => {
            const timer = setTimeout(resolve, 1000);
            signal.addEventListener("abort", () => {
                clearTimeout(timer);
                resolve();
            }, { once: true });
        });
        signal.throwIfAborted();
    }
}

/* Asks for the key; false if the user would rather not. */
function askKey(reason) {
    const dialog = byId("key-dialog");
    byId("key-reason").textContent = reason;
    byId("key").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => {
            const key = byId("key").value.trim();
            const given = dialog.returnValue === "ok" && key !== "";
            if (given) api.keySave(key);
            resolve(given);
        }, { once: true });
    });
}

/* What a request gives, with the key that it needs. */
export async function withKey(send) {
    for (;;) {
        try {
            return await send();
        } catch (error) {
            const reason = api.keySaved() ? "The key was not accepted." : "It is kept in this tab only, and forgotten with it.";
            if (error.kind !== "key" || !(await askKey(reason))) throw error;
        }
    }
}

/* Answers the last turn of the dialogue. sampling: {max_tokens, temperature, top_p}; on: as in api.chat; the turn grows with what comes
 * and is complete when this returns. Throws ApiError, or AbortError when the signal says so. */
export async function answerLast(dialogue, sampling, on, signal) {
    const turn = dialogue.last;
    const url = dialogue.picture === null ? null : await dataUrl(dialogue.picture.blob);
    const body = { model: "sphinx", messages: dialogue.messages(url), ...sampling };

    for (let tries = 1; ; tries++) {
        try {
            const { finish, usage, sphinx } = await withKey(() => api.chat(body, on, signal));
            const { regions = [], malformed = 0, dropped_turns: dropped = 0, timings = null } = sphinx;
            Object.assign(turn, { state: "done", finish, usage, regions, malformed, dropped, timings });
            return;
        } catch (error) {
            if (error.kind !== "busy" || tries === BUSY_TRIES || turn.answer !== "") throw error;
            await countdown(error.retryAfter, (left) => on.progress({ text: `The server is busy. Next try in ${left} s` }), signal);
        }
    }
}

/* The regions of an answer that was not heard to its end, and masks or a drawn picture of any answer. */
export async function groundAnswer(dialogue, turn, wanted, signal) {
    const image = await dataUrl(dialogue.picture.blob);
    return withKey(() => api.ground({ image, answer: turn.answer, ...wanted }, signal));
}

/* Where the model looked as it wrote a turn's answer from start to end, which count UTF-16 here and characters on the server. */
export async function lookAt(dialogue, turn, start, end, signal) {
    const url = await dataUrl(dialogue.picture.blob);
    const characters = (n) => [...turn.answer.slice(0, n)].length;
    const part = { answer: turn.answer, start: characters(start), end: characters(end) };
    return withKey(() => api.attention({ messages: dialogue.messages(url, turn), ...part }, signal));
}
