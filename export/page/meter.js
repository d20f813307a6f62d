// @ts-check
/** The level meter: the last seconds as bars, and the ring around the button. */

/** @import { Level } from "./microphone.js" */

const LOWEST_DB = -60;
const BAR_PIXELS = 3;
const GAP_PIXELS = 2;

export class Meter {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} ring gets --level, 0..1
   */
  constructor(canvas, ring) {
    this.canvas = canvas;
    this.ring = ring;
    /** @type {number[]} 0..1, the latest last */
    this.bars = [];
    this.waiting = false;
  }

  /** @param {Level} level */
  show({ rms, peak }) {
    const decibels = Math.max(LOWEST_DB, 20 * Math.log10(rms || 1e-6));
    this.canvas.ariaValueNow = String(Math.round(decibels));
    this.canvas.classList.toggle("clipping", peak >= 0.999);
    this.bars = [...this.bars.slice(-200), 1 - decibels / LOWEST_DB];
    this.draw();
  }

  clear() {
    this.bars = [];
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const { canvas, bars } = this;
    this.ring.style.setProperty("--level", String(bars.at(-1) ?? 0));
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const paper = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    paper.scale(scale, scale);
    paper.fillStyle = getComputedStyle(canvas).color;
    const count = Math.floor(width / (BAR_PIXELS + GAP_PIXELS));
    for (let i = 0; i < count; i++) {
      const level = bars[bars.length - count + i] ?? 0;
      const size = Math.max(BAR_PIXELS, level * height);
      paper.globalAlpha = level ? 0.35 + 0.65 * (i / count) : 0.25;
      paper.beginPath();
      paper.roundRect(i * (BAR_PIXELS + GAP_PIXELS), (height - size) / 2, BAR_PIXELS, size, BAR_PIXELS / 2);
      paper.fill();
    }
  }
}
