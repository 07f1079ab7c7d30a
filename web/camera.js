/*
 * camera.js - a picture from the camera: a dialog with the live image where the browser allows it (https, or this machine), else the
 * system's own camera by way of a file field.
 */
import { byId } from "./dom.js";

/* onFile(file) gets the picture, onError(message) a sentence. */
export function setUpCamera(onFile, onError) {
    const dialog = byId("camera-dialog");
    const video = byId("video");
    let stream = null;

    const stop = () => {
        for (const track of stream?.getTracks() ?? []) track.stop();
        stream = video.srcObject = null;
    };

    byId("shoot").addEventListener("click", async () => {
        const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
        if (video.videoWidth === 0) return; /* no image yet */
        canvas.getContext("2d").drawImage(video, 0, 0);
        const blob = await canvas.convertToBlob({ type: "image/png" });
        dialog.close();
        onFile(new File([blob], "camera.png", { type: blob.type }));
    });
    byId("camera-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", stop);

    return async () => {
        if (!navigator.mediaDevices) return byId("capture").click();
        try {
            stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
        } catch (error) {
            const reasons = { NotAllowedError: "it was not allowed", NotFoundError: "there is none" };
            return onError(`The camera cannot be used: ${reasons[error.name] ?? error.message}.`);
        }
        video.srcObject = stream;
        dialog.showModal();
    };
}
