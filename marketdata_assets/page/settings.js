// What a visitor has chosen: language, dark or light, which colour rises. Kept in this browser alone.

import { setLanguage } from "./texts.js";

const CHOICES = { language: ["en", "zh"], theme: ["light", "dark"], colours: ["red", "green"] };

function usual(name) {
  if (name === "language") return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  if (name === "theme") return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  return "red";
}

export function chosen(name) {
  const kept = localStorage.getItem(name);
  return CHOICES[name].includes(kept) ? kept : usual(name);
}

export function change(name) {
  const [one, other] = CHOICES[name];
  localStorage.setItem(name, chosen(name) === one ? other : one);
}

export function applySettings() {
  const root = document.documentElement;
  root.lang = chosen("language") === "zh" ? "zh-CN" : "en";
  root.dataset.theme = chosen("theme");
  root.dataset.colours = chosen("colours");
  setLanguage(chosen("language"));
}
