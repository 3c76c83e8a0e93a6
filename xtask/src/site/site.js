// The site's search and its light switch. SECTIONS is what search.js has; nothing else is asked for.
"use strict";

const field = document.getElementById("search");
const found = document.getElementById("found");
const MOST = 12;

// How well a section fits: all words must be in it; those in a heading count most.
function rank(section, words) {
    const heading = (section.page + " " + section.heading).toLowerCase();
    const text = section.text.toLowerCase();
    let sum = 0;
    for (const word of words) {
        if (section.heading.toLowerCase().includes(word)) sum += 10;
        else if (heading.includes(word)) sum += 4;
        else if (text.includes(word)) sum += 1;
        else return 0;
    }
    return sum;
}

// The words around the first hit, the hits marked. Text is never read as HTML.
function excerpt(text, words) {
    const small = document.createElement("small");
    const at = Math.max(0, Math.min(...words.map((word) => text.toLowerCase().indexOf(word)).filter((i) => i >= 0)));
    const from = Number.isFinite(at) ? Math.max(0, at - 40) : 0;
    let rest = (from > 0 ? "…" : "") + text.slice(from, from + 140).trim() + "…";
    while (rest) {
        const hits = words.map((word) => [rest.toLowerCase().indexOf(word), word.length]).filter(([i]) => i >= 0);
        if (hits.length === 0) break;
        const [start, length] = hits.reduce((a, b) => (b[0] < a[0] ? b : a));
        small.append(rest.slice(0, start));
        const mark = document.createElement("mark");
        mark.textContent = rest.slice(start, start + length);
        small.append(mark);
        rest = rest.slice(start + length);
    }
    small.append(rest);
    return small;
}

function search() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    found.replaceChildren();
    found.hidden = words.length === 0;
    if (words.length === 0) return;
    const ranked = SECTIONS.map((section) => [rank(section, words), section]).filter(([sum]) => sum > 0);
    ranked.sort((a, b) => b[0] - a[0]);
    for (const [, section] of ranked.slice(0, MOST)) {
        const item = document.createElement("li");
        const link = document.createElement("a");
        link.href = section.at;
        link.textContent = section.heading === section.page ? section.page : section.page + " › " + section.heading;
        item.append(link, excerpt(section.text, words));
        found.append(item);
    }
    if (ranked.length === 0) {
        const item = document.createElement("li");
        item.textContent = "Nothing has all of these words.";
        found.append(item);
    }
}

field.addEventListener("input", search);
field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") found.querySelector("a")?.click();
    if (event.key === "Escape") {
        field.value = "";
        search();
        field.blur();
    }
});
document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== field) {
        event.preventDefault();
        field.focus();
    }
});

// From the system's choice to the other one, and kept where the browser keeps things.
const KEY = "swarm-docs-light";
function kept() {
    try {
        return localStorage.getItem(KEY);
    } catch {
        return null;
    }
}
function show(light) {
    if (light) document.documentElement.dataset.light = light;
}
show(kept());
document.getElementById("light").addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.light ?? (dark ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    show(next);
    try {
        localStorage.setItem(KEY, next);
    } catch {
        // It holds for this page.
    }
});
