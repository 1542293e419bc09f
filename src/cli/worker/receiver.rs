//! Who gets the events, where it is not standard output.

use std::{fmt, sync::Arc};

use reqwest::Url;

use super::{
    counting::Counting,
    posting::{self, Posting},
};
use crate::{
    cli::CliError,
    feed::{Handler, ProcessorOptions},
};

/// What may be given in place of one.
pub(in crate::cli) const EXPECTED: &str = "an http(s) URL without user, password and #";

/// Who gets the events.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli) enum Receiver {
    /// Nobody: they are counted.
    Count,
    /// Whoever answers there.
    Url(Url),
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.shown()).finish()
    }
}

impl Receiver {
    /// Reads where events go; nothing where it is neither word nor URL.
    pub(in crate::cli) fn parse(text: &str) -> Option<Self> {
        if text == "count" {
            return Some(Self::Count);
        }
        let url: Url = text.parse().ok()?;
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        (is_plain && is_http).then_some(Self::Url(url))
    }

    /// For people and logs: without what may be a secret.
    pub(in crate::cli) fn shown(&self) -> String {
        match self {
            Self::Count => "count".to_owned(),
            Self::Url(url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.to_string()
            }
        }
    }

    /// The options of a host that delivers here. The URL is not its name: those of two workers may differ
    /// by a secret.
    pub(in crate::cli) fn options(&self, instance: &str) -> ProcessorOptions {
        let options = ProcessorOptions::new(instance);
        match self {
            Self::Count => options.with_handler_name("count"),
            Self::Url(_) => options
                .with_handler_name("url")
                .with_attempts(posting::ATTEMPTS_MAX, posting::ATTEMPT_TIME_MAX),
        }
    }

    /// The handler of a host that delivers here.
    pub(in crate::cli) fn handler(
        &self,
        counting: &Arc<Counting>,
    ) -> Result<Arc<dyn Handler>, CliError> {
        match self {
            Self::Count => {
                let counting = Arc::clone(counting);
                Ok(counting)
            }
            Self::Url(url) => Ok(Arc::new(Posting::new(url.clone())?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_a_word_or_a_url_and_show_no_secret() {
        let shown = |text: &str| Receiver::parse(text).map(|receiver| receiver.shown());
        assert_eq!(shown("count").as_deref(), Some("count"));
        assert_eq!(shown("http://a:1/b?code=x").as_deref(), Some("http://a:1/b"));
        let debug = format!("{:?}", Receiver::parse("http://a:1/b?code=x"));
        assert!(debug.contains("a:1/b") && !debug.contains("code"), "{debug}");
        for wrong in ["", "none", "file:///x", "http://u:p@a/", "http://u@a/", "a:1", "http://a/#b"]
        {
            assert_eq!(Receiver::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_url_is_not_kept_with_the_processor() {
        let options = Receiver::parse("http://a:1/b?code=x").unwrap().options("a");
        assert_eq!(options.handler_name.as_deref(), Some("url"));
        assert_eq!(options.check(), Ok(()));
    }
}
