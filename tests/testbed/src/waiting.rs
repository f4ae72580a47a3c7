//! Deadlines.

use std::sync::LazyLock;
use std::time::Duration;

static SCALE: LazyLock<f64> = LazyLock::new(|| {
    std::env::var("DMUC_TEST_TIMEOUT_SCALE")
        .ok()
        .and_then(|v| v.parse::<f64>().ok())
        .filter(|v| v.is_finite() && *v > 0.0)
        .unwrap_or(1.0)
});

/// How long to wait for something that should happen at once: ten seconds, times `DMUC_TEST_TIMEOUT_SCALE`.
pub fn deadline() -> Duration {
    scaled(Duration::from_secs(10))
}

/// A duration times `DMUC_TEST_TIMEOUT_SCALE`.
pub fn scaled(duration: Duration) -> Duration {
    duration.mul_f64(*SCALE)
}
