//! The trace that something belongs to, as the W3C recommendation "Trace Context" writes it down.
//!
//! A context is whole and valid, or there is none: what cannot be read is left out and never repeated. It names
//! a trace and says nothing else, so it may be logged; `tracestate`, which vendors put things into, may not.

use std::fmt;

/// The longest `tracestate` that is kept, in characters. The recommendation asks for 512 at least; it is stored with
/// every event.
pub const TRACESTATE_CHARS_MAX: usize = 512;
/// The most members of a `tracestate`.
const MEMBERS_MAX: usize = 32;
/// The longest name or value of a member, in characters.
const MEMBER_CHARS_MAX: usize = 256;
/// The characters of a `traceparent` of the version that is written: `00-` trace, `-` span, `-` flags.
const CHARS: usize = 55;
/// The version that is written.
const VERSION: &str = "00";
/// The version that there will never be.
const VERSION_INVALID: &str = "ff";

/// The context of a trace: a checked `traceparent`, with its `tracestate`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    traceparent: String,
    tracestate: Option<String>,
}

impl TraceContext {
    /// Reads a `traceparent`; nothing where it is not valid. One of a later version is read as far as this version
    /// goes, and written as one of this version.
    pub fn parse(traceparent: &str) -> Option<Self> {
        // All that follows counts bytes, which are characters then.
        if !traceparent.is_ascii() {
            return None;
        }
        let (known, more) = traceparent.split_at_checked(CHARS)?;
        let mut parts = known.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_whole = is_hex(version, 2)
            && is_hex(trace, 32)
            && is_hex(span, 16)
            && is_hex(flags, 2)
            && parts.next().is_none();
        let may_be_longer = version != VERSION && more.starts_with('-');
        let is_valid = is_whole
            && version != VERSION_INVALID
            && (more.is_empty() || may_be_longer)
            && [trace, span].iter().all(|id| id.bytes().any(|digit| digit != b'0'));
        let traceparent = format!("{VERSION}-{trace}-{span}-{flags}");
        is_valid.then_some(Self { traceparent, tracestate: None })
    }

    /// Adds a `tracestate`. One that is malformed or longer than [`TRACESTATE_CHARS_MAX`] is left out, and the
    /// context stays valid.
    #[must_use]
    pub fn with_state(mut self, tracestate: Option<&str>) -> Self {
        self.tracestate =
            tracestate.map(str::trim).filter(|state| is_state(state)).map(str::to_owned);
        self
    }

    /// The `traceparent`: 55 characters.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The `tracestate`, where there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// The name of the trace: 32 digits.
    pub fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }

    /// The name of the span in it: 16 digits.
    pub fn span_id(&self) -> &str {
        self.traceparent.get(36..52).unwrap_or_default()
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext").field(&self.traceparent).finish()
    }
}

/// Whether a text is so many hexadecimal digits in lower case.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a `tracestate` has members, each once, and each well-formed.
fn is_state(state: &str) -> bool {
    if state.len() > TRACESTATE_CHARS_MAX {
        return false;
    }
    let members =
        || state.split(',').map(|one| one.trim_matches([' ', '\t'])).filter(|one| !one.is_empty());
    let is_once = |(at, member): (usize, &str)| {
        let name = |member: &str| member.split_once('=').map(|(name, _)| name.to_owned());
        members().take(at).all(|other| name(other) != name(member))
    };
    (1..=MEMBERS_MAX).contains(&members().count())
        && members().all(is_member)
        && members().enumerate().all(is_once)
}

/// Whether a member is a name, an equals sign and a value.
fn is_member(member: &str) -> bool {
    let Some((name, value)) = member.split_once('=') else { return false };
    let begins = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let goes_on = |byte: u8| begins(byte) || b"_-*/@".contains(&byte);
    (1..=MEMBER_CHARS_MAX).contains(&name.len())
        && name.bytes().next().is_some_and(begins)
        && name.bytes().all(goes_on)
        && (1..=MEMBER_CHARS_MAX).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b",=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn of(version: &str, trace: &str, span: &str, rest: &str) -> Option<TraceContext> {
        TraceContext::parse(&format!("{version}-{trace}-{span}-{rest}"))
    }

    #[test]
    fn a_context_is_passed_on_as_it_came() {
        for flags in ["00", "01", "03"] {
            let context = of("00", TRACE, SPAN, flags).unwrap();
            assert_eq!(context.traceparent(), format!("00-{TRACE}-{SPAN}-{flags}"));
            assert_eq!((context.trace_id(), context.span_id()), (TRACE, SPAN));
        }
        // Of a later version what this one knows.
        for rest in ["01", "01-", "01-more"] {
            let context = of("cc", TRACE, SPAN, rest).unwrap();
            assert_eq!(context.traceparent(), format!("00-{TRACE}-{SPAN}-01"));
        }
    }

    #[test]
    fn what_is_not_valid_is_no_context() {
        let upper = TRACE.to_uppercase();
        let (zero_trace, zero_span) = ("0".repeat(32), "0".repeat(16));
        for (version, trace, span, rest) in [
            ("ff", TRACE, SPAN, "01"),
            ("0", TRACE, SPAN, "01"),
            ("0g", TRACE, SPAN, "01"),
            ("00", &upper, SPAN, "01"),
            ("00", &zero_trace, SPAN, "01"),
            ("00", TRACE, &zero_span, "01"),
            ("00", &TRACE[1..], SPAN, "01"),
            ("00", &TRACE[1..], SPAN, "011"),
            ("00", TRACE, &SPAN[1..], "01"),
            ("00", TRACE, SPAN, "1"),
            ("00", TRACE, SPAN, "1-"),
            ("00", TRACE, SPAN, "01-"),
            ("00", TRACE, SPAN, "01-more"),
            ("00", TRACE, SPAN, "01 "),
            ("cc", TRACE, SPAN, "01more"),
            ("00", TRACE, "b7ad6b71692033\u{e4}", "01"),
        ] {
            assert_eq!(of(version, trace, span, rest), None, "{version} {trace} {span} {rest}");
        }
        for text in
            ["", "00", "-", " ", "\u{1f600}", &"-".repeat(55), &format!(" 00-{TRACE}-{SPAN}-01")]
        {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_state_is_kept_whole_or_not_at_all() {
        let context = || of("00", TRACE, SPAN, "01").unwrap();
        let kept = |state: &str| context().with_state(Some(state)).tracestate().map(str::to_owned);
        let (name, value) = ("n".repeat(256), "v".repeat(255));
        for fine in [
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "a=b, c=d ,\te=f",
            "a=1,,b=2",
            "0tenant@system=x y!",
            &format!("{name}=v"),
            &format!("n={value}~"),
        ] {
            assert_eq!(kept(fine).as_deref(), Some(fine));
        }
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=v")).collect();
        let long = format!("{}={value},{}={value}", "a".repeat(2), "b".repeat(2));
        assert!(long.len() > TRACESTATE_CHARS_MAX, "{}", long.len());
        for wrong in [
            "",
            ",",
            "a",
            "a=",
            "=a",
            "A=b",
            "a=b,a=c",
            "a=b=c",
            "a b=c",
            "a=\u{e4}",
            "a=b\nc",
            "_a=b",
            &many.join(","),
            &long,
            &format!("{name}n=v"),
            &format!("n={value}vv"),
        ] {
            assert_eq!(kept(wrong), None, "{wrong:?}");
        }
        assert_eq!(context().with_state(None), context());
        assert!(!format!("{:?}", context().with_state(Some("a=secret"))).contains("secret"));
    }
}
