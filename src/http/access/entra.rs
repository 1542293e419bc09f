//! Access tokens of Microsoft Entra ID.
//!
//! - Accepted is what is signed with RS256 by a key of the tenant, by whatever else the header asks for. The
//!   keys come from the tenant's key set and from nowhere else.
//! - Every claim that is checked must be there: issuer, audience, tenant, expiry and begin, and an application
//!   that asked for the token, which is what tells an access token from a sign-in.
//! - It asks nobody about a single token, so one is good until it expires.

mod claims;
mod key_set;
mod options;
mod source;

use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};

use self::claims::Claims;
pub use self::options::EntraOptions;
use self::source::KeySource;
use super::{error::AccessError, principal::Caller, refusal::Refusal};

/// The only algorithm. Entra ID signs with no other, and one that the token chose could be a weaker one.
const ALGORITHM: Algorithm = Algorithm::RS256;

/// Checks tokens.
#[derive(Debug)]
pub(super) struct Entra {
    options: EntraOptions,
    validation: Validation,
    keys: KeySource,
}

impl Entra {
    pub(super) fn new(options: EntraOptions) -> Result<Self, AccessError> {
        let keys = KeySource::new(&options)?;
        let mut validation = Validation::new(ALGORITHM);
        validation.set_audience(&options.audiences);
        validation.set_issuer(&[&options.issuer]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf"]);
        // The library asks the machine for the time; here it comes from the clock, in `claims`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { options, validation, keys })
    }

    /// Who presents the token.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a request for the key set that has begun goes on with the next token.
    pub(super) async fn check(&self, token: &str) -> Result<Caller, Refusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Unreadable)?;
        if header.alg != ALGORITHM {
            return Err(Refusal::Algorithm);
        }
        let kid = header.kid.filter(|_| header.crit.is_none()).ok_or(Refusal::Header)?;
        let key = self.keys.key(&kid).await?;
        let token = jsonwebtoken::decode::<Claims>(token, &key, &self.validation);
        let claims = token.map_err(|error| refusal(&error))?.claims;
        claims.caller(&self.options)
    }
}

fn refusal(error: &jsonwebtoken::errors::Error) -> Refusal {
    match error.kind() {
        ErrorKind::InvalidSignature => Refusal::Signature,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::InvalidAlgorithm => Refusal::Algorithm,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => Refusal::Claims,
        _ => Refusal::Unreadable,
    }
}
