/*
 * picture-pane.js - the left side: how a picture comes in (file, paste, drop, camera, sample), the picture with its layers, and the
 * switches for what is shown on it.
 *
 *     img       the picture            canvas  masks
 *     overlay   boxes, points          selection  the box being dragged
 */
import { setUpCamera } from "./camera.js";
import { byId, formatSize } from "./dom.js";
import { pictureFrom } from "./picture.js";

const SAMPLE_SIDE = 336;

/* The sample is a drawing, sent as the pixels that it has here. */
async function samplePicture() {
    const drawing = new Image(SAMPLE_SIDE, SAMPLE_SIDE);
    drawing.src = "sample.svg";
    await drawing.decode();
    const canvas = new OffscreenCanvas(SAMPLE_SIDE, SAMPLE_SIDE);
    canvas.getContext("2d").drawImage(drawing, 0, 0, SAMPLE_SIDE, SAMPLE_SIDE);
    return new File([await canvas.convertToBlob({ type: "image/png" })], "sample.png", { type: "image/png" });
}

/* The first picture of what was dropped or pasted. */
function pictureIn(transfer) {
    return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? transfer?.files?.[0] ?? null;
}

export class PicturePane {
    /* onPicture(picture or null): the user brought another one, or took it away; onError(message). limits(): those of /props. */
    constructor(limits, onPicture, onError) {
        Object.assign(this, { limits, onPicture, onError, url: null });
        const camera = setUpCamera((file) => this.take(file), onError);

        for (const id of ["choose", "replace"]) byId(id).addEventListener("click", () => byId("file").click());
        for (const id of ["camera", "replace-camera"]) byId(id).addEventListener("click", camera);
        for (const id of ["file", "capture"]) byId(id).addEventListener("change", (event) => {
            this.take(event.target.files[0]);
            event.target.value = ""; /* so that the same file can be chosen again */
        });
        byId("sample").addEventListener("click", async () => this.take(await samplePicture()));
        byId("remove").addEventListener("click", () => {
            this.onPicture(null);
            byId("choose").focus();
        });
        document.addEventListener("paste", (event) => this.paste(event));
        this.setUpDrop();
    }

    paste(event) {
        const file = pictureIn(event.clipboardData);
        if (file === null) return; /* text goes where the caret is */
        event.preventDefault();
        this.take(file);
    }

    setUpDrop() {
        const hint = byId("drop-hint");
        const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
        document.addEventListener("dragover", (event) => {
            if (!hasFiles(event)) return;
            event.preventDefault();
            hint.hidden = false;
        });
        document.addEventListener("dragleave", (event) => {
            if (event.relatedTarget === null) hint.hidden = true;
        });
        document.addEventListener("drop", (event) => {
            hint.hidden = true;
            if (!hasFiles(event)) return;
            event.preventDefault();
            this.take(pictureIn(event.dataTransfer));
        });
    }

    async take(file) {
        if (!file) return;
        try {
            this.onPicture(await pictureFrom(file, this.limits()));
        } catch (error) {
            this.onError(error.message);
        }
    }

    /* Shows a picture, or the invitation to bring one. */
    show(picture) {
        const image = byId("picture");
        if (this.url !== null) URL.revokeObjectURL(this.url);
        this.url = picture === null ? null : URL.createObjectURL(picture.blob);
        byId("empty-stage").hidden = picture !== null;
        byId("frame").hidden = byId("picture-tools").hidden = picture === null;
        if (picture === null) {
            image.removeAttribute("src");
            return;
        }
        image.src = this.url;
        byId("frame").style.setProperty("--ratio", picture.width / picture.height);
        byId("picture-name").textContent = `${picture.name}, ${picture.width} × ${picture.height}, ${formatSize(picture.blob.size)}`;
        if (picture.note) byId("picture-name").textContent += `. ${picture.note}`;
    }
}
