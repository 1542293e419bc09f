#!/usr/bin/env bash
# A client of the event store with bash and curl (7.71 or newer); no jq.
#
#   ./client.sh [BASE_URL]
#
# It books places on a tour, by streams and events, and takes a quote to its approval. What it shows:
# requests that are repeated safely, reading page by page, and deciding again when somebody else was first.
set -euo pipefail

base="${1:-${COSMOS_ES_URL:-http://127.0.0.1:8080}}"
base="${base%/}"
# How often a decision is taken again because somebody else was first.
decisions_max=5

place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT

surprise() {
    echo "client.sh: $*" >&2
    exit 1
}

new_id() {
    if [ -r /proc/sys/kernel/random/uuid ]; then cat /proc/sys/kernel/random/uuid; else uuidgen; fi
}

# Sends a request until there is an answer to it: sets `status` and leaves the answer in two files.
#
# curl tries again, after 1, 2, 4 ... seconds or when Retry-After says, for 429, 503 and some others, and
# with --retry-all-errors after lost connections too. After those nobody knows whether the request was done, so it
# must be one that may be repeated: a read, an append with event ids of its own, or a command with an
# Idempotency-Key. --max-time is longer than the service takes for any request (35 s).
request() {
    local method=$1 path=$2
    shift 2
    local report
    report="$(curl --silent --show-error --request "$method" "$base$path" "$@" \
        --retry 5 --retry-all-errors --retry-max-time 60 --max-time 40 \
        --dump-header "$place/headers" --output "$place/body" --write-out '%{http_code}' \
        2>"$place/complaints")" || surprise "$method $path: given up: $(tail -n 1 "$place/complaints")"
    status="$report"
}

# Ends the program unless the status is one of these.
expect() {
    case " $* " in
    *" $status "*) ;;
    *) surprise "$status $(cat "$place/body")" ;;
    esac
}

# The value of a member of the answer that is a number or a plain text. In texts from users quotes are escaped,
# so nothing in there is taken for a member; for members of members take jq.
member() {
    grep -oE "\"$1\":(\"[^\"]*\"|[0-9]+)" "$place/body" | head -n 1 | cut -d : -f 2- | tr -d '"'
}

# The value of a header of the answer.
header() {
    grep -i "^$1:" "$place/headers" | tail -n 1 | cut -d : -f 2- | tr -d ' \r'
}

json=(--header 'content-type: application/json')

# Appends events: 201 when they were stored now, 200 when an earlier attempt did.
append() {
    local stream=$1 expected_version=$2 events=$3
    request POST "/streams/$stream/events" "${json[@]}" \
        --data "{\"expectedVersion\":$expected_version,\"events\":[$events]}"
}

# The id is made once, before the first attempt: that is what makes the append repeatable.
new_event() {
    printf '{"eventId":"%s","type":"%s","data":%s}' "$(new_id)" "$1" "$2"
}

# Folds the events of the last answer into what a booking is decided on: `version` and `free`. Each event has its
# number, its type and the places in it, in this order.
version=0 free=0
apply() {
    local found number type='' places
    while IFS= read -r found; do
        case $found in
        '"sequenceNumber":'*) number="${found##*:}" ;;
        '"type":'*) type="$(cut -d '"' -f 4 <<<"$found")" ;;
        '"places":'*)
            places="${found##*:}"
            version=$number
            if [ "$type" = TourPlanned ]; then free=$places; else free=$((free - places)); fi
            if [ "${1:-}" = aloud ]; then echo "   $number $type places: $places"; fi
            ;;
        esac
    done < <(grep -oE '"sequenceNumber":[0-9]+|"type":"[A-Z][A-Za-z]*"|"places":[0-9]+' "$place/body")
}

# Reads on behind `version`, page by page: `next` is the path of the next page, and the last one has none.
read_on() {
    local path="/streams/$1/events?from=$((version + 1))&limit=2"
    while [ -n "$path" ]; do
        request GET "$path"
        expect 200
        apply "${2:-}"
        path="$(member next || true)"
    done
}

# Books as many places as are free, at most those wanted. Another booking may be first.
book() {
    local stream=$1 name=$2 wanted=$3 decision places
    for ((decision = 0; decision < decisions_max; decision++)); do
        places=$((wanted < free ? wanted : free))
        [ "$places" -gt 0 ] || surprise 'the tour is full'
        # Decided on this version: at any other one the store refuses it.
        append "$stream" "$version" "$(new_event PlacesBooked "{\"by\":\"$name\",\"places\":$places}")"
        expect 200 201 409
        if [ "$status" != 409 ]; then
            echo "   booked: $places"
            return
        fi
        [ "$(member type)" = /problems/conflict ] || surprise "$(cat "$place/body")"
        # Nothing was stored. The problem has the events that won, so there is no need to read the stream,
        # unless so many have won that not all are in it.
        apply
        read_on "$stream"
        echo "   conflict: the tour is at version $version, $free places are free; decide again"
    done
    surprise "others were first $decisions_max times"
}

# Has a command done once, however often it is sent: all attempts have the same key.
give() {
    local path=$1 body=$2
    shift 2
    request POST "$path" "${json[@]}" --header "idempotency-key: $(new_id)" --data "$body" "$@"
}

tour="tour-$(new_id)"
echo "1. append to $tour"
events="$(new_event TourPlanned '{"places":5}'),$(new_event PlacesBooked '{"by":"Asha","places":1}')"
append "$tour" '"noStream"' "$events"
expect 200 201
echo "   $(member outcome): events $(member first) to $(member last)"
append "$tour" '"noStream"' "$events"
expect 200
echo "   the same once more: $(member outcome), events $(member first) to $(member last)"

echo '2. read'
read_on "$tour" aloud

echo '3. two want the last places'
# Somebody else books three while we still look at version 2.
append "$tour" "$version" "$(new_event PlacesBooked '{"by":"Ben","places":3}')"
expect 200 201
book "$tour" Chen 2

quote="quote-$(new_id)"
echo "4. $quote from its first page to its approval"
give /quotes "{\"quoteId\":\"$quote\",\"product\":\"health-family\"}"
expect 200 201
give "/quotes/$quote/geographic" '{"country":"IN","state":"KA","city":"Bengaluru","zipCode":"560001"}'
expect 200
give "/quotes/$quote/contact" '{"firstName":"Asha","lastName":"Rao",
    "email":"asha.rao@example.com","phone":"+91 98450 12345"}'
expect 200
give "/quotes/$quote/family" '{"dependants":3,"children":2,"childAges":[4,9]}'
expect 200
give "/quotes/$quote/finalize" '{"sumInsured":500000}'
expect 200
# Approves the offer that was seen and no other: the answer to the offer has its version as ETag. A quote that
# has changed since answers 412; then read it and ask the customer again.
give "/quotes/$quote/approve" '{"policyNumber":"P-100042"}' --header "if-match: $(header etag)"
expect 200
echo "   $(member status) at version $(member version)"
