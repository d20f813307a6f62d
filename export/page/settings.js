// @ts-check
/** What the user chose, kept by the browser from one visit to the next. */
import { microphones } from "./microphone.js";

/** @import { Choice } from "./recogniser/worker.js" */

const KEY = "rillet";
const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("settings"));
const phrases = /** @type {HTMLTextAreaElement} */ (document.getElementById("phrases"));
const device = /** @type {HTMLSelectElement} */ (document.getElementById("device"));
const kinds = /** @type {HTMLInputElement[]} */ ([...dialog.querySelectorAll("[name=kind]")]);
const stored = read();

if (stored.theme) document.documentElement.dataset.theme = stored.theme;
phrases.value = stored.phrases ?? "";
for (const kind of kinds) kind.checked = kind.value === (stored.kind ?? "language");
dialog.onclose = keep;

/** @returns {Choice} */
export function choice() {
  const lines = phrases.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const kind = /** @type {Choice["kind"]} */ (kinds.find((each) => each.checked)?.value ?? "language");
  return { kind: kind === "phrases" && !lines.length ? "language" : kind, phrases: lines };
}

export function deviceId() {
  return device.value;
}

/** @param {boolean} hasLanguageModel */
export function offer(hasLanguageModel) {
  const [language] = kinds;
  language.disabled = !hasLanguageModel;
  if (!hasLanguageModel && language.checked) kinds[2].checked = true;
}

export async function openSettings() {
  const chosen = device.value || stored.device;
  device.length = 1;
  for (const { deviceId, label } of await microphones()) {
    if (deviceId !== "default") device.add(new Option(label, deviceId, false, deviceId === chosen));
  }
  dialog.showModal();
}

export function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = stored.theme = dark ? "light" : "dark";
  keep();
}

function keep() {
  const kind = kinds.find((each) => each.checked)?.value;
  Object.assign(stored, { kind, phrases: phrases.value, device: device.value });
  try {
    localStorage.setItem(KEY, JSON.stringify(stored));
  } catch {
    // private windows may refuse; then nothing is kept
  }
}

/** @returns {{theme?: string, kind?: string, phrases?: string, device?: string}} */
function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}
