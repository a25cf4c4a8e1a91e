import assert from "node:assert/strict";
import { check } from "./report.mjs";
import { isUuid, refused } from "./expecting.mjs";

const PARTICIPANTS = [
    { channel: 0, role: "doctor" },
    { channel: 1, role: "patient" },
];

// Leaves `spoken`, the segments of a transcript, for the documents.
export async function transcripts(world) {
    const { client, clip } = world;
    const id = await world.interaction();
    const { recordingId } = await client.recordings.upload({ path: clip }, id);
    const made = [];

    const transcribe = async (request, expected = [201]) => {
        const asked = { recordingId, primaryLanguage: "en", ...request };
        const { data, rawResponse } = await client.transcripts.create(id, asked).withRawResponse();
        assert.ok(expected.includes(rawResponse.status), `${rawResponse.status}`);
        isUuid(data.id);
        assert.equal(data.recordingId, recordingId);
        assert.equal(typeof data.usageInfo.creditsConsumed, "number");
        made.push(data.id);
        return data;
    };
    await check("transcripts: none yet", async () => {
        assert.deepEqual((await client.transcripts.list(id)).transcripts ?? [], []);
    });
    await check("transcripts: create, one channel per speaker", async () => {
        const transcript = await transcribe({ isMultichannel: true, participants: PARTICIPANTS });
        assert.equal(transcript.status, "completed");
        assert.deepEqual(transcript.metadata.participantsRoles, PARTICIPANTS);
        world.spoken = transcript.transcripts;
        assert.ok(world.spoken.length > 1);
        assert.deepEqual(new Set(world.spoken.map((one) => one.channel)), new Set([0, 1]));
        for (const one of world.spoken) {
            for (const name of ["channel", "participant", "speakerId", "start", "end"]) {
                assert.ok(Number.isInteger(one[name]), `${name}: ${one[name]}`);
            }
            assert.ok(one.start < one.end && one.text.length > 0);
        }
    });
    await check("transcripts: create, diarized, in a regional language", async () => {
        const transcript = await transcribe({ diarize: true, participants: [], primaryLanguage: "en-GB" });
        assert.equal(transcript.status, "completed");
        assert.equal(transcript.metadata.participantsRoles ?? null, null);
        assert.ok(transcript.transcripts.every((one) => one.channel === 0));
    });
    await check("transcripts: create in the background, if the client can ask for it", async () => {
        let transcript = await transcribe({ async: true, isDictation: true }, [201, 202]);
        while (transcript.status === "processing") {
            await new Promise((wake) => setTimeout(wake, 100));
            transcript = { ...transcript, ...(await client.transcripts.getStatus(id, transcript.id)) };
        }
        assert.equal(transcript.status, "completed");
    });
    await check("transcripts: get and status", async () => {
        const transcript = await client.transcripts.get(id, made[0]);
        assert.deepEqual(transcript.transcripts, world.spoken);
        assert.equal(transcript.status, "completed");
        assert.equal((await client.transcripts.getStatus(id, made[0])).status, "completed");
    });
    await check("transcripts: list, short and full", async () => {
        for (const request of [undefined, { full: false }, { full: true }]) {
            const { transcripts: listed } = await client.transcripts.list(id, request);
            assert.deepEqual(new Set(listed.map((one) => one.id)), new Set(made));
            for (const one of listed) {
                assert.ok(one.transcriptSample.length > 0);
                assert.equal("transcript" in one && one.transcript !== undefined, request?.full === true);
            }
            if (request?.full) {
                const first = listed.find((one) => one.id === made[0]);
                assert.deepEqual(first.transcript.transcripts, world.spoken);
                assert.deepEqual(first.transcript.metadata.participantsRoles, PARTICIPANTS);
            }
        }
    });
    await check("transcripts: delete", async () => {
        const gone = made.pop();
        const { rawResponse } = await client.transcripts.delete(id, gone).withRawResponse();
        assert.equal(rawResponse.status, 204);
        await refused(() => client.transcripts.get(id, gone), 404, "A0012");
        await refused(() => client.transcripts.getStatus(id, gone), 404, "A0012");
        await refused(() => client.transcripts.delete(id, gone), 404, "A0012");
        assert.equal((await client.transcripts.list(id)).transcripts.length, made.length);
    });
    await refusals(world, id, recordingId);
}

async function refusals({ client }, id, recordingId) {
    const create = (request) => client.transcripts.create(id, { recordingId, primaryLanguage: "en", ...request });

    await check("transcripts: a language that is not supported", async () => {
        await refused(() => create({ primaryLanguage: "tlh" }), 400, "A0018");
        await refused(() => create({ primaryLanguage: "" }), 400);
    });
    await check("transcripts: a recording that is not there", async () => {
        await refused(() => create({ recordingId: "00000000-0000-4000-8000-000000000000" }), 404, "A0011");
        await refused(() => create({ recordingId: "not-a-uuid" }), 400);
    });
    await check("transcripts: participants of one diarized channel", async () => {
        await refused(() => create({ diarize: true, participants: [{ channel: 0, role: "multiple" }] }), 400);
    });
}
