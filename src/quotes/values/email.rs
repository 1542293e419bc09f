//! Addresses of electronic mail.

use super::text_form;
use crate::quotes::problem::ValueProblem;

/// The limits of RFC 5321, in bytes: the part before the `@`, a label of the domain, and all of it.
const LOCAL_MAX: usize = 64;
const LABEL_MAX: usize = 63;
const ADDRESS_MAX: usize = 254;

/// An address of electronic mail: a dot-atom, an `@`, and a domain of at least two labels. At most 64
/// characters before the `@` and 254 in all. Quoted local parts and addresses outside of ASCII are
/// not taken; a domain of another script is written in its `xn--` form.
///
/// The domain is kept in lower case, what is before the `@` as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Checks the address.
    ///
    /// # Errors
    ///
    /// [`ValueProblem::Email`].
    pub fn new(address: &str) -> Result<Self, ValueProblem> {
        check(address).map(Self).map_err(ValueProblem::Email)
    }
}

fn check(address: &str) -> Result<String, &'static str> {
    if address.len() > ADDRESS_MAX {
        return Err("it has at most 254 characters");
    }
    let (local, domain) = address.rsplit_once('@').ok_or("it has an @")?;
    if local.contains('@') {
        return Err("it has one @");
    }
    if local.len() > LOCAL_MAX {
        return Err("it has at most 64 characters before the @");
    }
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atom_text);
    if !local.split('.').all(is_atom) {
        return Err("before the @ stand letters, digits and some signs, with single dots between");
    }
    if !domain.contains('.') || !domain.split('.').all(is_label) {
        return Err("behind the @ stands a domain, for example example.com");
    }
    let top = domain.rsplit('.').next().unwrap_or_default();
    if top.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a domain does not end with a number");
    }
    Ok(format!("{local}@{}", domain.to_ascii_lowercase()))
}

/// `atext` of RFC 5322.
fn is_atom_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

text_form!(Email);
hidden_debug!(Email);
