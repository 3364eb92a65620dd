//! Flags of traces.

use std::ffi::OsString;

use super::Misuse;
use crate::observe::otlp::{Sample, Settings, Unusable};

/// Where traces go.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Operations")]
pub(super) struct Otlp {
    /// The OpenTelemetry collector that takes traces over HTTP, like http://localhost:4318 [default: `OTEL_EXPORTER_OTLP_ENDPOINT`, else nowhere]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The part of boot requests that is traced, from 0 to 1, where the client sends no traceparent of its own
    #[arg(long, value_name = "PART", default_value = "0.01", value_parser = Sample::parse)]
    otlp_sample: Sample,
}

impl Otlp {
    /// Where traces go; `None` for nowhere. What is wrong with a variable is said in the log, and nothing is traced.
    pub(super) fn settings(
        &self,
        vars: &[(OsString, OsString)],
    ) -> Result<Option<Result<Settings, String>>, Misuse> {
        let variable = |name: &str| {
            let found = vars.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.to_string_lossy().into_owned())
        };
        match Settings::read(self.otlp_endpoint.as_deref(), self.otlp_sample, variable) {
            Ok(settings) => Ok(settings.map(Ok)),
            Err(Unusable::Variable(why)) => Ok(Some(Err(why))),
            Err(Unusable::Flag(why)) => Err(Misuse(format!("--otlp-endpoint: {why}"))),
        }
    }
}
