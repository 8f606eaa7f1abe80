// usage: node verify.mjs 1.root.json 2.root.json …
// Walks a roster chain with @tufjs/models: each version signed by the threshold of the version
// before and of its own. Says how far it came as one JSON object; exit code 1 where a step fails.
import { readFileSync } from "node:fs";
import { Metadata, MetadataKind } from "@tufjs/models";

let trusted;
let failed = null;
for (const path of process.argv.slice(2)) {
  try {
    const root = Metadata.fromJSON(MetadataKind.Root, JSON.parse(readFileSync(path, "utf8")));
    if (trusted) {
      if (root.signed.version !== trusted.signed.version + 1) throw new Error("not the next version");
      trusted.verifyDelegate("root", root);
    }
    root.verifyDelegate("root", root);
    trusted = root;
  } catch (error) {
    failed = String(error.message);
    break;
  }
}
const facts = trusted?.signed.unrecognizedFields?.["x-hash-federation"] ?? { members: [] };
console.log(
  JSON.stringify({
    version: trusted?.signed.version ?? 0,
    members: facts.members.map((member) => member.name),
    failed,
  }),
);
process.exit(failed ? 1 : 0);
