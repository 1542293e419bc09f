//! How quotes are described. The domain knows nothing of descriptions, so the forms of its inputs and
//! views stand here once more; a test compares them with what is really read and written.
#![allow(dead_code, reason = "descriptions of what the domain reads and writes")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{
    IntoParams, IntoResponses, ToSchema,
    openapi::{RefOr, response::Response},
};

use crate::http::openapi;

/// The parameter of the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct QuoteId {
    /// The quote: 1 to 128 characters, no control characters
    #[param(min_length = 1, max_length = 128, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    id: String,
}

/// The headers of a command.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct CommandHeaders {
    /// The same for every repeat: the command is then done once, and the answer to a repeat says so
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
    /// The version that the quote must have, in quotes; `*`: any
    #[param(rename = "If-Match", pattern = "^(\\*|\"[0-9]{1,15}\")$")]
    if_match: Option<String>,
    /// `*`: there must be no such quote
    #[param(rename = "If-None-Match", pattern = "^\\*$")]
    if_none_match: Option<String>,
    /// Who asks; unless it is given, the caller where access is controlled, and `api` elsewhere
    #[param(rename = "x-actor", min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    actor: Option<String>,
    /// Sees at least what another process has stored
    #[param(rename = "session-token")]
    session_token: Option<String>,
}

/// The headers of a read that knows what the client has.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct ReadHeaders {
    /// Answers 304 at this version, in quotes
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
    /// Sees at least what a write has stored
    #[param(rename = "session-token")]
    session_token: Option<String>,
}

/// The header of any other read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct TokenHeader {
    /// Sees at least what a write has stored
    #[param(rename = "session-token")]
    session_token: Option<String>,
}

/// From what a read of one quote is answered.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Fresh {
    /// From the events, which is current and costs more; otherwise from the read model, where there is one
    fresh: Option<bool>,
}

/// Which quotes, and in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParameters {
    /// Only quotes that stand there
    #[param(pattern = "^(absent|initiated|saved|finalized|approved|rejected|withdrawn|expired)$")]
    status: Option<String>,
    /// Only quotes of customers who live there: country and state, such as `IN-KA`; `-`: not known
    #[param(example = "IN-KA")]
    region: Option<String>,
    /// Only quotes for this product
    #[param(example = "health-family")]
    product: Option<String>,
    /// By what they are sorted, with `-` before it the newest first; `-changedAt` unless it is given
    #[param(pattern = "^-?(changedAt|initiatedAt)$")]
    sort: Option<String>,
}

/// Which days.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DayParameters {
    /// Only days from this one on
    #[param(format = "date", example = "2026-11-01")]
    from: Option<String>,
    /// Only days up to this one
    #[param(format = "date", example = "2026-11-30")]
    to: Option<String>,
}

/// The problems of a command.
pub(super) struct CommandProblems;

impl IntoResponses for CommandProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        openapi::problems(&[400, 403, 404, 408, 409, 412, 413, 415, 421, 422, 429, 500, 503, 507])
    }
}

/// The problem of reading a stream that is none of a quote.
pub(super) struct NotAQuote;

impl IntoResponses for NotAQuote {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let text = "The stream has an event that is not one of a quote";
        BTreeMap::from([("409".to_owned(), openapi::problem(text, &[]))])
    }
}

/// What a quote is asked for.
#[derive(ToSchema)]
#[schema(as = Initiate, rename_all = "camelCase")]
pub(super) struct InitiateBody {
    /// The id of the quote and of its stream; a new one unless it is given.
    #[schema(
        example = "q-1",
        min_length = 1,
        max_length = 128,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    quote_id: Option<String>,
    /// Which product.
    #[schema(example = "health-family", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    product: Option<String>,
    /// Where.
    #[schema(example = "web", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    channel: Option<String>,
}

/// Where the customer lives.
#[derive(ToSchema)]
#[schema(as = Geographic, rename_all = "camelCase")]
pub(super) struct GeographicBody {
    /// ISO 3166-1 alpha-2.
    #[schema(example = "IN", pattern = "^[A-Z]{2}$")]
    country: String,
    /// Required in AU, BR, CA, IN, JP and US.
    #[schema(example = "KA", min_length = 1, max_length = 100)]
    state: Option<String>,
    /// The city.
    #[schema(example = "Bengaluru", min_length = 1, max_length = 100)]
    city: String,
    /// In the shape of the country, and required where the country has postal codes.
    #[schema(example = "560001", min_length = 1, max_length = 12)]
    zip_code: Option<String>,
}

