// Real-time streaming is not offered: every connection is told so, and closed with 1000. On any other code the client
// would connect again, thirty times; without CONFIG_DENIED or the like its `connect` would wait for ever.
import assert from "node:assert/strict";
import { check } from "./report.mjs";
import { UNKNOWN, failed } from "./expecting.mjs";

const CONFIGURATION = {
    transcription: { primaryLanguage: "en", isDiarization: false, isMultichannel: false, participants: [{ channel: 0, role: "multiple" }] },
    mode: { type: "facts", outputLocale: "en" },
};

export async function streaming(world) {
    const { client, newClient, origin, clients, corti, headers } = world;
    const made = await client.interactions.create({ encounter: { identifier: `${world.run}-live`, status: "planned", type: "consultation" } });
    const id = made.interactionId;

    await check("stream: the configuration is denied", async () => {
        const error = await failed(() => soon(client.stream.connect({ id, configuration: CONFIGURATION })));
        assert.equal(error.message, "CONFIG_DENIED");
    });
    await check("stream: the reason is said, and the socket closed for good", async () => {
        const queryParams = { "x-corti-analytics": "{}" };
        const { messages, code } = await conversation(await client.stream.connect({ id, queryParams }));
        assert.equal(messages.length, 1, JSON.stringify(messages));
        assert.equal(messages[0].type, "CONFIG_DENIED");
        assert.match(messages[0].reason, /stream/i);
        assert.equal(code, 1000);
    });
    await check("stream: the address that the interaction gave", async () => {
        const token = encodeURIComponent(headers.authorization);
        const proxy = { url: `${made.websocketUrl}&token=${token}` };
        const { messages, code } = await conversation(await client.stream.connect({ id, proxy }));
        assert.deepEqual([messages[0].type, code], ["CONFIG_DENIED", 1000]);
    });
    await check("stream: baseUrl alone", async () => {
        const short = new corti.CortiClient({ baseUrl: `${origin}/v2`, tenantName: "base", auth: clients.base });
        const { messages, code } = await conversation(await short.stream.connect({ id }));
        assert.deepEqual([messages[0].type, code], ["CONFIG_DENIED", 1000]);
    });
    for (const [what, of, asked] of [
        ["a wrong token", newClient({ auth: { accessToken: "no.such.token" } }), id],
        ["another tenant's interaction", world.stranger, id],
        ["an unknown interaction", client, UNKNOWN],
    ]) {
        await check(`stream: ${what}`, async () => {
            const error = await failed(() => soon(of.stream.connect({ id: asked, configuration: CONFIGURATION })));
            assert.equal(error.message, "CONFIG_DENIED");
        });
    }
}

// What the server says after it got the configuration, until it closes.
async function conversation(socket) {
    const messages = [];
    socket.on("message", (message) => messages.push(message));
    const closed = new Promise((resolve) => socket.on("close", resolve));
    await soon(socket.waitForOpen());
    socket.sendConfiguration({ type: "config", configuration: CONFIGURATION });
    try {
        return { messages, code: (await soon(closed)).code };
    } finally {
        socket.close();
    }
}

function soon(promise, seconds = 8) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`nothing for ${seconds} s`)), seconds * 1000);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
