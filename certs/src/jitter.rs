//! Deterministic spreading: the same name always gets the same point of a span, so that neither a restart nor a second
//! look moves a plan, and names that share a moment drift apart.

use std::time::Duration;

use names::Subject;

/// A point in `[0, span)` that depends on `name` and `purpose` alone.
pub(crate) fn jitter(name: &Subject, purpose: &str, span: Duration) -> Duration {
    // FNV-1a, then a finalizer: stable across versions of the standard library, unlike its hashers.
    let bytes = name.as_str().bytes().chain(purpose.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    span.mul_f64((hash >> 11) as f64 / (1_u64 << 53) as f64)
}

/// Timestamps as milliseconds in stored documents.
pub(crate) mod millis {
    use clock::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(at.as_millis())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(from).map(Timestamp::from_millis)
    }
}

/// Lists of them.
pub(crate) mod millis_list {
    use clock::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(list: &[Timestamp], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|at| at.as_millis()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Timestamp>, D::Error> {
        Ok(Vec::<u64>::deserialize(from)?.into_iter().map(Timestamp::from_millis).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_point_and_names_spread_evenly() {
        let span = Duration::from_secs(1000);
        let points: Vec<_> =
            (0..1000).map(|i| jitter(&format!("host{i}.example").parse().unwrap(), "renew", span)).collect();
        assert!(points.iter().all(|point| *point < span));
        let mean = points.iter().sum::<Duration>() / 1000;
        assert!((450..550).contains(&mean.as_secs()), "{mean:?}");
        let name: Subject = "host1.example".parse().unwrap();
        assert_eq!(jitter(&name, "renew", span), points[1]);
        assert_ne!(jitter(&name, "backoff", span), points[1]);
    }
}