/// How to reach the customer.
#[derive(ToSchema)]
#[schema(as = Contact, rename_all = "camelCase")]
pub(super) struct ContactBody {
    /// The given name.
    #[schema(example = "Asha", min_length = 1, max_length = 100)]
    first_name: String,
    /// The family name.
    #[schema(example = "Rao", min_length = 1, max_length = 100)]
    last_name: String,
    /// An address of electronic mail.
    #[schema(
        example = "asha.rao@example.com",
        max_length = 254,
        pattern = "^[A-Za-z0-9]+([.+_-][A-Za-z0-9]+)*@[a-z0-9]+([.-][a-z0-9]+)*\\.[a-z]{2,}$"
    )]
    email: String,
    /// 7 to 15 digits, with `+` and the country's code or without.
    #[schema(example = "+91 98450 12345", pattern = "^\\+?[0-9 ().-]{7,32}$")]
    phone: String,
}

/// Who is insured besides the policy holder.
#[derive(ToSchema)]
#[schema(as = Family, rename_all = "camelCase")]
pub(super) struct FamilyBody {
    /// Everybody but the policy holder.
    #[schema(example = 3, maximum = 30)]
    dependants: u32,
    /// The children among them.
    #[schema(example = 2, maximum = 30)]
    children: u32,
    /// The age of each child; required where there are children.
    #[schema(example = json!([4, 9]), max_items = 30, maximum = 25)]
    child_ages: Option<Vec<u32>>,
}

/// What is saved.
#[derive(ToSchema)]
#[schema(as = Save, rename_all = "camelCase")]
pub(super) struct SaveBody {
    /// The page that it is saved on.
    #[schema(example = "summary", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    page: Option<String>,
}

/// What is offered.
#[derive(ToSchema)]
#[schema(as = Finalize, rename_all = "camelCase")]
pub(super) struct FinalizeBody {
    /// The sum insured, in whole units of the currency.
    #[schema(example = 500_000, maximum = 9_007_199_254_740_991_u64)]
    sum_insured: Option<u64>,
    /// What it costs.
    premium: Option<PremiumBody>,
}

/// What it costs.
#[derive(ToSchema)]
#[schema(as = Premium, rename_all = "camelCase")]
struct PremiumBody {
    /// In whole units of the currency.
    #[schema(example = 9_500, maximum = 9_007_199_254_740_991_u64)]
    amount: u64,
    /// ISO 4217.
    #[schema(example = "INR", pattern = "^[A-Z]{3}$")]
    currency: String,
    /// How long it pays for.
    #[schema(example = "year", pattern = "^(month|quarter|year)$")]
    period: String,
}

/// The policy.
#[derive(ToSchema)]
#[schema(as = Approve, rename_all = "camelCase")]
pub(super) struct ApproveBody {
    /// The number of the policy.
    #[schema(example = "P-100042", pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$")]
    policy_number: Option<String>,
}

/// Why.
#[derive(ToSchema)]
#[schema(as = Reject)]
pub(super) struct RejectBody {
    /// Why the insurer does not want it.
    #[schema(example = "outside of the service area", min_length = 1, max_length = 500)]
    reason: String,
}

