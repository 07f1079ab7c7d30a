/*
 * theme.js - light, dark, or as the system is. Not a module: it runs before the page is drawn, so that a dark page does not flash.
 */
"use strict";

{
    const NAME = "sphinx-theme";
    const order = ["auto", "light", "dark"];
    const said = { auto: "as the system", light: "light", dark: "dark" };
    const root = document.documentElement;

    const apply = (theme) => {
        root.dataset.theme = theme;
        const button = document.getElementById("theme");
        button?.setAttribute("aria-label", `Colours: ${said[theme]}. Change`);
        button?.setAttribute("title", `Colours: ${said[theme]}`);
    };

    const saved = localStorage.getItem(NAME);
    apply(order.includes(saved) ? saved : "auto");
    document.addEventListener("DOMContentLoaded", () => {
        apply(root.dataset.theme);
        document.getElementById("theme").addEventListener("click", () => {
            const next = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
            localStorage.setItem(NAME, next);
            apply(next);
        });
    });
}
