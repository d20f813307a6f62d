// @ts-check
/**
 * Keeps the whole page in the browser, so that it works without a network. What is kept belongs together: a new version is
 * fetched whole, and used when no window shows the old one any more.
 */
const VERSION = "written by rillet export --web";
/** @type {string[]} */
const FILES = [];

const worker = /** @type {any} */ (self);
const mine = `rillet ${worker.registration.scope} `; // other pages of the same origin keep theirs
const cacheName = mine + VERSION;

worker.addEventListener("install", (/** @type {any} */ event) => {
  const requests = FILES.map((path) => new Request(path, { cache: "no-cache" })); // the network has the last word
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(requests)));
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  const clear = async () => {
    const old = (await caches.keys()).filter((each) => each.startsWith(mine) && each !== cacheName);
    await Promise.all(old.map((each) => caches.delete(each)));
    await worker.clients.claim();
  };
  event.waitUntil(clear());
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  if (event.request.method !== "GET") return;
  const answer = async () => {
    const cache = await caches.open(cacheName);
    return (await cache.match(event.request, { ignoreSearch: true })) ?? fetch(event.request);
  };
  event.respondWith(answer());
});
