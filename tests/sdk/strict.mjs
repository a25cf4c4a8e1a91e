// The client warns about a value of a wrong type, and is silent about a key that is missing and a value that its
// enumeration lacks. Its own schemas know: each answer is read a second time, strictly, and what they find is a warning.
export async function strictly(sdk) {
    for (const schema of schemasIn(await import(`${sdk}/serialization`))) {
        const tolerant = schema.parseOrThrow;
        schema.parseOrThrow = (answer, options) => {
            const strict = { ...options, skipValidation: false, allowUnrecognizedEnumValues: false, allowUnrecognizedUnionMembers: false };
            const read = schema.parse(answer, strict);
            if (!read.ok) console.warn(["Not what its types say.", ...read.errors.map(({ path, message }) => `${path.join(".")}: ${message}`)].join("\n"));
            return tolerant(answer, options);
        };
    }
}

// Those of the module and of its resources.
function schemasIn(module) {
    const found = Object.values(module).filter((value) => value !== null && typeof value === "object");
    const schemas = found.filter((value) => typeof value.parseOrThrow === "function");
    const resources = found.filter((value) => value[Symbol.toStringTag] === "Module");
    return new Set([...schemas, ...resources.flatMap((resource) => [...schemasIn(resource)])]);
}
