//! The figures behind `/metrics`.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, from far below to far above what a request takes.
const DURATION_BUCKETS_S: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The registry that everything counted through the `metrics` crate goes to.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes the registry of this process. Fails when there is one already.
    pub fn start() -> Result<Metrics, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS_S)?
            .install_recorder()?;
        Ok(Metrics { handle })
    }

    /// Sorts what was measured since the last call into its buckets; without it, it is kept value by value.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// All figures in the text form of Prometheus.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}
