//! How durations are written in JSON: as seconds.

use std::time::Duration;

/// Rounded to milliseconds.
pub(crate) fn rounded<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// As precisely as they were measured.
pub(crate) fn exact<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
