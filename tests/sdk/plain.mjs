// What the client strips or never sends: the paths of the workflow page, both slash forms, chunked bodies, `async`.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { check } from "./report.mjs";
import { isUuid } from "./expecting.mjs";
import { pieces } from "./recordings.mjs";
import { visit } from "./world.mjs";

export async function plain(world) {
    const { http, client, origin, headers } = world;
    const audio = await readFile(world.clip);
    const id = await world.interaction();
    let recordingId;

    await check("plain: both slash forms, without a redirect", async () => {
        const { recordingId: recording } = await client.recordings.upload(audio, id);
        const paths = [
            "interactions", `interactions/${id}`, `interactions/${id}/recordings`, `interactions/${id}/recordings/${recording}`,
            `interactions/${id}/transcripts`, `interactions/${id}/documents`, `interactions/${id}/facts`,
            "templates", "templates/corti-soap", "templateSections", "factgroups", "languages",
        ];
        for (const path of paths.flatMap((one) => [one, `${one}/`])) {
            const answer = await http("GET", path);
            assert.equal(answer.status, 200, path);
            await answer.arrayBuffer();
        }
        for (const path of ["interactions", "interactions/"]) {
            assert.equal((await http("POST", path, { json: { encounter: visit(world) } })).status, 201, path);
        }
    });
    await check("plain: the singular path, chunked and not", async () => {
        const stream = () => new ReadableStream({
            start(controller) {
                for (const piece of pieces(audio)) controller.enqueue(piece);
                controller.close();
            },
        });
        for (const path of ["recording", "recording/", "recordings", "recordings/"]) {
            for (const body of [audio, stream()]) {
                const answer = await http("POST", `interactions/${id}/${path}`, { body, duplex: "half" });
                assert.equal(answer.status, 201, path);
                recordingId = (await answer.json()).recordingId;
                isUuid(recordingId);
            }
        }
        const got = await http("GET", `interactions/${id}/recordings/${recordingId}`);
        assert.deepEqual(Buffer.from(await got.arrayBuffer()), audio);
    });
    await check("plain: a transcript in the background", async () => {
        const json = { recordingId, primaryLanguage: "en", async: true };
        const answer = await http("POST", `interactions/${id}/transcripts/`, { json });
        assert.equal(answer.status, 202);
        const begun = await answer.json();
        assert.equal(begun.status, "processing");
        const place = new URL(answer.headers.get("location"), `${origin}/v2/interactions/${id}/transcripts/`);
        assert.equal(place.pathname, `/v2/interactions/${id}/transcripts/${begun.id}`);
        await ended(`${place}/status`, headers);
        const whole = await (await fetch(place, { headers })).json();
        assert.equal(whole.status, "completed");
        assert.ok(whole.transcripts.length > 0);
    });
    await check("plain: a template key wins over a template", async () => {
        const context = [{ type: "string", data: "Coughs for ten days." }];
        const json = { context, templateKey: "corti-soap", template: { sectionKeys: ["corti-plan"] }, outputLanguage: "en" };
        const answer = await http("POST", `interactions/${id}/documents/`, { json });
        assert.equal(answer.status, 201);
        assert.equal((await answer.json()).sections.length, 4);
    });
    await check("plain: fields of other versions are let pass", async () => {
        const period = { startedAt: "2026-01-01T09:00:00.123456+00:00", startedAtTzoffset: "+01:00", endedAt: "2026-01-01T10:00:00+01:00" };
        const encounter = visit(world, { period });
        const patient = { identifier: "p", birthDate: "1980-05-17" };
        const made = await http("POST", "interactions/", { json: { encounter, patient, modelName: "base" } });
        assert.equal(made.status, 201);
        const json = { recordingId, primaryLanguage: "en", async: true, modelName: "base", shouldDiarize: true, isDictation: true };
        assert.equal((await http("POST", `interactions/${id}/transcripts/`, { json })).status, 202);
    });
}

async function ended(url, headers) {
    for (;;) {
        const { status } = await (await fetch(url, { headers })).json();
        if (status !== "processing") return;
        await new Promise((wake) => setTimeout(wake, 100));
    }
}
