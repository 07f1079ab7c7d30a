/*
 * dom.js - the few helpers with which the page is put together. Text only ever becomes text: nothing here, or elsewhere, parses HTML.
 */
const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value === true) element.setAttribute(name, "");
        else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return element;
}

/* An element with attributes ("onclick" takes a function) and children, strings or nodes. */
export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const makeSvg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/* One of the drawings at the top of index.html. */
export const icon = (name) => makeSvg("svg", { class: "icon", "aria-hidden": "true" }, makeSvg("use", { href: `#icon-${name}` }));

/* A button that is an icon, or an icon and a word. */
export function iconButton(name, label, onclick, { text = false, ...attributes } = {}) {
    const shown = text ? [icon(name), make("span", {}, label)] : [icon(name)];
    return make("button", { type: "button", onclick, title: text ? null : label, "aria-label": text ? null : label, ...attributes }, ...shown);
}

/* Attributes of what stands for a region, here and there: point() when it is hovered or focused, leave() after that, pin() when it is
 * clicked or pressed by key. */
export function pointable(point, leave, pin) {
    const onkeydown = (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        pin();
    };
    return { tabindex: 0, role: "button", onpointerenter: point, onpointerleave: leave, onfocus: point, onblur: leave, onclick: pin, onkeydown };
}

/* Gives the user a file to keep. */
export function download(blob, name) {
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/* "1.5 MB" */
export function formatSize(bytes) {
    if (bytes < 1000) return `${bytes} bytes`;
    return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
