import assert from "node:assert/strict";
import { check } from "./report.mjs";
import { isDate, isUuid, refused } from "./expecting.mjs";
import { visit } from "./world.mjs";

const USER = "5d3c7f1a-8a44-4a57-b0b2-0c6a4b1f9e77";
const SORTS = ["id", "assignedUserId", "patient", "createdAt", "endedAt", "updatedAt"];

export async function interactions(world) {
    const { client, run } = world;
    const patient = { identifier: `${run}-patient` };
    let bare, whole;

    await check("interactions: create with what is required", async () => {
        const made = await client.interactions.create({ encounter: visit(world) }).withRawResponse();
        assert.equal(made.rawResponse.status, 201);
        bare = made.data;
        isUuid(bare.interactionId);
        assert.match(bare.websocketUrl, new RegExp(`^ws://.*/interactions/${bare.interactionId}/streams.tenant-name=base$`));
        assert.equal(bare.id, bare.interactionId);
        assert.equal(bare.wssUrl, bare.websocketUrl);
    });
    await check("interactions: create with everything", async () => {
        whole = await client.interactions.create({
            assignedUserId: USER,
            encounter: visit(world, {
                identifier: `${run}-whole`,
                status: "in-progress",
                type: "outpatient",
                period: { startedAt: new Date("2026-01-01T09:00:00.000Z"), endedAt: null },
                title: "Control",
            }),
            patient: { ...patient, name: "Test Person", gender: "other", birthDate: new Date("1980-05-17"), pronouns: null },
        });
        isUuid(whole.interactionId);
    });
    await check("interactions: get what was given", async () => {
        const got = await client.interactions.get(whole.interactionId);
        assert.equal(got.assignedUserId, USER);
        assert.equal(got.encounter.identifier, `${run}-whole`);
        assert.equal(got.encounter.status, "in-progress");
        assert.equal(got.encounter.type, "outpatient");
        assert.equal(got.encounter.title, "Control");
        assert.deepEqual(got.encounter.period.startedAt, new Date("2026-01-01T09:00:00Z"));
        assert.equal(got.patient.name, "Test Person");
        assert.equal(got.patient.gender, "other");
        assert.deepEqual(got.patient.birthDate, new Date("1980-05-17"));
        for (const moment of [got.createdAt, got.updatedAt, got.lastUpdated]) isDate(moment);
    });
    await check("interactions: get what was not given", async () => {
        const got = await client.interactions.get(bare.interactionId);
        isUuid(got.assignedUserId);
        assert.equal(got.patient.identifier, "");
        assert.deepEqual(got.encounter.period.startedAt, got.createdAt);
        assert.equal(got.websocketUrl, bare.websocketUrl);
    });
    await check("interactions: update", async () => {
        const period = { startedAt: new Date("2026-01-01T09:00:00Z"), endedAt: new Date("2026-01-01T09:20:00Z") };
        const changed = await client.interactions.update(whole.interactionId, {
            encounter: { status: "completed", period, title: null },
            patient: { ...patient, name: "Other Person" },
        });
        assert.equal(changed.encounter.status, "completed");
        assert.equal(changed.encounter.type, "outpatient");
        assert.equal(changed.encounter.title ?? null, null);
        assert.deepEqual(changed.encounter.period.endedAt, period.endedAt);
        assert.deepEqual(changed.endedAt, period.endedAt);
        assert.equal(changed.patient.name, "Other Person");
        assert.equal(changed.patient.gender, "other");
        assert.ok(changed.updatedAt > changed.createdAt);
        assert.deepEqual(await client.interactions.get(whole.interactionId), changed);
    });
    await check("interactions: an empty update changes nothing", async () => {
        const before = await client.interactions.get(whole.interactionId);
        assert.deepEqual(await client.interactions.update(whole.interactionId), before);
        assert.deepEqual(await client.interactions.update(whole.interactionId, {}), before);
    });
    await lists(world, patient);
    await deleting(world);
}

async function lists(world, patient) {
    const { client } = world;
    const made = [];
    const all = async (request) => {
        const found = [];
        const pages = await client.interactions.list({ patient: patient.identifier, ...request });
        for await (const one of pages) found.push(one);
        return found;
    };

    await check("interactions: iterate all pages to the end", async () => {
        for (const status of ["planned", "on-hold", "cancelled", "deleted"]) {
            const encounter = visit(world, { status });
            made.push((await client.interactions.create({ encounter, patient })).interactionId);
        }
        const seen = (await all({ pageSize: 2 })).map((one) => one.id);
        assert.equal(seen.length, 5);
        assert.equal(new Set(seen).size, 5);
        assert.ok(made.every((one) => seen.includes(one)));
    });
    await check("interactions: a page past the end is empty", async () => {
        const page = await client.interactions.list({ patient: patient.identifier, index: 9 });
        assert.deepEqual(page.data, []);
        assert.equal(page.hasNextPage(), false);
    });
    await check("interactions: newest first, ten to a page", async () => {
        for (let more = 0; more < 7; more++) await world.interaction();
        const page = await client.interactions.list();
        assert.equal(page.data.length, 10);
        const times = page.data.map((one) => one.createdAt.getTime());
        assert.deepEqual(times, [...times].sort((a, b) => b - a));
    });
    await check("interactions: every sort, both directions", async () => {
        for (const sort of SORTS) {
            const up = await all({ sort, direction: "asc" });
            const down = await all({ sort, direction: "desc" });
            assert.equal(up.length, 5, sort);
            assert.deepEqual(new Set(down.map((one) => one.id)), new Set(up.map((one) => one.id)), sort);
            if (["id", "createdAt", "updatedAt"].includes(sort)) {
                assert.deepEqual(down.map((one) => one.id), up.map((one) => one.id).reverse(), sort);
                assert.ok(up.every((one, at) => at === 0 || up[at - 1][sort] <= one[sort]), sort);
            }
        }
    });
    await check("interactions: by status, one or several", async () => {
        const statuses = (found) => found.map((one) => one.encounter.status).sort();
        assert.deepEqual(statuses(await all({ encounterStatus: "deleted" })), ["deleted"]);
        assert.deepEqual(statuses(await all({ encounterStatus: ["on-hold", "planned"] })), ["on-hold", "planned"]);
    });
    await check("interactions: by patient, nobody's", async () => {
        assert.deepEqual((await client.interactions.list({ patient: "nobody" })).data, []);
    });
}

async function deleting(world) {
    const { client, clip } = world;
    await check("interactions: delete takes everything along", async () => {
        const encounter = visit(world);
        const id = (await client.interactions.create({ encounter })).interactionId;
        const { recordingId } = await client.recordings.upload({ path: clip }, id);
        const { rawResponse } = await client.interactions.delete(id).withRawResponse();
        assert.equal(rawResponse.status, 204);
        await refused(() => client.interactions.get(id), 404, "A0007");
        await refused(() => client.recordings.get(id, recordingId), 404, "A0007");
        await refused(() => client.interactions.delete(id), 404, "A0007");
        await refused(() => client.interactions.update(id, {}), 404, "A0007");
        isUuid((await client.interactions.create({ encounter })).interactionId);
    });
}
