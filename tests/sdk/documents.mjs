import assert from "node:assert/strict";
import { check } from "./report.mjs";
import { UNKNOWN, isDate, isUuid, refused } from "./expecting.mjs";

const SOAP = ["corti-subjective", "corti-objective", "corti-assessment", "corti-plan"];
const RETENTION = "X-Corti-Retention-Policy";
const SAID = [
    { text: "What brings you in today?", channel: 0, participant: 0, speakerId: 0, start: 600, end: 2000 },
    { text: "I have had a dry cough for ten days.", channel: 1, participant: 1, speakerId: 1, start: 2500, end: 6000 },
    { text: "I will prescribe amoxicillin for seven days.", channel: 0, participant: 0, speakerId: 0, start: 6500, end: 9000 },
];

export async function documents(world) {
    const id = await world.interaction();
    const spoken = SAID.map((data) => ({ type: "transcript", data }));
    const make = async (request, options) => {
        const asked = { context: spoken, outputLanguage: "en", ...request };
        const { data, rawResponse } = await world.documents.create(id, asked, options).withRawResponse();
        assert.equal(rawResponse.status, 201);
        isWhole(data);
        return { ...data, headers: rawResponse.headers };
    };
    const made = await created(world, id, make, spoken);
    await kept(world, id, make, made);
    await refusals(world, id, spoken);
}

async function created(world, id, make, spoken) {
    const made = {};
    await check("documents: none yet", async () => {
        assert.deepEqual(await world.documents.list(id), { data: [] });
    });
    await check("documents: from segments, by template key", async () => {
        made.soap = await make({ templateKey: "corti-soap", name: "Visit note" });
        assert.equal(made.soap.name, "Visit note");
        assert.equal(made.soap.templateRef, "corti-soap");
        assert.deepEqual(made.soap.sections.map((one) => one.key), SOAP);
        assert.deepEqual(made.soap.sections.map((one) => one.sort), [0, 1, 2, 3]);
        assert.match(textOf(made.soap), /amoxicillin/);
    });
    await check("documents: by the older template key", async () => {
        assert.equal((await make({ templateKey: "soap" })).templateRef, "corti-soap");
    });
    await check("documents: from what the recogniser heard", async () => {
        const context = world.spoken.map((data) => ({ type: "transcript", data }));
        assert.equal((await make({ context, templateKey: "corti-soap" })).sections.length, 4);
    });
    await check("documents: from the whole transcript in one text", async () => {
        const text = SAID.map((one) => one.text).join("\n");
        const note = await make({ context: [{ type: "transcript", data: { text } }], templateKey: "corti-soap" });
        assert.match(textOf(note), /amoxicillin/);
    });
    await check("documents: from a string", async () => {
        const data = "The patient has had a dry cough for ten days. Start amoxicillin for seven days.";
        assert.match(textOf(await make({ context: [{ type: "string", data }], templateKey: "corti-soap" })), /cough/);
    });
    await check("documents: from facts", async () => {
        const data = [
            { text: "Dry cough for ten days.", group: "history-of-present-illness", source: "core" },
            { text: "Amoxicillin for seven days.", group: "plan" },
            { text: "No known allergies." },
        ];
        assert.match(textOf(await make({ context: [{ type: "facts", data }], templateKey: "corti-soap" })), /cough/);
    });
    await check("documents: sections by key", async () => {
        const template = { sectionKeys: ["corti-plan", "corti-subjective"], documentName: "Short", additionalInstructions: "brief" };
        const note = await make({ template });
        assert.deepEqual(note.sections.map((one) => one.key), ["corti-plan", "corti-subjective"]);
        assert.deepEqual(note.sections.map((one) => one.sort), [0, 1]);
        assert.equal(note.name, "Short");
    });
    await check("documents: sections with overrides", async () => {
        const sections = [{ key: "corti-plan", nameOverride: "What is next", writingStyleOverride: "plain" }, { key: "corti-subjective" }];
        const note = await make({ template: { sections, description: "two sections" }, name: "Named" });
        assert.deepEqual(note.sections.map((one) => one.key), ["corti-plan", "corti-subjective"]);
        assert.equal(note.sections[0].name, "What is next");
        assert.equal(note.name, "Named");
    });
    await check("documents: options that change nothing here", async () => {
        const options = { disableGuardrails: true, documentationMode: "routed_parallel" };
        const note = await make({ templateKey: "corti-soap", ...options });
        assert.deepEqual(note.sections.map((one) => one.key), SOAP);
    });
    await check("documents: generated and not kept", async () => {
        const before = (await world.documents.list(id)).data.length;
        const note = await make({ templateKey: "corti-soap" }, { headers: { [RETENTION]: "none" } });
        assert.equal(note.headers.get(RETENTION), "acknowledged");
        await refused(() => world.documents.get(id, note.id), 404, "A0009");
        assert.equal((await world.documents.list(id)).data.length, before);
        assert.equal(made.soap.headers.get(RETENTION), null);
    });
    return made;
}

