// @ts-check
/** The microphone, through the audio thread of capture-worklet.js. */

/**
 * @typedef {{rms: number, peak: number}} Level of 40 ms, 0..1
 * @typedef {{label: string, stop: () => void}} Microphone `stop` hands the last sound on before it closes the device
 */

/**
 * Opens the microphone and sends its sound to the recogniser.
 * @param {number} rateHz of the recogniser
 * @param {string} deviceId or empty, for the usual one
 * @param {MessagePort} recogniser gets samples, then "end"
 * @param {(level: Level) => void} onLevel
 * @param {() => void} onEnd the device has gone
 * @returns {Promise<Microphone>}
 */
export async function openMicrophone(rateHz, deviceId, recogniser, onLevel, onEnd) {
  // What browsers do for telephone calls is not what the model was trained on.
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const device = deviceId ? { deviceId: { exact: deviceId } } : {};
  const context = new AudioContext({ latencyHint: "balanced" });
  /** @type {MediaStreamTrack[]} */
  let tracks = [];
  const close = () => {
    for (const track of tracks) track.stop();
    if (context.state !== "closed") context.close();
  };
  try {
    // Everything is ready before the microphone opens, so that no sound is lost.
    await Promise.all([
      context.audioWorklet.addModule(new URL("capture-worklet.js", import.meta.url)),
      context.resume(),
    ]);
    const capture = new AudioWorkletNode(context, "capture", { processorOptions: { rateHz } });
    capture.connect(context.destination); // it writes silence
    capture.port.onmessage = ({ data }) => (data === "ended" ? close() : onLevel(data));
    capture.port.postMessage(recogniser, [recogniser]);
    const media = await navigator.mediaDevices.getUserMedia({ audio: { ...plain, ...device } });
    tracks = media.getAudioTracks();
    tracks[0].onended = onEnd;
    context.createMediaStreamSource(media).connect(capture);
    return { label: tracks[0].label, stop: () => capture.port.postMessage("end") };
  } catch (error) {
    close();
    throw error;
  }
}

/** @returns {Promise<{deviceId: string, label: string}[]>} those whose names the browser tells */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "audioinput" && device.label);
}
