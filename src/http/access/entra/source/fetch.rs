//! One request for the key set, bounded in bytes and time.

use std::time::Duration;

use reqwest::{Client, Url, redirect::Policy};
use thiserror::Error;
use uuid::Uuid;

use super::super::{
    EntraOptions,
    key_set::{self, KeySet},
};
use crate::http::{access::error::AccessError, limits::KEY_SET_BYTES_MAX};

/// How to fetch the key set.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    client: Client,
    url: Url,
    tenant: Uuid,
    time_max: Duration,
}

/// Why there is no key set. None of it is secret: keys of signatures are public.
#[derive(Debug, Error)]
enum FetchError {
    #[error("the key set cannot be fetched")]
    Request(#[from] reqwest::Error),
    #[error("the key set was answered with the status {0}")]
    Status(u16),
    #[error("the key set has more than {KEY_SET_BYTES_MAX} bytes")]
    TooLarge,
    #[error("what was fetched is no key set with a signing key of the tenant")]
    Form,
}

impl Fetch {
    pub(super) fn new(options: &EntraOptions) -> Result<Self, AccessError> {
        let is_local = options.keys_url.scheme() == "http";
        let mut client = Client::builder()
            // Where the keys come from is for the settings to say, not for an answer.
            .redirect(Policy::none())
            .https_only(!is_local)
            .timeout(options.keys_time_max);
        if is_local {
            client = client.no_proxy();
        }
        Ok(Self {
            client: client.build().map_err(AccessError::Client)?,
            url: options.keys_url.clone(),
            tenant: options.tenant,
            time_max: options.keys_time_max,
        })
    }

    /// How long it may take.
    pub(super) const fn time_max(&self) -> Duration {
        self.time_max
    }

    /// The key set; nothing when it cannot be had, which is logged.
    pub(super) async fn key_set(self) -> Option<KeySet> {
        match self.request().await {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "the signing keys of the tenant were fetched");
                Some(keys)
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, source, "no signing keys of the tenant");
                None
            }
        }
    }

    async fn request(&self) -> Result<KeySet, FetchError> {
        let mut answer = self.client.get(self.url.clone()).send().await?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if text.len().saturating_add(chunk.len()) > KEY_SET_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            text.extend_from_slice(&chunk);
        }
        key_set::parse(&text, self.tenant).ok_or(FetchError::Form)
    }
}
