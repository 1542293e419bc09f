/**
 * A view of all events, built in TypeScript from the feed of the event store: `fetch`, and nothing else at run
 * time.
 *
 *     npm ci && npm run build && npm run feed -- [--once] [--page N] STATE_FILE [BASE_URL]
 *
 * The view counts the events of each type and knows the last event of each stream. It follows the feed until it
 * is stopped, or with `--once` until it has all that is stored. It may be killed at any time and started again:
 * it loses nothing and counts nothing twice, because the view and the place in the feed are one file, which is
 * replaced as a whole. One process at a time may work on a file.
 */

import { open, readFile, rename } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

/** A request is tried this often: with the waits below that is about 6 s, enough for a restart. */
const ATTEMPTS_MAX = 6;
/** The first wait. Each further one is twice as long, up to the second number. */
const WAIT_MS = 200;
const WAIT_MS_MAX = 5_000;
/** A service that wants a longer pause than this is not waited for. */
const RETRY_AFTER_MS_MAX = 30_000;
/** How long the service waits for something new before it says that there is nothing. */
const FOLLOW_S = 20;
/** Longer than the service takes for any request (35 s), so that its own answer is the one that is seen. */
const ANSWER_MS_MAX = 40_000;

/** What is needed here of an event; there is more, see /openapi.json. */
interface RecordedEvent {
  readonly stream: string;
  readonly sequenceNumber: number;
  readonly eventId: string;
  readonly type: string;
}

interface Feed {
  readonly events: readonly RecordedEvent[];
  /** The token that lies exactly behind these events. */
  readonly after: string;
  readonly caughtUp: boolean;
}

/** What the file has: the view, and behind which events it is. */
interface State {
  after?: string;
  events: number;
  types: Record<string, number>;
  streams: Record<string, { sequenceNumber: number; eventId: string; type: string }>;
}

/** An answer, or a file, that this program has no plan for. */
class Surprise extends Error {}

/** Folds an event into the view. This is the part that is yours. */
function apply(state: State, event: RecordedEvent): void {
  const { stream, sequenceNumber, eventId, type } = event;
  // Streams have no gap and the feed keeps their order, so a reader can tell that it has missed nothing.
  const expected = (state.streams[stream]?.sequenceNumber ?? 0) + 1;
  if (sequenceNumber !== expected) {
    throw new Surprise(`event ${sequenceNumber} of ${stream} came in place of ${expected}`);
  }
  state.events += 1;
  state.types[type] = (state.types[type] ?? 0) + 1;
  state.streams[stream] = { sequenceNumber, eventId, type };
}

async function load(path: string): Promise<State> {
  try {
    const state = JSON.parse(await readFile(path, "utf8")) as State;
    // Names come from outside: without a prototype none of them means anything here.
    const plain = <T extends object>(names: T): T => Object.assign(Object.create(null) as T, names);
    return { ...state, types: plain(state.types), streams: plain(state.streams) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { events: 0, types: Object.create(null), streams: Object.create(null) };
  }
}

/** Replaces the file: whoever is killed here leaves the old state or the new one, and never a part of one. */
async function save(path: string, state: State): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(JSON.stringify(state));
    // On the disk before it takes the place of the old one, or a power failure could leave neither.
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Reads a page. A read may be repeated after everything: 429, 503, and a lost connection. */
async function read(url: string): Promise<Feed> {
  let problem = "";
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    let askedFor = 0;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
      const body: unknown = await response.json();
      if (response.ok) return body as Feed;
      problem = `${response.status} ${JSON.stringify(body)}`;
      if (response.status !== 429 && response.status !== 503) throw new Surprise(problem);
      const after = response.headers.get("retry-after") ?? "";
      askedFor = /^\d+$/.test(after) ? Number(after) * 1_000 : 0;
    } catch (error) {
      if (error instanceof Surprise) throw error;
      // The connection was lost, or the time is up. `fetch` has the reason in `cause`.
      problem = `no answer: ${error instanceof Error ? (error.cause ?? error) : error}`;
    }
    if (attempt === ATTEMPTS_MAX || askedFor > RETRY_AFTER_MS_MAX) break;
    const wait = Math.min(WAIT_MS * 2 ** (attempt - 1), WAIT_MS_MAX);
    // Not all clients at the same moment, and not earlier than the service asks for.
    await sleep(Math.max(wait * (0.5 + Math.random() / 2), askedFor));
  }
  throw new Surprise(`given up: ${problem}`);
}

async function follow(baseUrl: string, path: string, limit: number, once: boolean): Promise<void> {
  const state = await load(path);
  for (;;) {
    const query = new URLSearchParams({ limit: String(limit), wait: String(once ? 0 : FOLLOW_S) });
    if (state.after !== undefined) query.set("after", state.after);
    const page = await read(`${baseUrl}/feed?${query}`);
    for (const event of page.events) apply(state, event);
    if (page.events.length > 0) {
      // The view and the token of the same page, in one step.
      state.after = page.after;
      await save(path, state);
    }
    if (once && page.caughtUp) break;
  }
  console.log(`${state.events} events of ${Object.keys(state.streams).length} streams`);
  for (const [type, count] of Object.entries(state.types).sort()) console.log(`   ${type} ${count}`);
}

try {
  const options = { once: { type: "boolean", default: false }, page: { type: "string", default: "100" } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [path, address] = positionals;
  if (path === undefined || positionals.length > 2) {
    throw new Surprise("usage: feed.mjs [--once] [--page N] STATE_FILE [BASE_URL]");
  }
  const baseUrl = address ?? process.env["COSMOS_ES_URL"] ?? "http://127.0.0.1:8080";
  await follow(baseUrl.replace(/\/+$/, ""), path, Number(values.page), values.once);
} catch (error) {
  console.error(`feed.mjs: ${error instanceof Surprise ? error.message : (error as Error).stack}`);
  process.exitCode = 1;
}
