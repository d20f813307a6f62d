// @ts-check
/** The page: buttons, states and what is said about them. The recogniser is a thread of its own, recogniser/worker.js. */
import { decodeAudio } from "./audio-file.js";
import { fileProblem, microphoneProblem, SILENT, whatIsMissing, whyNoMicrophone } from "./messages.js";
import { Meter } from "./meter.js";
import { openMicrophone } from "./microphone.js";
import { clock, Recording } from "./recording.js";
import { choice, deviceId, offer, openSettings, switchTheme } from "./settings.js";

/**
 * @import { Microphone } from "./microphone.js"
 * @typedef {"loading" | "ready" | "listening" | "finishing" | "reading" | "failed"} State
 */

const SILENCE_AFTER_S = 2; // of exact zeros, something is said
const PIECE_S = 0.04;

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const meter = new Meter($("meter"), $("talk"));

/** @type {State} */
let state = "loading";
let rateHz = 0; // of the recogniser
/** @type {Worker} */
let recogniser;
/** @type {Microphone | null} */
let microphone = null;
/** @type {Recording | null} that is growing */
let recording = null;
/** @type {File[]} that wait */
let files = [];
let silentS = 0;

/**
 * @param {State} next
 * @param {string} status
 */
function enter(next, status) {
  state = document.body.dataset.state = next;
  const busy = next === "listening" || next === "reading";
  $("talk").disabled = !busy && next !== "ready";
  $("talk").ariaPressed = String(next === "listening");
  $("talk").ariaLabel = busy ? "Stop" : "Listen";
  $("talk").querySelector("use").setAttribute("href", busy ? "#i-stop" : "#i-mic");
  $("open-file").disabled = $("sample").disabled = next !== "ready";
  $("status").textContent = status;
}

/** @param {string} message or nothing */
function complain(message) {
  $("problem").textContent = message;
  $("problem").hidden = !message;
}

/** @param {string} title */
function beginRecording(title) {
  complain("");
  $("welcome").hidden = true;
  const mine = new Recording($("recordings"), title, () => mine === recording && stop());
  recording = mine;
  follow();
}

/** Scroll to what is new, unless the reader has scrolled away from it. */
function follow() {
  scrollTo({ top: document.body.scrollHeight });
}

async function listen() {
  const problem = whyNoMicrophone();
  if (problem) return complain(problem);
  enter("finishing", "Waiting for the microphone");
  const { port1, port2 } = new MessageChannel();
  try {
    microphone = await openMicrophone(rateHz, deviceId(), port1, hearLevel, stop);
  } catch (error) {
    enter("ready", "");
    return complain(microphoneProblem(error));
  }
  silentS = 0;
  recogniser.postMessage({ type: "listen", decoder: choice(), port: port2 }, [port2]);
  const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  beginRecording(`${microphone.label || "Microphone"}, ${time}`);
  enter("listening", "Listening");
}

/** @param {import("./microphone.js").Level} level */
function hearLevel(level) {
  meter.show(level);
  silentS = level.peak === 0 ? silentS + PIECE_S : 0;
  if (silentS > SILENCE_AFTER_S) complain(SILENT);
  else if ($("problem").textContent === SILENT) complain("");
}

/** Stop listening, after the last words; or reading, at once. */
function stop() {
  if (state === "listening") {
    microphone?.stop();
    microphone = null;
    enter("finishing", "The last words");
  } else if (state === "reading") {
    recogniser.postMessage({ type: "stop" });
    files = [];
    recording?.end("Stopped.");
    recording = null;
    enter("ready", "Stopped");
  }
  meter.clear();
}

/** @param {Iterable<File>} added */
function read(added) {
  files.push(...added);
  if (state === "ready") readNext();
}

async function readNext() {
  const file = files.shift();
  if (!file) return;
  enter("reading", `Opening ${file.name}`);
  beginRecording(file.name);
  const mine = recording;
  const sound = await decodeAudio(file).catch(() => null);
  if (mine !== recording) return; // stopped meanwhile
  if (!sound) {
    mine?.element.remove();
    enter("ready", "");
    complain(fileProblem(file.name));
    return readNext();
  }
  const buffers = sound.channels.map((channel) => channel.buffer);
  recogniser.postMessage({ type: "file", decoder: choice(), ...sound }, buffers);
}

/** What the recogniser tells. */
const handlers = {
  progress(/** @type {{share: number}} */ { share }) {
    $("progress").value = share;
    const name = state === "loading" ? "the recogniser" : (recording?.title ?? "");
    $("status").textContent = `${state === "loading" ? "Loading" : "Reading"} ${name}, ${Math.floor(share * 100)} %`;
  },
  ready(/** @type {{info: any}} */ { info }) {
    rateHz = info.sample_rate_hz;
    offer(info.hasLanguageModel);
    $("about").textContent = `${info.name}, ${info.precision}. Model licence: ${info.licence}.`;
    enter("ready", "Ready");
  },
  events(/** @type {any} */ { events, heardS }) {
    recording?.show(events, heardS);
    if (state === "listening") $("status").textContent = `Listening, ${clock(heardS)}`;
    if (events.length) follow();
  },
  late(/** @type {{lostS: number}} */ { lostS }) {
    complain(`This device is too slow to keep up: ${lostS.toFixed(1)} s of sound were lost.`);
  },
  done(/** @type {any} */ { audioS, computeS }) {
    recording?.end();
    recording = null;
    meter.clear();
    const times = `${audioS.toFixed(1)} s of sound were read in ${computeS.toFixed(1)} s`;
    enter("ready", state === "reading" ? times : "Ready");
    readNext();
  },
  error(/** @type {{message: string}} */ { message }) {
    if (state === "loading") return enter("failed", message);
    complain(message);
    microphone?.stop();
    recording?.end("Nothing was heard.");
    microphone = recording = null;
    files = [];
    enter("ready", "");
  },
};

function load() {
  const missing = whatIsMissing();
  if (missing) return enter("failed", missing);
  recogniser = new Worker(new URL("recogniser/worker.js", import.meta.url), { type: "module" });
  recogniser.onmessage = ({ data }) => handlers[/** @type {keyof typeof handlers} */ (data.type)](data);
  recogniser.onerror = (event) =>
    handlers.error({ message: `The recogniser does not run in this browser. ${event.message ?? ""}` });
  recogniser.postMessage({ type: "load" });
}

async function installOffline() {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("service-worker.js").catch(() => {});
  await navigator.serviceWorker.ready;
  $("offline").hidden = false;
}

$("talk").onclick = () => (state === "ready" ? listen() : stop());
$("open-file").onclick = () => $("file").click();
$("open-settings").onclick = openSettings;
$("theme").onclick = switchTheme;
$("file").onchange = () => {
  read($("file").files);
  $("file").value = "";
};
$("sample").onclick = async () => {
  const response = await fetch("sample.flac");
  read([new File([await response.blob()], "sample.flac")]);
};
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").hidden = false;
});
addEventListener("dragleave", (event) => ($("drop").hidden = !event.relatedTarget));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").hidden = true;
  read(event.dataTransfer?.files ?? []);
});

meter.clear();
load();
installOffline();
