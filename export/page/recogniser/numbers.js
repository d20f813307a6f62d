// @ts-check
/** Small things that JavaScript does otherwise than Python. */

/**
 * To the nearest whole number; a half goes to the even one.
 * @param {number} value
 */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/**
 * @param {Float32Array} first
 * @param {Float32Array} second
 */
export function concatenate(first, second) {
  const joined = new Float32Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
