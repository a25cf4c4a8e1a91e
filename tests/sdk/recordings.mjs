import assert from "node:assert/strict";
import { Blob, File } from "node:buffer";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { check } from "./report.mjs";
import { UNKNOWN, isUuid, refused } from "./expecting.mjs";

export async function recordings(world) {
    const { client, clip, song } = world;
    const audio = await readFile(clip);
    const ogg = await readFile(song);
    const id = await world.interaction();
    const sent = [];

    const upload = async (uploadable, bytes) => {
        const { data, rawResponse } = await client.recordings.upload(uploadable, id).withRawResponse();
        assert.equal(rawResponse.status, 201);
        isUuid(data.recordingId);
        sent.push(data.recordingId);
        const got = await client.recordings.get(id, data.recordingId).withRawResponse();
        assert.deepEqual(Buffer.from(await got.data.arrayBuffer()), bytes);
        return got.rawResponse.headers.get("content-type");
    };
    await check("recordings: none yet", async () => {
        assert.deepEqual(await client.recordings.list(id), { recordings: [] });
    });
    await check("recordings: a Buffer", async () => {
        assert.equal(await upload(audio, audio), "application/octet-stream");
    });
    await check("recordings: a stream of a file", () => upload(createReadStream(clip), audio));
    await check("recordings: a path", () => upload({ path: clip }, audio));
    await check("recordings: a stream without a length", () => upload(Readable.from(pieces(audio)), audio));
    await check("recordings: a Blob with its type", async () => {
        assert.equal(await upload(new Blob([ogg], { type: "audio/ogg" }), ogg), "audio/ogg");
    });
    await check("recordings: a File with its type", async () => {
        assert.equal(await upload(new File([audio], "visit.wav", { type: "audio/wav" }), audio), "audio/wav");
    });
    await check("recordings: list", async () => {
        const { recordings: listed } = await client.recordings.list(id);
        assert.deepEqual([...listed].sort(), [...sent].sort());
    });
    await check("recordings: delete, also what is not there", async () => {
        for (const recording of [sent[0], sent[0], UNKNOWN]) {
            const { rawResponse } = await client.recordings.delete(id, recording).withRawResponse();
            assert.equal(rawResponse.status, 204);
        }
        await refused(() => client.recordings.get(id, sent[0]), 404, "A0011");
        assert.equal((await client.recordings.list(id)).recordings.length, sent.length - 1);
    });
    await check("recordings: over the limit", async () => {
        const long = Buffer.concat([audio, Buffer.alloc(3 * 2 ** 20)]);
        await refused(() => client.recordings.upload(long, id), 400, "A0016");
        await refused(() => client.recordings.upload(Readable.from(pieces(long)), id), 400, "A0016");
        assert.equal((await client.recordings.list(id)).recordings.length, sent.length - 1);
    });
    await check("recordings: empty, or no audio", async () => {
        await refused(() => client.recordings.upload(Buffer.alloc(0), id), 400);
        await refused(() => client.recordings.upload(Buffer.from("no audio at all"), id), 400);
        assert.equal((await client.recordings.list(id)).recordings.length, sent.length - 1);
    });
}

export function* pieces(bytes, size = 65536) {
    for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}
