/*
 * picture.js - a file of the user's as a picture for the model: {blob, name, width, height, note}.
 *
 * The bytes are sent as they are, so that the model sees what `sphinx run` would see. They are written anew only where they have to be:
 * a format that the server does not read, a photo that its EXIF data turns (the model should see it upright, as the user does), or
 * more than the server takes. note tells the user of the last.
 */
import { formatSize } from "./dom.js";

const READ_BY_SERVER = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"];
const JPEG_QUALITY = 0.92;
const SHRINK = 0.8;       /* each try at making it small enough */
const BODY_SPARE = 65536; /* of the request's size, for the dialogue around the picture */

/* What base64 makes of it. */
const sentBytes = (blob) => Math.ceil(blob.size / 3) * 4;

/* The EXIF orientation of a JPEG's first bytes, 1 (upright) where there is none. Segments ff xx length[2]; EXIF in e1 after
 * "Exif\0\0": byte order, then a table of 12-byte entries of which tag 0112 is the orientation. */
function orientationOf(buffer) {
    const view = new DataView(buffer);
    try {
        for (let at = 2; view.getUint8(at) === 0xff && view.getUint8(at + 1) !== 0xda; at += 2 + view.getUint16(at + 2)) {
            if (view.getUint8(at + 1) !== 0xe1 || view.getUint32(at + 4) !== 0x45786966) continue;
            const tiff = at + 10;
            const little = view.getUint16(tiff) === 0x4949;
            const table = tiff + view.getUint32(tiff + 4, little);
            for (let i = 0; i < view.getUint16(table, little); i++) {
                const entry = table + 2 + 12 * i;
                if (view.getUint16(entry, little) === 0x0112) return view.getUint16(entry + 8, little);
            }
        }
    } catch (error) {
        if (!(error instanceof RangeError)) throw error; /* a length led outside: whatever does not fit means upright */
    }
    return 1;
}

async function redraw(bitmap, width, height, type) {
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, width, height);
    return canvas.convertToBlob({ type, quality: JPEG_QUALITY });
}

/* Throws an Error with a sentence for the user. limits: those of /props. */
export async function pictureFrom(file, limits) {
    const name = file.name || "picture";
    let bitmap;
    try {
        bitmap = await createImageBitmap(file);
    } catch {
        throw new Error(`“${name}” is not a picture that this browser can open.`);
    }

    const { width, height } = bitmap;
    const turned = file.type === "image/jpeg" && orientationOf(await file.slice(0, 1 << 18).arrayBuffer()) !== 1;
    const room = limits.body_bytes - BODY_SPARE;
    let scale = Math.min(1, Math.sqrt(limits.pixels / (width * height)));
    let blob = file;

    if (turned || scale < 1 || !READ_BY_SERVER.includes(file.type))
        blob = await redraw(bitmap, Math.floor(width * scale) || 1, Math.floor(height * scale) || 1, turned ? "image/jpeg" : "image/png");
    for (let type = "image/jpeg"; sentBytes(blob) > room && width * scale > 1 && height * scale > 1; scale *= SHRINK)
        blob = await redraw(bitmap, Math.floor(width * scale) || 1, Math.floor(height * scale) || 1, type);
    bitmap.close();
    if (sentBytes(blob) > room) throw new Error(`“${name}” has ${formatSize(file.size)}: more than the server takes.`);

    const kept = await createImageBitmap(blob);
    const picture = { blob, name, width: kept.width, height: kept.height, note: "" };
    kept.close();
    if (picture.width !== width || (blob !== file && sentBytes(file) > room))
        picture.note = `Reduced from ${width} × ${height} (${formatSize(file.size)}) to what the server takes.`;
    return picture;
}

/* "data:image/png;base64,..." */
export function dataUrl(blob) {
    return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.onerror = () => reject(new Error("The picture can no longer be read. Please choose it again."));
        reader.readAsDataURL(blob);
    });
}
