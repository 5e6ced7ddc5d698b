// The public tools beside which `benchmarks.backup` is measured, through the interface they document.
//
// node peers.cjs TOOL export|import PROJECT FILE     (in a folder where npm has installed TOOL; prints seconds)
const { createRequire } = require("node:module");
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const here = createRequire(join(process.cwd(), "peers.js"));
const [tool, action, projectId, file] = process.argv.slice(2);
// Each with the client that it was published with.
const own = createRequire(here.resolve(tool));

const tools = {
  "firestore-export-import": () => {
    const { initializeFirebaseApp, backups, restore } = here(tool);
    const db = initializeFirebaseApp(null);
    return { export: () => backups(db), import: (data) => restore(db, data) };
  },
  "node-firestore-import-export": () => {
    const { firestoreExport, firestoreImport } = here(tool);
    const admin = own("firebase-admin");
    admin.initializeApp({ projectId });
    const db = admin.firestore();
    return { export: () => firestoreExport(db), import: (data) => firestoreImport(data, db) };
  },
};

async function main() {
  const run = tools[tool]()[action];
  const data = action === "import" ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  const log = console.log;
  console.log = () => {};
  const begin = process.hrtime.bigint();
  const found = await run(data);
  if (action === "export") writeFileSync(file, JSON.stringify(found));
  log(Number(process.hrtime.bigint() - begin) / 1e9);
  process.exit(0);
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
