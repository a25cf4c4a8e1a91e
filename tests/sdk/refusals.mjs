// The error cases that every resource shares: ids that are malformed or unknown, and values that are none.
import assert from "node:assert/strict";
import { check } from "./report.mjs";
import { MALFORMED, UNKNOWN, isRefusal, refused } from "./expecting.mjs";
import { visit } from "./world.mjs";

export async function refusals(world) {
    const { client, http } = world;
    const id = await world.interaction();
    const of = calls(world);

    await check("refusals: a malformed interaction id", async () => {
        for (const call of of.interaction) await refused(() => call(MALFORMED), 400);
    });
    await check("refusals: an unknown interaction", async () => {
        for (const call of of.interaction) await refused(() => call(UNKNOWN), 404, "A0007");
    });
    await check("refusals: an unknown interaction comes before what it has", async () => {
        for (const call of of.all) await refused(() => call(UNKNOWN, UNKNOWN), 404, "A0007");
    });
    await check("refusals: a malformed id inside an interaction", async () => {
        for (const call of of.all) await refused(() => call(id, MALFORMED), 400);
    });
    await check("refusals: an unknown id inside an interaction", async () => {
        for (const [type, some] of Object.entries(of.inside)) {
            for (const call of some) {
                await refused(() => call(id, UNKNOWN), 404, type);
            }
        }
    });
    await check("refusals: an encounter's identifier twice", async () => {
        const encounter = visit(world);
        await client.interactions.create({ encounter });
        await refused(() => client.interactions.create({ encounter }), 400, "A0017");
        await refused(() => client.interactions.update(id, { encounter: { identifier: encounter.identifier } }), 400, "A0017");
        await world.stranger.interactions.create({ encounter });
    });
    await check("refusals: values that the client would not send", async () => {
        for (const encounter of [{ status: "done" }, { type: "chat" }, { identifier: 7 }, { period: {} }, { period: { startedAt: 5 } }]) {
            await isRefusal(await http("POST", "interactions/", { json: { encounter: visit(world, encounter) } }), 400);
        }
        for (const patient of [{}, { identifier: "p", gender: "" }, { identifier: "p", birthDate: "May" }]) {
            await isRefusal(await http("POST", "interactions/", { json: { encounter: visit(world), patient } }), 400);
        }
        await isRefusal(await http("POST", "interactions/", { json: {} }), 400);
        await isRefusal(await http("PATCH", `interactions/${id}`, { json: { encounter: { status: "done" } } }), 400);
    });
    await check("refusals: queries that mean nothing", async () => {
        for (const query of ["sort=colour", "direction=up", "pageSize=0", "index=0", "index=x", "encounterStatus=done"]) {
            await isRefusal(await http("GET", `interactions/?${query}`), 400, "A0013");
        }
        await isRefusal(await http("GET", `interactions/${id}/transcripts/?full=maybe`), 400, "A0013");
    });
    await check("refusals: bodies that are no JSON", async () => {
        const json = { "Content-Type": "application/json" };
        for (const path of ["interactions/", `interactions/${id}/transcripts/`, `interactions/${id}/documents/`, `interactions/${id}/facts/`]) {
            for (const body of ["{", "", "[]", "null", '"text"']) {
                await isRefusal(await http("POST", path, { body, headers: json }), 400);
            }
        }
    });
    await check("refusals: paths and methods that are not there", async () => {
        await isRefusal(await http("GET", "no/such/path"), 404);
        await isRefusal(await http("PUT", "interactions/"), 405);
        await isRefusal(await http("DELETE", "templates/"), 405);
    });
    await check("refusals: a request keeps its name", async () => {
        const answer = await http("GET", `interactions/${UNKNOWN}`, { headers: { "X-Request-Id": "named-by-the-caller" } });
        assert.equal((await answer.json()).requestid, "named-by-the-caller");
    });
}

// Each call takes the interaction's id, those inside the id of their resource too. Deleting an unknown recording succeeds.
function calls(world) {
    const { client, documents } = world;
    const context = [{ type: "string", data: "Coughs." }];
    const bound = (resource, name) => (...ids) => resource[name](...ids);
    const inside = {
        A0011: [bound(client.recordings, "get")],
        A0012: ["get", "getStatus", "delete"].map((name) => bound(client.transcripts, name)),
        A0009: ["get", "update", "delete"].map((name) => bound(documents, name)),
        A0020: [bound(client.facts, "update")],
    };
    return {
        inside,
        all: [...Object.values(inside).flat(), bound(client.recordings, "delete")],
        interaction: [
            (id) => client.interactions.get(id),
            (id) => client.interactions.update(id, {}),
            (id) => client.interactions.delete(id),
            (id) => client.recordings.list(id),
            (id) => client.recordings.upload(Buffer.from("audio"), id),
            (id) => client.transcripts.list(id),
            (id) => client.transcripts.create(id, { recordingId: UNKNOWN, primaryLanguage: "en" }),
            (id) => documents.list(id),
            (id) => documents.create(id, { context, templateKey: "corti-soap", outputLanguage: "en" }),
            (id) => client.facts.list(id),
            (id) => client.facts.create(id, { facts: [{ text: "Coughs.", group: "other" }] }),
            (id) => client.facts.batchUpdate(id, { facts: [{ factId: UNKNOWN }] }),
        ],
    };
}
