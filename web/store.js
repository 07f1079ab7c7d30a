/*
 * store.js - what survives a reload. Nothing leaves the browser.
 *
 *   IndexedDB       the dialogue of this tab, its picture apart from it, so that a growing answer does not write the picture again
 *   sessionStorage  the tab's name, the unsent question
 *   localStorage    sliders and switches, of all tabs
 *
 * A dialogue whose tab was closed is forgotten after a day. Where the browser keeps nothing (private windows) the page works without.
 */

const FORGET_MS = 24 * 3600 * 1000;
const TAB = "sphinx-tab";
const DRAFT = "sphinx-draft";
const SETTINGS = "sphinx-settings";

const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
});

let database = null;

function tab() {
    if (sessionStorage.getItem(TAB) === null) sessionStorage.setItem(TAB, Math.random().toString(36).slice(2));
    return sessionStorage.getItem(TAB);
}

function table(name, mode) {
    return database.transaction(name, mode).objectStore(name);
}

async function forgetOld() {
    const now = Date.now();
    for (const id of await done(table("dialogues", "readonly").getAllKeys())) {
        const dialogue = await done(table("dialogues", "readonly").get(id));
        if (id === tab() || now - (dialogue?.saved ?? now) < FORGET_MS) continue;
        await done(table("dialogues", "readwrite").delete(id));
        await done(table("pictures", "readwrite").delete(id));
    }
}

/* False where the browser keeps nothing. */
export async function open() {
    try {
        const request = indexedDB.open("sphinx", 1);
        request.onupgradeneeded = () => {
            request.result.createObjectStore("dialogues");
            request.result.createObjectStore("pictures");
        };
        database = await done(request);
        await forgetOld();
        return true;
    } catch {
        database = null;
        return false;
    }
}

/* {picture or null, turns}, or null if there is nothing. */
export async function load() {
    if (database === null) return null;
    const dialogue = await done(table("dialogues", "readonly").get(tab()));
    const picture = await done(table("pictures", "readonly").get(tab()));
    return dialogue === undefined && picture === undefined ? null : { picture: picture ?? null, turns: dialogue?.turns ?? [] };
}

export async function saveTurns(turns) {
    if (database !== null) await done(table("dialogues", "readwrite").put({ saved: Date.now(), turns }, tab()));
}

/* null forgets it. */
export async function savePicture(picture) {
    if (database === null) return;
    const pictures = table("pictures", "readwrite");
    await done(picture === null ? pictures.delete(tab()) : pictures.put(picture, tab()));
}

export const draft = () => sessionStorage.getItem(DRAFT) ?? "";
export const saveDraft = (text) => sessionStorage.setItem(DRAFT, text);

/* An object of settings; what was never set is not in it. */
export function settings() {
    try {
        return JSON.parse(localStorage.getItem(SETTINGS)) ?? {};
    } catch {
        return {};
    }
}

export const saveSettings = (values) => localStorage.setItem(SETTINGS, JSON.stringify(values));
