// Drives a served API with one version of the official client: `node journey.mjs SETTINGS`, where SETTINGS is JSON
// `{sdk, origin, clients: {tenant: {clientId, clientSecret}}, clip, song}`; clip is a short WAV of two channels, song any Ogg.
import { access } from "./access.mjs";
import { documents } from "./documents.mjs";
import { facts } from "./facts.mjs";
import { interactions } from "./interactions.mjs";
import { plain } from "./plain.mjs";
import { recordings } from "./recordings.mjs";
import { refusals } from "./refusals.mjs";
import { streaming } from "./streaming.mjs";
import { templates } from "./templates.mjs";
import { transcripts } from "./transcripts.mjs";
import { openWorld } from "./world.mjs";

const world = await openWorld(JSON.parse(process.argv[2]));
const parts = [access, interactions, recordings, transcripts, templates, documents, facts, refusals, plain, streaming];
for (const part of parts) await part(world);
process.exit(0);
