/**
 * A client of the event store in TypeScript: `fetch`, and nothing else at run time.
 *
 *     npm ci && npm run build && npm start -- [BASE_URL]
 *
 * It books places on a tour, by streams and events, and takes a quote to its approval. What it shows:
 * requests that are repeated safely, reading page by page, and deciding again when somebody else was first.
 */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

/** A request is tried this often: with the waits below that is about 6 s, enough for a restart. */
const ATTEMPTS_MAX = 6;
/** The first wait. Each further one is twice as long, up to the second number. */
const WAIT_MS = 200;
const WAIT_MS_MAX = 5_000;
/** A service that wants a longer pause than this is not waited for. */
const RETRY_AFTER_MS_MAX = 30_000;
/** Longer than the service takes for any request (35 s), so that its own answer is the one that is seen. */
const ANSWER_MS_MAX = 40_000;
/** How often a decision is taken again because somebody else was first. */
const DECISIONS_MAX = 5;

interface NewEvent {
  readonly eventId: string;
  readonly type: string;
  readonly data: unknown;
}

/** What is needed here of an event; there is more, see /openapi.json. */
interface RecordedEvent {
  readonly sequenceNumber: number;
  readonly type: string;
  readonly data: unknown;
}

interface Page {
  readonly events: readonly RecordedEvent[];
  /** The path of the next page; the last one has none. */
  readonly next?: string;
}

interface Receipt {
  readonly outcome: "appended" | "repeated";
  readonly first: number;
  readonly last: number;
}

/** The body of a 409 whose type is /problems/conflict. */
interface Conflict {
  readonly type: string;
  readonly events: readonly RecordedEvent[];
}

interface Done {
  readonly quote: { readonly status: string; readonly version: number };
}

/** An answer that this program has no plan for. */
class Surprise extends Error {}

class Answer {
  constructor(
    readonly status: number,
    readonly headers: Headers,
    readonly body: unknown,
  ) {}

  /** The body. Its form is the one that /openapi.json promises for these statuses. */
  expect<T>(...statuses: number[]): T {
    if (!statuses.includes(this.status)) {
      throw new Surprise(`${this.status} ${JSON.stringify(this.body)}`);
    }
    return this.body as T;
  }
}

class Client {
  attempts = 0;

  constructor(private readonly baseUrl: string) {}

  /**
   * Sends a request until there is an answer to it.
   *
   * Only 429 (throttled), 503 (try later, or outcome unknown) and lost connections are tried again. After a
   * lost connection nobody knows whether the request was done, so it must be one that may be repeated: a
   * read, an append with event ids of its own, or a command with an Idempotency-Key.
   */
  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    let problem = "";
    let attempt = 0;
    while (attempt < ATTEMPTS_MAX) {
      attempt += 1;
      this.attempts += 1;
      let askedFor = 0;
      try {
        const answer = await this.sendOnce(method, path, body, headers);
        if (answer.status !== 429 && answer.status !== 503) return answer;
        problem = `${answer.status} ${JSON.stringify(answer.body)}`;
        const after = answer.headers.get("retry-after") ?? "";
        askedFor = /^\d+$/.test(after) ? Number(after) * 1_000 : 0;
      } catch (error) {
        // The connection was lost, or the time is up. `fetch` has the reason in `cause`.
        problem = `no answer: ${error instanceof Error ? (error.cause ?? error) : error}`;
      }
      if (attempt === ATTEMPTS_MAX || askedFor > RETRY_AFTER_MS_MAX) break;
      const wait = Math.min(WAIT_MS * 2 ** (attempt - 1), WAIT_MS_MAX);
      // Not all clients at the same moment, and not earlier than the service asks for.
      await sleep(Math.max(wait * (0.5 + Math.random() / 2), askedFor));
    }
    throw new Surprise(`${method} ${path}: given up after ${attempt} attempts: ${problem}`);
  }

  private async sendOnce(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Answer> {
    const request: RequestInit = { method, headers, signal: AbortSignal.timeout(ANSWER_MS_MAX) };
    if (body !== undefined) {
      request.headers = { ...headers, "content-type": "application/json" };
      request.body = JSON.stringify(body);
    }
    const response = await fetch(this.baseUrl + path, request);
    return new Answer(response.status, response.headers, await response.json());
  }

  /** Appends events: 201 when they were stored now, 200 when an earlier attempt did. */
  append(stream: string, expectedVersion: number | "noStream", events: NewEvent[]): Promise<Answer> {
    return this.request("POST", `/streams/${encodeURIComponent(stream)}/events`, { expectedVersion, events });
  }

  /** All events of a stream from a number on, page by page. */
  async *read(stream: string, first = 1): AsyncGenerator<RecordedEvent> {
    let path: string | undefined = `/streams/${encodeURIComponent(stream)}/events?from=${first}&limit=2`;
    while (path !== undefined) {
      const page: Page = (await this.request("GET", path)).expect<Page>(200);
      yield* page.events;
      path = page.next;
    }
  }

  /** Has a command done once, however often it is sent: all attempts have the same key. */
  command(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.request("POST", path, body, { "idempotency-key": randomUUID(), ...headers });
  }
}

