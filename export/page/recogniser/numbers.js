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

/**
 * How many of these sorted numbers are not above `value`.
 * @param {number[]} sorted
 * @param {number} value
 */
export function bisectRight(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
