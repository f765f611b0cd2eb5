//! Which span is which: ids that every process derives alike.

use gofarm_proto::ActionKey;

/// A span's place: its trace and its own id.
///
/// The trace of a build is the build's id, so whoever knows the build finds the trace. The ids of its own span and of those
/// of its actions are derived, so that any replica can name the parent of a span that another process makes:
///
/// - a build: the first 8 bytes of BLAKE3 of the build id (16 bytes, big endian);
/// - an action of it: the first 8 bytes of BLAKE3 of the build id and the action key (32 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The build's id. 0 is none: nothing is sent about it.
    pub trace: u128,
    /// Unique in the trace.
    pub span: u64,
}

/// A text that is no W3C traceparent of version 00.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a traceparent: {0:?} (expected 00-TRACE-SPAN-FLAGS with 32, 16 and 2 hexadecimal digits)"
)]
pub struct BadTraceparent(pub String);

impl Place {
    /// The span of a build.
    pub fn of_build(build: u128) -> Place {
        Place {
            trace: build,
            span: first_half(&build.to_be_bytes(), &[]),
        }
    }

    /// The span of an action of a build.
    pub fn of_action(build: u128, key: &ActionKey) -> Place {
        Place {
            trace: build,
            span: first_half(&build.to_be_bytes(), &key.0),
        }
    }

    /// As a W3C `traceparent`.
    pub fn traceparent(self, sampled: bool) -> String {
        let Place { trace, span } = self;
        format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled))
    }

    /// Reads a W3C `traceparent`: the place, and whether spans below it are wanted.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<(Place, bool), BadTraceparent> {
        let digits = |part: &str, count| {
            part.len() == count && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let parts: Vec<&str> = text.split('-').collect();
        let read = match parts[..] {
            ["00", trace, span, flags]
                if digits(trace, 32) && digits(span, 16) && digits(flags, 2) =>
            {
                let trace = u128::from_str_radix(trace, 16).ok();
                let span = u64::from_str_radix(span, 16).ok();
                let flags = u8::from_str_radix(flags, 16).ok();
                trace.zip(span).zip(flags)
            }
            _ => None,
        };
        let ((trace, span), flags) = read.ok_or_else(|| BadTraceparent(text.to_owned()))?;
        Ok((Place { trace, span }, flags & 1 == 1))
    }
}

fn first_half(build: &[u8], key: &[u8]) -> u64 {
    let hash = blake3::Hasher::new().update(build).update(key).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_process_finds_the_same_place() {
        let (build, key) = (0x5b0d_6c3e << 96 | 7, ActionKey([9; 32]));
        let place = Place::of_action(build, &key);
        let bytes: Vec<u8> = [&build.to_be_bytes()[..], &[9; 32]].concat();
        assert_eq!(
            format!("{:016x}", place.span),
            blake3::hash(&bytes).to_hex()[..16]
        );
        assert_ne!(place, Place::of_action(build + 1, &key));
        assert_ne!(place.span, Place::of_build(build).span);
        for sampled in [true, false] {
            let text = place.traceparent(sampled);
            assert!(text.starts_with("00-5b0d6c3e000000000000000000000007-"));
            assert_eq!(Place::parse(&text), Ok((place, sampled)));
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let good = Place::of_build(1).traceparent(true);
        for bad in [
            "",
            "00",
            &good[3..],
            &good.replace("00-", "01-"),
            &format!("{good}-0"),
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
        assert!(Place::parse(&good.replace('1', "+")).is_err());
    }
}