function newEvent(type: string, data: unknown): NewEvent {
  // The id is made once, before the first attempt: that is what makes the append repeatable.
  return { eventId: randomUUID(), type, data };
}

/** What a booking is decided on: folded from the events of the stream. */
class Tour {
  version = 0;
  free = 0;

  apply(event: RecordedEvent): void {
    this.version = event.sequenceNumber;
    const { places } = event.data as { places: number };
    if (event.type === "TourPlanned") this.free = places;
    else if (event.type === "PlacesBooked") this.free -= places;
  }
}

/** Books as many places as are free, at most those wanted. Another booking may be first. */
async function book(client: Client, stream: string, tour: Tour, by: string, wanted: number): Promise<number> {
  for (let decision = 0; decision < DECISIONS_MAX; decision += 1) {
    const places = Math.min(wanted, tour.free);
    if (places === 0) throw new Surprise("the tour is full");
    // Decided on this version: at any other one the store refuses it.
    const events = [newEvent("PlacesBooked", { by, places })];
    const answer = await client.append(stream, tour.version, events);
    const problem = answer.expect<Conflict>(200, 201, 409);
    if (answer.status !== 409) return places;
    if (problem.type !== "/problems/conflict") throw new Surprise(JSON.stringify(problem));
    // Nothing was stored. The problem has the events that won, so there is no need to read the stream.
    for (const event of problem.events) tour.apply(event);
    // Unless so many have won that not all are in it.
    for await (const event of client.read(stream, tour.version + 1)) tour.apply(event);
    console.log(`   conflict: the tour is at version ${tour.version}, ${tour.free} places are free; decide again`);
  }
  throw new Surprise(`others were first ${DECISIONS_MAX} times`);
}

async function bookATour(client: Client): Promise<void> {
  const stream = `tour-${randomUUID()}`;
  console.log(`1. append to ${stream}`);
  const events = [newEvent("TourPlanned", { places: 5 }), newEvent("PlacesBooked", { by: "Asha", places: 1 })];
  const before = client.attempts;
  const stored = (await client.append(stream, "noStream", events)).expect<Receipt>(200, 201);
  const attempts = client.attempts - before;
  console.log(`   ${stored.outcome}: events ${stored.first} to ${stored.last}, attempts ${attempts}`);
  const again = (await client.append(stream, "noStream", events)).expect<Receipt>(200);
  console.log(`   the same once more: ${again.outcome}, events ${again.first} to ${again.last}`);

  console.log("2. read");
  const tour = new Tour();
  for await (const event of client.read(stream)) {
    tour.apply(event);
    console.log(`   ${event.sequenceNumber} ${event.type} ${JSON.stringify(event.data)}`);
  }

  console.log("3. two want the last places");
  // Somebody else books three while we still look at version 2.
  const other = [newEvent("PlacesBooked", { by: "Ben", places: 3 })];
  (await client.append(stream, tour.version, other)).expect<Receipt>(200, 201);
  const places = await book(client, stream, tour, "Chen", 2);
  console.log(`   booked: ${places}`);
}

async function approveAQuote(client: Client): Promise<void> {
  const quote = `quote-${randomUUID()}`;
  console.log(`4. ${quote} from its first page to its approval`);
  (await client.command("/quotes", { quoteId: quote, product: "health-family" })).expect<Done>(200, 201);
  const sections = {
    geographic: { country: "IN", state: "KA", city: "Bengaluru", zipCode: "560001" },
    contact: { firstName: "Asha", lastName: "Rao", email: "asha.rao@example.com", phone: "+91 98450 12345" },
    family: { dependants: 3, children: 2, childAges: [4, 9] },
  };
  for (const [section, details] of Object.entries(sections)) {
    (await client.command(`/quotes/${quote}/${section}`, details)).expect<Done>(200);
  }
  const offer = await client.command(`/quotes/${quote}/finalize`, { sumInsured: 500_000 });
  offer.expect<Done>(200);
  // Approves the offer that was seen and no other: the answer to the offer has its version as ETag. A quote
  // that has changed since answers 412; then read it and ask the customer again.
  const seen = { "if-match": offer.headers.get("etag") ?? "" };
  const policy = { policyNumber: "P-100042" };
  const done = (await client.command(`/quotes/${quote}/approve`, policy, seen)).expect<Done>(200);
  console.log(`   ${done.quote.status} at version ${done.quote.version}`);
}

const baseUrl = process.argv[2] ?? process.env["COSMOS_ES_URL"] ?? "http://127.0.0.1:8080";
const client = new Client(baseUrl.replace(/\/+$/, ""));
try {
  await bookATour(client);
  await approveAQuote(client);
} catch (error) {
  console.error(`client.mjs: ${error instanceof Surprise ? error.message : (error as Error).stack}`);
  process.exitCode = 1;
}
