/*
 * api.js - the server as the page sees it: what it offers, a streamed answer, masks, attention, drawn and made pictures (docs/api.md).
 *
 * Whatever goes wrong becomes an ApiError whose message can be shown as it is and whose kind says what to do about it.
 */

export class ApiError extends Error {
    /* kind: "gone" (no connection), "broken" (it ended before the answer did), "busy" (503, try again), "key" (401), "refused" (the
     * request is at fault), "failed" (the server is). */
    constructor(kind, message, { status = 0, code = null, retryAfter = 0 } = {}) {
        super(message);
        Object.assign(this, { kind, status, code, retryAfter });
    }
}

const KEY = "sphinx-key";
const RETRY_SECONDS = 2; /* where the server does not say */

export const keySaved = () => sessionStorage.getItem(KEY) ?? "";
export const keySave = (key) => sessionStorage.setItem(KEY, key);

function kindOf(status) {
    if (status === 401) return "key";
    if (status === 503) return "busy";
    return status >= 500 && status !== 501 ? "failed" : "refused";
}

async function errorOf(response) {
    let error = {};
    try {
        error = (await response.json()).error ?? {};
    } catch {
        /* not ours: a proxy's page, perhaps; the status has to do */
    }
    return new ApiError(kindOf(response.status), error.message ?? `The server answered with status ${response.status}.`, {
        status: response.status, code: error.code ?? null, retryAfter: Number(response.headers.get("Retry-After")) || RETRY_SECONDS,
    });
}

async function request(path, body, signal) {
    const headers = { ...(keySaved() && { Authorization: `Bearer ${keySaved()}` }), ...(body && { "Content-Type": "application/json" }) };
    let response;
    try {
        response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new ApiError("gone", "The server does not answer.");
    }
    if (!response.ok) throw await errorOf(response);
    return response;
}

export const props = async () => (await request("props")).json();
export const isUp = () => request("health").then(() => true, () => false);

/* Regions of a given answer, with masks or a drawn picture if asked for. */
export const ground = async (body, signal) => (await request("v1/ground", body, signal)).json();

/* How much attention each patch had while a part of a given answer was written. */
export const attention = async (body, signal) => (await request("v1/attention", body, signal)).json();

/* A picture of a text: its file in base64. */
export async function makePicture(prompt, signal) {
    const { data } = await (await request("v1/images/generations", { prompt, response_format: "b64_json" }, signal)).json();
    return data[0].b64_json;
}

/* The data of server-sent events, one text each; comments and other fields are passed over. */
async function* events(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
}

/* Sends a dialogue and passes on what comes back:
 *   on.progress({stage, part, done, total}), on.text(piece)
 * and returns {finish, usage, sphinx} at the end. Aborting the signal stops the server's work and throws AbortError. */
export async function chat(body, on, signal) {
    const response = await request("v1/chat/completions", { ...body, stream: true, stream_options: { include_usage: true } }, signal);
    const end = { finish: null, usage: null, sphinx: {} };
    try {
        for await (const data of events(response.body)) {
            if (data === "[DONE]") return end;
            const { error, choices = [], usage, sphinx } = JSON.parse(data);
            if (error) throw new ApiError("failed", error.message, { code: error.code ?? null });
            if (sphinx?.progress) on.progress(sphinx.progress);
            else if (sphinx) end.sphinx = sphinx;
            if (choices[0]?.delta?.content) on.text(choices[0].delta.content);
            end.finish = choices[0]?.finish_reason ?? end.finish;
            end.usage = usage ?? end.usage;
        }
    } catch (error) {
        if (error instanceof ApiError || error.name === "AbortError") throw error;
        throw new ApiError("broken", "The connection to the server broke off in the middle of the answer.");
    }
    throw new ApiError("broken", "The server ended the answer before it was complete.");
}
