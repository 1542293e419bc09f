//! Whether a program can run where function apps run: Linux, with a C library that may be older.

/// How a Linux program begins.
const MAGIC: &[u8] = b"\x7fELF";
/// Where the header says of how many bits an address is, and what stands there for 64.
const CLASS: (usize, u8) = (4, 2);
/// Where it says which byte of a number is first, and what stands there for the lowest.
const ORDER: (usize, u8) = (5, 1);
/// The part of a program that names its loader: only a program that is linked at run time has one.
const INTERPRETER: u64 = 3;
/// The most parts that are looked at.
const PARTS_MAX: u64 = 1024;

/// What should be known of a program before it is deployed.
pub(super) fn warning(program: &[u8]) -> Option<&'static str> {
    if !program.starts_with(MAGIC) {
        return Some("is no Linux program: a function app cannot run it");
    }
    let has = |(place, value): (usize, u8)| program.get(place) == Some(&value);
    if !has(CLASS) || !has(ORDER) {
        return Some("is no Linux program for 64-bit machines: a function app cannot run it");
    }
    match is_static(program) {
        Some(true) => None,
        Some(false) => Some(
            "is linked at run time: it needs a C library as new as the one here, which a function app may not have",
        ),
        None => Some("is damaged"),
    }
}

fn is_static(program: &[u8]) -> Option<bool> {
    let number = |place: u64, bytes: u64| -> Option<u64> {
        let begin = usize::try_from(place).ok()?;
        let end = usize::try_from(place.checked_add(bytes)?).ok()?;
        let digits = program.get(begin..end)?;
        Some(digits.iter().rev().fold(0, |value, digit| (value << 8) | u64::from(*digit)))
    };
    let (parts, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count.min(PARTS_MAX) {
        let place = parts.checked_add(index.checked_mul(size)?)?;
        if number(place, 4)? == INTERPRETER {
            return Some(false);
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(parts: &[u8]) -> Vec<u8> {
        let mut program = vec![0; 64];
        program[..4].copy_from_slice(MAGIC);
        (program[CLASS.0], program[ORDER.0]) = (CLASS.1, ORDER.1);
        (program[32], program[54], program[56]) = (64, 56, u8::try_from(parts.len()).unwrap());
        for part in parts {
            program.push(*part);
            program.extend([0; 55]);
        }
        program
    }

    #[test]
    fn programs_that_a_function_app_may_not_run_are_told() {
        assert_eq!(warning(&program(&[6, 1, 1])), None);
        assert!(warning(&program(&[6, 3, 1])).unwrap().contains("run time"));
        assert!(warning(b"MZ").unwrap().contains("no Linux program"));
        assert!(warning(b"\x7fELF\x01\x01").unwrap().contains("64-bit"));
        assert_eq!(warning(&program(&[6, 1])[..100]), Some("is damaged"));
        assert_eq!(warning(&program(&[])[..50]), Some("is damaged"));
    }
}
