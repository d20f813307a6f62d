// @ts-check
/** What one recording says, on the page: its text as it grows, and buttons to take it away. */
import { save, toSrt, toText } from "./text-files.js";

/** @import { Event, Final } from "./recogniser/events.js" */

export class Recording {
  /**
   * @param {HTMLElement} list to which it is added
   * @param {string} title
   * @param {() => void} onClose
   */
  constructor(list, title, onClose) {
    this.title = title;
    /** @type {Final[]} */
    this.finals = [];
    this.element = element("article", "recording live");
    this.length = element("span", "length");
    this.text = element("div", "text");
    this.line = null;
    const top = element("div", "top");
    const name = element("h2", "", title);
    name.title = title;
    top.append(
      name,
      this.length,
      button("copy", "i-copy", "Copy", "Copy the text", (label) => this.copy(label)),
      button("format txt", "i-save", "txt", "Download as text", () => save(this.fileName("txt"), toText(this.finals))),
      button("format srt", "i-save", "srt", "Download as subtitles", () => save(this.fileName("srt"), toSrt(this.finals))),
      button("close", "i-close", "", "Remove", () => {
        onClose();
        this.element.remove();
      }),
    );
    this.element.append(top, this.text);
    list.append(this.element);
  }

  /**
   * Show events of the stream.
   * @param {Event[]} events
   * @param {number} heardS
   */
  show(events, heardS) {
    this.length.textContent = clock(heardS);
    for (const event of events) {
      if (event.type === "final") {
        this.finals.push(event);
        if (event.words.length) this.write(event.words[0].startS, event.text, "");
        else this.line?.remove();
        this.line = null;
      } else if (event.words.length || this.line) {
        this.write(event.words[0]?.startS, event.committed, event.volatile);
      }
    }
  }

  /** @param {string} [note] said if there are no words */
  end(note = "No words were understood.") {
    this.element.classList.remove("live");
    if (!this.text.childElementCount) this.text.append(element("p", "nothing", note));
  }

  /**
   * @param {number | undefined} startS
   * @param {string} committed
   * @param {string} volatile
   */
  write(startS, committed, volatile) {
    if (!this.line) {
      this.line = element("p", "utterance");
      const words = element("span", "words");
      words.append(element("span", "committed"), " ", element("span", "volatile"));
      this.line.append(element("time", ""), words);
      this.text.append(this.line);
    }
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (this.line?.querySelector(name));
    if (startS !== undefined) part("time").textContent = clock(startS);
    part(".committed").textContent = committed;
    part(".volatile").textContent = volatile;
  }

  /** @param {HTMLElement} label of the button */
  async copy(label) {
    const text = toText(this.finals);
    const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    label.textContent = done ? "Copied" : "Blocked";
    setTimeout(() => (label.textContent = "Copy"), 1500);
  }

  /** @param {string} ending */
  fileName(ending) {
    return `${this.title.replace(/\.\w{2,5}$/, "").replace(/[^\p{L}\p{N} ._-]+/gu, "-")}.${ending}`;
  }
}

/** @param {number} timeS */
export function clock(timeS) {
  const seconds = Math.floor(timeS);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/**
 * @param {string} className
 * @param {string} icon
 * @param {string} text
 * @param {string} title
 * @param {(label: HTMLElement) => void} onClick
 */
function button(className, icon, text, title, onClick) {
  const made = /** @type {HTMLButtonElement} */ (element("button", `plain ${className}`));
  const label = element("span", "", text);
  made.type = "button";
  made.title = made.ariaLabel = title;
  made.innerHTML = `<svg><use href="#${icon}" /></svg>`;
  if (text) made.append(label);
  made.onclick = () => onClick(label);
  return made;
}
