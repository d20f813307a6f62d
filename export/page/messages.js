// @ts-check
/** What goes wrong, in a sentence that says what to do. */

/** @returns {string} what this browser lacks, or nothing */
export function whatIsMissing() {
  if (typeof WebAssembly !== "object") {
    return "This browser has no WebAssembly, which the recogniser runs on. Switch it on, or use a recent Firefox, Chrome, Edge or Safari.";
  }
  if (typeof Worker !== "function") return "This browser has no web workers. Use a recent Firefox, Chrome, Edge or Safari.";
  return "";
}

/** @returns {string} why there can be no microphone here, or nothing */
export function whyNoMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    return "Browsers give the microphone only to pages from https:// or from localhost. Recordings can still be opened.";
  }
  if (typeof AudioWorkletNode !== "function") {
    return "This browser has no AudioWorklet, which the microphone needs. Recordings can still be opened.";
  }
  return "";
}

/** @param {any} error from opening the microphone */
export function microphoneProblem(error) {
  switch (error?.name) {
    case "NotAllowedError":
      return "The microphone is blocked. Allow it for this page, beside the address or in the settings of the browser or the system, and press the button again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "There is no such microphone. Connect one, or choose another in the settings, and press the button again; or open a recording.";
    case "NotReadableError":
    case "AbortError":
      return "The microphone cannot be opened. Another program may be using it: close that one and press the button again.";
    default:
      return `The microphone cannot be used: ${error?.message || error}`;
  }
}

/** @param {string} name of the file */
export function fileProblem(name) {
  return `${name} holds no sound that this browser can decode. Convert it to WAV, MP3 or FLAC first.`;
}

export const SILENT =
  "There is only digital silence: the microphone is muted, or the system keeps it from the browser. Look at its privacy settings, or choose another microphone.";