async function kept(world, id, make, made) {
    await check("documents: get and list", async () => {
        const { headers, ...soap } = made.soap;
        assert.deepEqual(await world.documents.get(id, soap.id), soap);
        const { data } = await world.documents.list(id);
        assert.ok(data.length > 1);
        for (const one of data) isWhole(one);
        assert.deepEqual(data.find((one) => one.id === soap.id), soap);
    });
    await check("documents: update", async () => {
        const sections = [{ key: "corti-plan", text: "Rest.", name: "What is next", sort: 9 }];
        const changed = await world.documents.update(id, made.soap.id, { name: "Corrected", sections });
        isWhole(changed);
        assert.equal(changed.name, "Corrected");
        const plan = changed.sections.find((one) => one.key === "corti-plan");
        assert.equal(plan.text, "Rest.");
        assert.equal(plan.name, "What is next");
        assert.equal(plan.sort, 9);
        assert.equal(changed.sections.length, 4);
        assert.equal(changed.sections[0].text, made.soap.sections[0].text);
        assert.ok(changed.updatedAt > changed.createdAt);
        assert.deepEqual(await world.documents.get(id, made.soap.id), changed);
    });
    await check("documents: updates that change nothing", async () => {
        const before = await world.documents.get(id, made.soap.id);
        for (const nothing of [undefined, {}, { sections: [] }]) {
            const { updatedAt, ...after } = await world.documents.update(id, made.soap.id, nothing);
            isDate(updatedAt);
            assert.deepEqual({ ...after, updatedAt: before.updatedAt }, before);
        }
    });
    await check("documents: a section that it lacks is accepted", async () => {
        const note = await make({ template: { sectionKeys: ["corti-plan"] } });
        isWhole(await world.documents.update(id, note.id, { sections: [{ key: "corti-subjective", text: "Coughs." }] }));
    });
    await check("documents: delete", async () => {
        const { rawResponse } = await world.documents.delete(id, made.soap.id).withRawResponse();
        assert.equal(rawResponse.status, 204);
        await refused(() => world.documents.get(id, made.soap.id), 404, "A0009");
        await refused(() => world.documents.update(id, made.soap.id, {}), 404, "A0009");
        await refused(() => world.documents.delete(id, made.soap.id), 404, "A0009");
    });
}

async function refusals(world, id, spoken) {
    const create = (request) => world.documents.create(id, { context: spoken, outputLanguage: "en", ...request });
    const soap = { templateKey: "corti-soap" };

    await check("documents: templates and sections that are not there", async () => {
        await refused(() => create({ templateKey: "no-such-template" }), 404);
        await refused(() => create({ template: { sectionKeys: ["no-such-section"] } }), 404);
        await refused(() => create({ template: { sections: [{ key: "no-such-section" }] } }), 404);
        await refused(() => create({ template: { sections: [] } }), 400);
        await refused(() => create({ template: { sectionKeys: [] } }), 400);
    });
    await check("documents: a language that is not supported", async () => {
        await refused(() => create({ ...soap, outputLanguage: "tlh" }), 400, "A0018");
        await refused(() => create({ template: { sectionKeys: ["corti-plan"] }, outputLanguage: "tlh" }), 400, "A0018");
    });
    await check("documents: contexts that do not go together", async () => {
        await refused(() => create({ ...soap, context: [] }), 400);
        await refused(() => create({ ...soap, context: [...spoken, { type: "string", data: "And." }] }), 400, "A0015");
        const twice = [{ type: "string", data: "One." }, { type: "string", data: "Two." }];
        await refused(() => create({ ...soap, context: twice }), 400, "A0015");
    });
    await check("documents: nothing was stored of what was refused", async () => {
        const other = await world.interaction();
        await refused(() => world.documents.create(other, { context: [], outputLanguage: "en", ...soap }), 400);
        assert.deepEqual(await world.documents.list(other), { data: [] });
        await refused(() => world.documents.get(other, UNKNOWN), 404, "A0009");
    });
}

function isWhole(document) {
    isUuid(document.id);
    for (const name of ["name", "templateRef", "outputLanguage"]) assert.equal(typeof document[name], "string", name);
    assert.equal(document.isStream, false);
    assert.equal(typeof document.usageInfo.creditsConsumed, "number");
    for (const one of [document, ...document.sections]) {
        isDate(one.createdAt);
        isDate(one.updatedAt);
    }
}

function textOf(document) {
    return document.sections.map((one) => one.text).join("\n");
}
