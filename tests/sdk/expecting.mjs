// What a refusal must look like, and ids.
import assert from "node:assert/strict";

export const UNKNOWN = "00000000-0000-4000-8000-000000000000";
export const MALFORMED = "not-a-uuid";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isUuid(value) {
    assert.match(value, UUID);
}

export function isDate(value) {
    assert.ok(value instanceof Date && !Number.isNaN(value.getTime()), `not a date: ${value}`);
}

// A call of the client that must end with this status and the one error body.
export async function refused(call, status, type) {
    const error = await failed(call);
    assert.equal(error.statusCode, status, `${error}`);
    isErrorBody(error.body, status, type, error.rawResponse.headers);
    return error;
}


export async function failed(call) {
    try {
        await call();
    } catch (error) {
        return error;
    }
    return assert.fail("the call succeeded");
}

// The same for an answer of fetch.
export async function isRefusal(answer, status, type) {
    const text = await answer.text();
    assert.equal(answer.status, status, text);
    isErrorBody(JSON.parse(text), status, type, answer.headers);
}

function isErrorBody(body, status, type, headers) {
    assert.equal(body.status, status);
    assert.equal(body.requestid, headers.get("x-request-id"));
    assert.equal(typeof body.detail, "string");
    assert.equal(typeof body.type, "string");
    if (type) assert.equal(body.type, type, body.detail);
    for (const problem of body.validationErrors ?? []) {
        for (const text of Object.values(problem)) assert.equal(typeof text, "string");
    }
}
