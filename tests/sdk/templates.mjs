import assert from "node:assert/strict";
import { check } from "./report.mjs";
import { isRefusal, refused } from "./expecting.mjs";

const SOAP = ["corti-subjective", "corti-objective", "corti-assessment", "corti-plan"];

export async function templates(world) {
    const { client, http } = world;
    let listed;

    await check("templates: list", async () => {
        listed = (await client.templates.list()).data;
        assert.ok(listed.some((one) => one.key === "corti-soap"));
        for (const one of listed) {
            assert.equal(one.status, "published", one.key);
            assert.ok(one.templateSections.length > 0, one.key);
            assert.ok(one.translations.some((translation) => translation.languageId === "en"), one.key);
        }
    });
    await check("templates: each by its key", async () => {
        for (const one of listed) assert.deepEqual(await client.templates.get(one.key), one);
        const soap = await client.templates.get("corti-soap");
        assert.deepEqual(soap.templateSections.map((one) => one.section.key), SOAP);
        assert.deepEqual(soap.templateSections.map((one) => one.sort), [0, 1, 2, 3]);
    });
    await check("templates: filters never fail", async () => {
        const keys = async (request) => (await client.templates.list(request)).data.map((one) => one.key);
        assert.deepEqual(await keys({ lang: ["en"], status: ["published"] }), listed.map((one) => one.key));
        assert.deepEqual(await keys({ lang: "tlh" }), []);
        for (const request of [{ org: "corti" }, { org: ["a", "b"] }, { status: "draft" }, { lang: ["en", "da"] }]) {
            assert.ok(Array.isArray(await keys(request)));
        }
    });
    await check("templates: one that is not there", async () => {
        await refused(() => client.templates.get("no-such-template"), 404);
    });
    await check("templates: sections", async () => {
        const sections = (await client.templates.sectionList()).data;
        const keys = sections.map((one) => one.key);
        assert.equal(new Set(keys).size, keys.length);
        for (const one of listed.flatMap((template) => template.templateSections)) assert.ok(keys.includes(one.section.key));
        assert.deepEqual((await client.templates.sectionList({ lang: "tlh" })).data, []);
        assert.deepEqual((await client.templates.sectionList({ lang: ["en"], org: ["corti"] })).data.map((one) => one.key), keys);
    });
    await check("languages: list", async () => {
        const { languages } = client.languages ? await client.languages.list() : await (await http("GET", "languages/")).json();
        assert.ok("en" in languages);
        for (const { endpoints } of Object.values(languages)) {
            for (const name of ["streams", "transcribe", "transcripts"]) {
                assert.equal(typeof endpoints[name].enabled, "boolean");
            }
        }
        assert.equal(languages.en.endpoints.transcripts.enabled, true);
        assert.equal(languages.en.endpoints.streams.enabled, false);
    });
    await check("languages: of one endpoint", async () => {
        const heard = await (await http("GET", "languages/?endpoint=transcripts")).json();
        assert.ok("en" in heard.languages);
        assert.deepEqual((await (await http("GET", "languages?endpoint=streams")).json()).languages, {});
        await isRefusal(await http("GET", "languages/?endpoint=bogus"), 400);
    });
}