/// Why.
#[derive(ToSchema)]
#[schema(as = Withdraw)]
pub(super) struct WithdrawBody {
    /// Why the customer does not want it.
    #[schema(example = "too expensive", min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// What became of a command.
#[derive(ToSchema)]
#[schema(as = CommandDone)]
pub(super) struct Done {
    /// `appended`: its events were stored by this request. `repeated`: by an earlier one. `nothing`: there
    /// was nothing to do.
    #[schema(pattern = "^(appended|repeated|nothing)$")]
    outcome: String,
    /// The sequence number of its first event.
    first: Option<u64>,
    /// The sequence number of its last event.
    last: Option<u64>,
    /// What a later read passes on as `after`, to see at least this; as in the header `receipt`.
    receipt: String,
    /// The quote as it is now.
    quote: QuoteSchema,
}

/// A quote.
#[derive(ToSchema)]
#[schema(as = Quote, rename_all = "camelCase")]
pub(super) struct QuoteSchema {
    /// Its id, and the id of its stream.
    quote_id: String,
    /// The sequence number of its last event.
    version: u64,
    /// Where it stands.
    #[schema(pattern = "^(initiated|saved|finalized|approved|rejected|withdrawn|expired)$")]
    status: String,
    /// Which product.
    product: Option<String>,
    /// Where it was asked for.
    channel: Option<String>,
    /// Where the customer lives.
    geographic: Option<Value>,
    /// How to reach the customer.
    contact: Option<Value>,
    /// Who is insured besides the policy holder.
    family: Option<Value>,
    /// What is offered, once it is finalized.
    offer: Option<Value>,
    /// The number of the policy.
    policy_number: Option<String>,
    /// Why it was rejected or withdrawn.
    reason: Option<String>,
    /// Whether details were set since the last save.
    has_unsaved_changes: bool,
    /// The sections without which it cannot be finalized.
    missing: Vec<String>,
    /// When it was initiated.
    #[schema(format = DateTime)]
    initiated_at: String,
    /// Who initiated it.
    initiated_by: String,
    /// When its last event happened.
    #[schema(format = DateTime)]
    changed_at: String,
    /// Who did that.
    changed_by: String,
}

/// Where a quote stands.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct QuoteStatus {
    /// Its id.
    quote_id: String,
    /// The sequence number of its last event.
    version: u64,
    /// Where it stands.
    status: String,
    /// The sections without which it cannot be finalized.
    missing: Vec<String>,
    /// What it would do now.
    actions: Vec<String>,
}

/// A page of what has happened to a quote.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct QuoteHistory {
    /// The quote.
    quote_id: String,
    /// What has happened, oldest first.
    entries: Vec<QuoteHistoryEntry>,
    /// Where the next page is; not there behind the last one.
    next: Option<String>,
}

/// Something that happened.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct QuoteHistoryEntry {
    /// Its place in the stream, from 1.
    sequence_number: u64,
    /// What happened.
    r#type: String,
    /// Who did it.
    by: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Where the quote stood before it.
    from_status: String,
    /// Where the quote stood behind it.
    to_status: String,
    /// In detail, where the answer is from the events; data of old versions is shown as of the current one.
    #[schema(required = false)]
    data: Value,
}

/// A page of quotes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct QuoteList {
    /// The quotes.
    quotes: Vec<QuoteListEntry>,
    /// Where the next page is; not there behind the last one.
    next: Option<String>,
}

/// A quote in a list.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct QuoteListEntry {
    /// Its id, and the id of its stream.
    quote_id: String,
    /// The sequence number of its last event.
    version: u64,
    /// Where it stands.
    status: String,
    /// Which product.
    product: Option<String>,
    /// Country and state; `-` as long as that is not known.
    region: String,
    /// When it was initiated.
    #[schema(format = DateTime)]
    initiated_at: String,
    /// When its last event happened.
    #[schema(format = DateTime)]
    changed_at: String,
}

/// A page of days.
#[derive(ToSchema)]
#[schema(as = QuoteDays, rename_all = "camelCase")]
pub(super) struct QuoteDaysSchema {
    /// What came of the quotes of a day and a region, oldest first.
    days: Vec<QuoteDay>,
    /// Where the next page is; not there behind the last one.
    next: Option<String>,
}

/// What came of the quotes of a day and a region.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct QuoteDay {
    /// The day on which the quotes were initiated, in UTC.
    #[schema(format = Date)]
    day: String,
    /// Country and state; `-` for quotes of which that is not known.
    region: String,
    /// How many quotes there are.
    quotes: u64,
    /// How many of them stand where, without those that are zero.
    statuses: BTreeMap<String, u64>,
    /// The part of them that became policies.
    #[schema(minimum = 0, maximum = 1)]
    conversion: f64,
    /// What the policies cost in a year, by currency, in whole units.
    premiums: BTreeMap<String, u64>,
    /// The policies whose premium is in no sum: above 1,000,000,000 a year, or not understood.
    premiums_not_added: u64,
}
