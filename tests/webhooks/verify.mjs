// Verifies messages with the reference library for JavaScript: each with each secret, and a changed copy of it.
//
// Reads {"messages": [{"headers", "body"}], "secrets": []} from stdin; prints "<n> accepted, <n> refused".

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Webhook } = createRequire(`${process.env.NODE_PATH}/`)("standardwebhooks");

const cases = JSON.parse(readFileSync(0, "utf8"));
let accepted = 0;
let refused = 0;
for (const { headers, body } of cases.messages) {
  for (const secret of cases.secrets) {
    new Webhook(secret).verify(body, headers);
    accepted += 1;
    try {
      new Webhook(secret).verify(`${body} `, headers);
    } catch {
      refused += 1;
    }
  }
}
console.log(`${accepted} accepted, ${refused} refused`);
