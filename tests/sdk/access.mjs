import assert from "node:assert/strict";
import { check, warningsUntilNow } from "./report.mjs";
import { failed, isRefusal, refused } from "./expecting.mjs";

export async function access(world) {
    const { client, newClient, origin, clients, http, headers, stranger } = world;

    await check("access: a wrong shape does not pass", async () => {
        let shape;
        const wrong = (url, request) => (`${url}`.includes("/templates/") ? Response.json(shape) : fetch(url, request));
        const section = { key: "k", name: "n", description: "d", type: "t", translations: [] };
        for (const [given, warning] of [
            [{ data: [{ key: 7 }] }, /Failed to validate[^]*key: Expected string/],
            [{ data: [{ key: "k" }] }, /Missing required key "templateSections"/],
            [{ data: [{ documentationMode: "bogus" }] }, /documentationMode: Expected enum/],
            [{ data: [{ templateSections: [{ sort: 0, section }] }] }, /section: Missing required key "defaultWritingStyle"/],
        ]) {
            shape = given;
            await newClient({ fetch: wrong }).templates.list();
            assert.match(warningsUntilNow().join("\n"), warning);
        }
    });
    await check("access: client credentials, one token for many calls", async () => {
        const asked = [];
        const counting = newClient({ fetch: (url, request) => asked.push(`${url}`) && fetch(url, request) });
        for (let call = 0; call < 3; call++) await counting.templates.list();
        assert.equal(asked.filter((url) => url.endsWith("/realms/base/protocol/openid-connect/token")).length, 1);
        assert.equal(asked.length, 4);
    });
    await check("access: a token is asked for by name", async () => {
        const token = await client.auth.getToken(clients.base);
        assert.equal(token.tokenType, "Bearer");
        assert.equal(token.expiresIn, 300);
        assert.equal((await newClient({ auth: { accessToken: token.accessToken } }).templates.list()).data.length > 0, true);
    });
    await check("access: baseUrl alone", async () => {
        const { CortiClient } = world.corti;
        const short = new CortiClient({ baseUrl: `${origin}/v2`, tenantName: "base", auth: clients.base });
        assert.ok((await short.templates.list()).data.length > 0);
    });
    await check("access: headers that newer clients send", async () => {
        const analytics = { "X-Corti-Analytics": JSON.stringify({ sdk_version: "5.0.0", sdk_type: "corti-sdk-javascript" }) };
        assert.ok((await newClient({ headers: analytics }).templates.list()).data.length > 0);
    });
    await check("access: a wrong secret", async () => {
        const wrong = newClient({ auth: { ...clients.base, clientSecret: "guessed" } });
        const error = await failed(() => wrong.interactions.list());
        assert.equal(error.statusCode, 401);
        assert.equal(error.body.error, "unauthorized_client");
    });
    await check("access: an unknown client", async () => {
        const error = await failed(() => client.auth.getToken({ clientId: "nobody", clientSecret: "guessed" }));
        assert.equal(error.statusCode, 401);
        assert.equal(error.body.error, "invalid_client");
    });
    await check("access: a client of another tenant's realm", async () => {
        const error = await failed(() => newClient({ tenantName: "clinic-b" }).interactions.list());
        assert.equal(error.statusCode, 401);
    });
    await check("access: a wrong token", async () => {
        const error = await failed(() => newClient({ auth: { accessToken: "no.such.token" } }).interactions.list());
        assert.equal(error.statusCode, 401);
        assert.ok(!error.body, `a body: ${JSON.stringify(error.body)}`);
        assert.match(error.rawResponse.headers.get("www-authenticate"), /^Bearer.*error="invalid_token"/);
    });
    await check("access: no token", async () => {
        const answer = await fetch(`${origin}/v2/interactions/`, { headers: { "Tenant-Name": "base" } });
        assert.equal(answer.status, 401);
        assert.equal(await answer.text(), "");
    });
    await check("access: another tenant's name", async () => {
        await refused(() => client.interactions.list({}, { tenantName: "clinic-b" }), 403);
    });
    await check("access: no tenant's name", async () => {
        const { CortiClient } = world.corti;
        const nameless = new CortiClient({ baseUrl: `${origin}/v2`, auth: { accessToken: bearer(headers) }, maxRetries: 0 });
        await refused(() => nameless.interactions.list(), 403);
        await isRefusal(await http("GET", "interactions/", { headers: { "tenant-name": "" } }), 403);
    });
    await check("access: another tenant's interaction is not there", async () => {
        const theirs = (await stranger.interactions.create({ encounter: theirVisit(world) })).interactionId;
        await refused(() => client.interactions.get(theirs), 404, "A0007");
        await refused(() => client.recordings.list(theirs), 404, "A0007");
        await refused(() => client.transcripts.list(theirs), 404, "A0007");
        await refused(() => world.documents.list(theirs), 404, "A0007");
        await refused(() => client.facts.list(theirs), 404, "A0007");
        await refused(() => client.interactions.delete(theirs), 404, "A0007");
        assert.equal((await stranger.interactions.get(theirs)).id, theirs);
    });
}

function theirVisit({ run }) {
    return { identifier: `${run}-theirs`, status: "planned", type: "consultation" };
}

function bearer(headers) {
    return headers.authorization.replace("Bearer ", "");
}
