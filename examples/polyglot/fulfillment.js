// Fulfillment as a NATS micro service, by the book: docs/reference/README.md.

import { readFileSync } from "node:fs";
import { connect } from "nats";
import { Problem, Tariffs } from "./tariffs.js";

const MODULE = "fulfillment";
const GRACE_MILLISECONDS = 5_000;
const { env } = process;
const tariffs = new Tariffs(JSON.parse(readFileSync(new URL("tariffs.json", import.meta.url))));

// What it answers, and the types of the fields that nobody may leave out.
const money = { "total.amount": "number", "total.currency": "string" };
const operations = {
  rates: [(asked) => tariffs.rates(asked), { market: "string", country: "string", ...money }],
  methods: [({ market }) => tariffs.methods.filter((one) => !market || one.market === market), {}],
  method: [({ code }) => tariffs.method(code), { code: "string" }],
};

const connection = await connect({
  name: MODULE,
  servers: env.BANYAN_ENGINES_NATS,
  // Who we are is what the certificate says; only we hear what is sent to our inbox.
  tls: {
    caFile: env.BANYAN_NATS_CA,
    certFile: env.BANYAN_NATS_CERTIFICATE,
    keyFile: env.BANYAN_NATS_KEY,
  },
  inboxPrefix: `_INBOX_${MODULE}`,
  maxReconnectAttempts: -1,
});
const service = await connection.services.add({
  name: MODULE,
  version: "1.0.0",
  description: "The module fulfillment, in JavaScript",
  queue: MODULE, // Replicas, in whatever language, share the work.
  metadata: { process: MODULE, instance: `${MODULE}-node-${process.pid}` },
});
for (const [name, [answer, required]] of Object.entries(operations)) {
  service.addEndpoint(name, {
    subject: `banyan.call.${MODULE}.${name}`,
    metadata: { mark: "query" },
    handler: (_, message) => attend(`${MODULE}.${name}`, answer, required, message),
  });
}
await connection.flush();
tell({ event: "ready" });

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, leave);
const trouble = (await service.stopped) ?? (await connection.closed());
if (trouble) throw trouble;

/** Be found no longer, answer what was asked, and go; where NATS is away, soon all the same. */
async function leave() {
  setTimeout(process.exit, GRACE_MILLISECONDS).unref();
  await service.stop();
  await connection.drain();
}

function attend(operation, answer, required, message) {
  // Whoever asks wants the answer in an inbox; not with our rights to where others listen.
  if (!message.reply.startsWith("_INBOX")) return;
  const trace_id = message.headers?.get("traceparent").split("-")[1] ?? "";
  try {
    message.respond(JSON.stringify(answer(read(message.string() || "{}", required))));
    tell({ event: "answered", operation, trace_id });
  } catch (no) {
    const told = no instanceof Problem ? no : fault(trace_id, no);
    const { status, message: title, kind, fields } = told;
    message.respondError(status, title, JSON.stringify({ kind, fields }));
    tell({ event: "refused", operation, trace_id, kind });
  }
}

/** Read a request; fields that we do not know are for somebody newer. */
function read(text, required) {
  let asked;
  try {
    asked = JSON.parse(text);
  } catch (no) {
    throw malformed(no.message);
  }
  for (const [path, type] of Object.entries(required)) {
    const value = path.split(".").reduce((within, name) => within?.[name], asked);
    if (typeof value !== type) throw malformed(`Expected \`${type}\` - at \`$.${path}\``);
  }
  return asked;
}

function malformed(detail) {
  const title = "The request does not fit its schema; the reference of the contract shows it.";
  return new Problem("kernel.malformed", 400, title, { detail });
}

/** A defect of ours: whoever asks learns by which trace the log knows it, and nothing else. */
function fault(trace_id, defect) {
  tell({ event: "fault", trace_id, error: defect.stack });
  return new Problem("kernel.fault", 500, "A fault of ours", { trace_id });
}

function tell(what) {
  console.log(JSON.stringify({ timestamp: new Date().toISOString(), ...what }));
}
