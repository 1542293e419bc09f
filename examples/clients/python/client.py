#!/usr/bin/env python3
"""A client of the event store in Python, with nothing but the standard library (3.9 or newer).

    python3 client.py [BASE_URL]

It books places on a tour, by streams and events, and takes a quote to its approval. What it shows:
requests that are repeated safely, reading page by page, and deciding again when somebody else was first.
"""

import http.client
import json
import os
import random
import sys
import time
import urllib.parse
import uuid

# A request is tried this often: with the waits below that is about 6 s, enough for a restart.
ATTEMPTS_MAX = 6
# The first wait. Each further one is twice as long, up to the second number.
WAIT_SECONDS, WAIT_SECONDS_MAX = 0.2, 5.0
# A service that wants a longer pause than this is not waited for.
RETRY_AFTER_SECONDS_MAX = 30
# Longer than the service takes for any request (35 s), so that its own answer is the one that is seen.
ANSWER_SECONDS_MAX = 40
# How often a decision is taken again because somebody else was first.
DECISIONS_MAX = 5


class Surprise(Exception):
    """An answer that this program has no plan for."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def expect(self, *statuses):
        if self.status not in statuses:
            raise Surprise(f"{self.status} {json.dumps(self.body)}")
        return self


class Client:
    def __init__(self, base_url):
        base = urllib.parse.urlsplit(base_url)
        is_tls = base.scheme == "https"
        self.connection_type = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
        self.place, self.path = base.netloc, base.path.rstrip("/")
        self.attempts = 0

    def request(self, method, path, body=None, headers=None):
        """Sends a request until there is an answer to it.

        Only 429 (throttled), 503 (try later, or outcome unknown) and lost connections are tried again. After
        a lost connection nobody knows whether the request was done, so it must be one that may be repeated:
        a read, an append with event ids of its own, or a command with an Idempotency-Key.
        """
        for attempt in range(1, ATTEMPTS_MAX + 1):
            self.attempts += 1
            asked_for = 0
            try:
                answer = self.send_once(method, path, body, headers or {})
                if answer.status not in (429, 503):
                    return answer
                problem = f"{answer.status} {json.dumps(answer.body)}"
                after = answer.headers.get("retry-after", "")
                asked_for = int(after) if after.isdigit() else 0
            except (OSError, http.client.HTTPException) as error:
                problem = f"no answer: {error!r}"
            if attempt == ATTEMPTS_MAX or asked_for > RETRY_AFTER_SECONDS_MAX:
                break
            wait = min(WAIT_SECONDS * 2 ** (attempt - 1), WAIT_SECONDS_MAX)
            # Not all clients at the same moment, and not earlier than the service asks for.
            time.sleep(max(wait * random.uniform(0.5, 1.0), asked_for))
        raise Surprise(f"{method} {path}: given up after {attempt} attempts: {problem}")

    def send_once(self, method, path, body, headers):
        connection = self.connection_type(self.place, timeout=ANSWER_SECONDS_MAX)
        try:
            if body is not None:
                headers = {**headers, "content-type": "application/json"}
                body = json.dumps(body)
            connection.request(method, self.path + path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, json.loads(response.read()))
        finally:
            connection.close()

    def append(self, stream, expected_version, events):
        """Appends events: 201 when they were stored now, 200 when an earlier attempt did."""
        body = {"expectedVersion": expected_version, "events": events}
        return self.request("POST", f"/streams/{urllib.parse.quote(stream, safe='')}/events", body)

    def read(self, stream, first=1):
        """All events of a stream from a number on. `next` leads from page to page, and the last has none."""
        path = f"/streams/{urllib.parse.quote(stream, safe='')}/events?from={first}&limit=2"
        while path:
            page = self.request("GET", path).expect(200).body
            yield from page["events"]
            path = page.get("next")

    def command(self, path, body=None, headers=None):
        """Has a command done once, however often it is sent: all attempts have the same key."""
        return self.request("POST", path, body, {"idempotency-key": str(uuid.uuid4()), **(headers or {})})


def new_event(kind, data):
    # The id is made once, before the first attempt: that is what makes the append repeatable.
    return {"eventId": str(uuid.uuid4()), "type": kind, "data": data}


class Tour:
    """What a booking is decided on: folded from the events of the stream."""

    def __init__(self):
        self.version, self.free = 0, 0

    def apply(self, event):
        self.version = event["sequenceNumber"]
        if event["type"] == "TourPlanned":
            self.free = event["data"]["places"]
        elif event["type"] == "PlacesBooked":
            self.free -= event["data"]["places"]


def book(client, stream, tour, name, wanted):
    """Books as many places as are free, at most those wanted. Another booking may be first."""
    for _ in range(DECISIONS_MAX):
        places = min(wanted, tour.free)
        if places == 0:
            raise Surprise("the tour is full")
        # Decided on this version: at any other one the store refuses it.
        events = [new_event("PlacesBooked", {"by": name, "places": places})]
        answer = client.append(stream, tour.version, events).expect(200, 201, 409)
        if answer.status != 409:
            return places
        problem = answer.body
        if problem["type"] != "/problems/conflict":
            raise Surprise(json.dumps(problem))
        # Nothing was stored. The problem has the events that won, so there is no need to read the stream.
        for event in problem["events"]:
            tour.apply(event)
        # Unless so many have won that not all are in it.
        for event in client.read(stream, tour.version + 1):
            tour.apply(event)
        print(f"   conflict: the tour is at version {tour.version}, {tour.free} places are free; decide again")
    raise Surprise(f"others were first {DECISIONS_MAX} times")


def book_a_tour(client):
    stream = f"tour-{uuid.uuid4()}"
    print(f"1. append to {stream}")
    events = [
        new_event("TourPlanned", {"places": 5}),
        new_event("PlacesBooked", {"by": "Asha", "places": 1}),
    ]
    before = client.attempts
    stored = client.append(stream, "noStream", events).expect(200, 201).body
    print(f"   {stored['outcome']}: events {stored['first']} to {stored['last']}, "
          f"attempts {client.attempts - before}")
    again = client.append(stream, "noStream", events).expect(200).body
    print(f"   the same once more: {again['outcome']}, events {again['first']} to {again['last']}")

    print("2. read")
    tour = Tour()
    for event in client.read(stream):
        tour.apply(event)
        print(f"   {event['sequenceNumber']} {event['type']} {json.dumps(event['data'])}")

    print("3. two want the last places")
    # Somebody else books three while we still look at version 2.
    other = [new_event("PlacesBooked", {"by": "Ben", "places": 3})]
    client.append(stream, tour.version, other).expect(200, 201)
    places = book(client, stream, tour, "Chen", 2)
    print(f"   booked: {places}")


def approve_a_quote(client):
    quote = f"quote-{uuid.uuid4()}"
    print(f"4. {quote} from its first page to its approval")
    client.command("/quotes", {"quoteId": quote, "product": "health-family"}).expect(200, 201)
    for section, details in [
        ("geographic", {"country": "IN", "state": "KA", "city": "Bengaluru", "zipCode": "560001"}),
        ("contact", {"firstName": "Asha", "lastName": "Rao", "email": "asha.rao@example.com",
                     "phone": "+91 98450 12345"}),
        ("family", {"dependants": 3, "children": 2, "childAges": [4, 9]}),
    ]:
        client.command(f"/quotes/{quote}/{section}", details).expect(200)
    offer = client.command(f"/quotes/{quote}/finalize", {"sumInsured": 500000}).expect(200)
    # Approves the offer that was seen and no other: the answer to the offer has its version as ETag. A
    # quote that has changed since answers 412; then read it and ask the customer again.
    seen = {"if-match": offer.headers["etag"]}
    done = client.command(f"/quotes/{quote}/approve", {"policyNumber": "P-100042"}, seen).expect(200).body
    print(f"   {done['quote']['status']} at version {done['quote']['version']}")


def main():
    base_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("COSMOS_ES_URL", "http://127.0.0.1:8080")
    client = Client(base_url)
    try:
        book_a_tour(client)
        approve_a_quote(client)
    except Surprise as surprise:
        sys.exit(f"client.py: {surprise}")  # exit code 1


if __name__ == "__main__":
    main()
