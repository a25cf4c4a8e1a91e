// One JSON line for each check. A check fails when it throws, and when a warning was written meanwhile: the client never
// rejects a wrong shape, it warns "Failed to validate" and hands the raw value on.
import { inspect } from "node:util";

let warnings = [];
console.warn = console.error = (...words) => warnings.push(words.map(String).join(" "));

export async function check(name, body) {
    warnings = [];
    const failures = [];
    try {
        await body();
    } catch (error) {
        failures.push(told(error));
    }
    failures.push(...warnings);
    say({ name, ok: failures.length === 0, detail: failures.join("\n") });
}

// The warnings since the check began; what was looked at does not fail it.
export function warningsUntilNow() {
    const seen = warnings;
    warnings = [];
    return seen;
}

process.on("unhandledRejection", (error) =>
    say({ name: "nothing is left unhandled", ok: false, detail: inspect(error) }),
);

// The message, and where in the journey it was.
function told(error) {
    if (typeof error?.message !== "string") return inspect(error);
    const place = `${error.stack}`.split("\n").find((line) => /\/sdk\/[a-z]+\.mjs/.test(line)) ?? "";
    return `${error.message}\n${place.trim()}`;
}

function say(line) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
}
