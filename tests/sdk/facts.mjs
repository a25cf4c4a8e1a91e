import assert from "node:assert/strict";
import { check } from "./report.mjs";
import { UNKNOWN, isDate, isUuid, refused } from "./expecting.mjs";

export async function facts(world) {
    const { client } = world;
    const id = await world.interaction();
    let made;

    await check("facts: groups", async () => {
        const { data } = await client.facts.factGroupsList();
        for (const key of ["chief-complaint", "plan", "other"]) assert.ok(data.some((group) => group.key === key), key);
        for (const group of data) {
            isUuid(group.id);
            const english = group.translations.find((one) => one.languagesId === "en");
            assert.equal(typeof english.id, "number");
            assert.ok(english.name.length > 0);
        }
        world.groups = Object.fromEntries(data.map((group) => [group.key, group.id]));
    });
    await check("facts: none yet", async () => {
        assert.deepEqual(await client.facts.list(id), { facts: [] });
    });
    await check("facts: create", async () => {
        const asked = [
            { text: "Dry cough for ten days", group: "chief-complaint" },
            { text: "Amoxicillin for seven days", group: "plan", source: "core" },
        ];
        const { data, rawResponse } = await client.facts.create(id, { facts: asked }).withRawResponse();
        assert.equal(rawResponse.status, 200);
        made = data.facts;
        assert.deepEqual(made.map((one) => one.text), asked.map((one) => one.text));
        assert.deepEqual(made.map((one) => one.source), ["user", "core"]);
        for (const one of made) {
            isUuid(one.id);
            assert.equal(one.groupId, world.groups[one.group]);
            assert.equal(one.isDiscarded, false);
            isDate(one.updatedAt);
        }
    });
    await check("facts: list", async () => {
        const { facts: listed } = await client.facts.list(id);
        assert.deepEqual(listed.map((one) => one.id), made.map((one) => one.id));
        for (const one of listed) isDate(one.createdAt);
    });
    await check("facts: update one", async () => {
        const changed = await client.facts.update(id, made[0].id, { text: "Cough", group: "other", source: "system" });
        assert.equal(changed.text, "Cough");
        assert.equal(changed.group, "other");
        assert.equal(changed.groupId, world.groups.other);
        assert.equal(changed.source, "system");
        const discarded = await client.facts.update(id, made[0].id, { isDiscarded: true });
        assert.equal(discarded.isDiscarded, true);
        assert.equal(discarded.text, "Cough");
        assert.equal((await client.facts.update(id, made[0].id)).isDiscarded, true);
    });
    await check("facts: update several", async () => {
        const asked = [
            { factId: made[0].id, isDiscarded: false },
            { factId: made[1].id, text: "Amoxicillin", group: "actions" },
        ];
        const { facts: changed } = await client.facts.batchUpdate(id, { facts: asked });
        assert.deepEqual(changed.map((one) => [one.id, one.isDiscarded, one.text, one.group]), [
            [made[0].id, false, "Cough", "other"],
            [made[1].id, false, "Amoxicillin", "actions"],
        ]);
        for (const one of changed) isDate(one.createdAt);
    });
    await check("facts: into a document", async () => {
        const { facts: listed } = await client.facts.list(id);
        const data = listed.map(({ text, group, source }) => ({ text, group, source }));
        const request = { context: [{ type: "facts", data }], templateKey: "corti-soap", outputLanguage: "en" };
        assert.equal((await world.documents.create(id, request)).sections.length, 4);
    });
    await check("facts: groups and facts that are not there", async () => {
        const unknown = { facts: [{ text: "Cough", group: "no-such-group" }] };
        await refused(() => client.facts.create(id, unknown), 404, "A0019");
        await refused(() => client.facts.update(id, made[0].id, { group: "no-such-group" }), 404, "A0019");
        await refused(() => client.facts.update(id, UNKNOWN, { text: "Cough" }), 404, "A0020");
        const both = [{ factId: made[0].id, text: "Changed" }, { factId: UNKNOWN, text: "Cough" }];
        await refused(() => client.facts.batchUpdate(id, { facts: both }), 404, "A0020");
        assert.equal((await client.facts.list(id)).facts[0].text, "Cough");
    });
    await check("facts: requests that say nothing", async () => {
        await refused(() => client.facts.create(id, { facts: [] }), 400);
        await refused(() => client.facts.batchUpdate(id, { facts: [] }), 400);
        await refused(() => client.facts.batchUpdate(id, { facts: [{ factId: "not-a-uuid", text: "Cough" }] }), 400);
        const { facts: unchanged } = await client.facts.batchUpdate(id, { facts: [{ factId: made[0].id }] });
        assert.equal(unchanged[0].text, "Cough");
    });
    await check("facts: extract from a text", async () => {
        const context = [{ type: "text", text: "I have had a dry cough for ten days. I will start amoxicillin." }];
        const found = await client.facts.extract({ context, outputLanguage: "en" });
        assert.equal(found.outputLanguage, "en");
        assert.equal(typeof found.usageInfo.creditsConsumed, "number");
        assert.ok(found.facts.length > 0);
        for (const one of found.facts) assert.ok(one.group in world.groups && one.text.length > 0, one.group);
        await refused(() => client.facts.extract({ context, outputLanguage: "tlh" }), 400, "A0018");
        await refused(() => client.facts.extract({ context: [], outputLanguage: "en" }), 400);
        await refused(() => client.facts.extract({ context: [{ type: "text", text: "" }], outputLanguage: "en" }), 400);
    });
}
