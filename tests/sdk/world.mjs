// What every part of the journey works with: clients of two tenants, plain HTTP beside them, and names of this run.
import { randomBytes } from "node:crypto";
import { strictly } from "./strict.mjs";

export async function openWorld({ sdk, origin, clients, clip, song }) {
    const corti = await import(sdk);
    await strictly(sdk);
    const environment = {
        base: `${origin}/v2`,
        login: `${origin}/realms`,
        wss: `${origin.replace("http", "ws")}/audio-bridge/v2`,
        agents: origin,
    };
    const client = (options = {}) =>
        new corti.CortiClient({ environment, tenantName: "base", auth: clients.base, maxRetries: 0, ...options });
    const base = client();
    const world = {
        corti,
        client: base,
        newClient: client,
        stranger: client({ tenantName: "clinic-b", auth: clients["clinic-b"] }),
        documents: base.documents.classic ?? base.documents,
        origin,
        clients,
        clip,
        song,
        run: randomBytes(4).toString("hex"),
        headers: Object.fromEntries(await base.getAuthHeaders()),
    };
    world.http = plainHttp(world);
    world.interaction = async () => (await base.interactions.create({ encounter: visit(world) })).interactionId;
    return world;
}

// An encounter that no other interaction has.
export function visit({ run }, changes = {}) {
    const identifier = `${run}-${randomBytes(4).toString("hex")}`;
    return { identifier, status: "planned", type: "first_consultation", ...changes };
}

// fetch under /v2 with a valid token; `json` is sent as the body. Redirects are answers too.
function plainHttp({ origin, headers }) {
    return (method, path, { json, headers: more, ...options } = {}) =>
        fetch(`${origin}/v2/${path}`, {
            method,
            redirect: "manual",
            headers: { ...headers, ...(json === undefined ? {} : { "Content-Type": "application/json" }), ...more },
            ...(json === undefined ? {} : { body: JSON.stringify(json) }),
            ...options,
        });
}
