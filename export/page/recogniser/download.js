// @ts-check

/**
 * A file of known size, with news of how much is there.
 * @param {URL} url
 * @param {number} size in bytes
 * @param {(bytes: number) => void} progress
 * @returns {Promise<ArrayBuffer>}
 */
export async function download(url, size, progress) {
  const name = url.pathname.split("/").pop();
  const response = await fetch(url).catch(() => null);
  if (!response?.ok || !response.body) throw new Error(`${name} cannot be loaded. Are you online? Load the page again.`);
  const bytes = new Uint8Array(size);
  const reader = response.body.getReader();
  let there = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (there + value.length > size) throw new Error(`${name} is not the file it should be. Export the page again.`);
    bytes.set(value, there);
    progress((there += value.length));
  }
  if (there !== size) throw new Error(`${name} arrived incomplete. Load the page again.`);
  return bytes.buffer;
}
