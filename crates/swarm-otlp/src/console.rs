//! Spans on standard output, for whoever looks without a collector: one JSON object per line.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, Status};
use opentelemetry::{Array, Value};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, Value as Json, json};

/// Writes them all. A reader that left is no reason to end.
pub(crate) fn print(spans: &[SpanData]) -> std::io::Result<()> {
    let mut text = String::new();
    for span in spans {
        text.push_str(&line(span).to_string());
        text.push('\n');
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn line(span: &SpanData) -> Json {
    let attributes: Map<String, Json> =
        span.attributes.iter().map(|one| (one.key.to_string(), value(&one.value))).collect();
    let parent = Some(span.parent_span_id).filter(|id| *id != SpanId::INVALID);
    let since =
        |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let (status, message) = match &span.status {
        Status::Unset => ("unset", ""),
        Status::Ok => ("ok", ""),
        Status::Error { description } => ("error", description.as_ref()),
    };
    json!({
        "trace_id": span.span_context.trace_id().to_string(),
        "span_id": span.span_context.span_id().to_string(),
        "parent_span_id": parent.map(|id| id.to_string()),
        "name": span.name,
        "kind": format!("{:?}", span.span_kind).to_lowercase(),
        "start": since(span.start_time),
        "seconds": took.as_secs_f64(),
        "status": status,
        "message": message,
        "attributes": attributes,
    })
}

fn value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::String(value) => json!(value.as_str()),
        Value::Array(Array::String(all)) => {
            all.iter().map(|one| Json::from(one.as_str())).collect()
        }
        other => json!(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::tests::span;

    #[test]
    fn a_span_is_a_line_of_json() {
        let line = line(&span("GET /info"));
        assert_eq!(line["name"], "GET /info");
        assert_eq!(line["kind"], "server");
        assert_eq!(line["trace_id"], "0000000000000000000000000000002a");
        assert_eq!(line["parent_span_id"], Json::Null);
        assert_eq!(line["seconds"], 0.5);
        assert_eq!(line["attributes"]["swarm.request"], 7);
        assert_eq!(line["attributes"]["swarm.placement.removals"][0], "health removed 1");
    }
}
