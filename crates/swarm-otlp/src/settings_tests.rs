//! What variables say, and what is refused.

use super::*;

fn read(set: &[(&str, &str)]) -> Result<Option<Settings>, Wrong> {
    let get = |name: &str| {
        set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    Settings::read(&get, vec![("service.name", "swarm".into()), ("service.version", "1".into())])
}

fn on(set: &[(&str, &str)]) -> Settings {
    let exporter = [("OTEL_TRACES_EXPORTER", "otlp")];
    read(&[&exporter, set].concat()).unwrap().unwrap()
}

fn endpoint_of(settings: &Settings) -> &str {
    settings.describe()
}

#[test]
fn nothing_is_on_until_an_exporter_or_an_endpoint_is_named() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    for off in [
        &[][..],
        &[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "always_on")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[endpoint, ("OTEL_SDK_DISABLED", "True")],
        &[endpoint, ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        assert!(read(off).unwrap().is_none(), "{off:?}");
    }
    let usual = on(&[("OTEL_SDK_DISABLED", "false")]);
    assert_eq!(endpoint_of(&usual), "http://localhost:4318/v1/traces");
    let Target::Collector(usual_collector) = &usual.target else { panic!("{usual:?}") };
    assert_eq!(usual_collector.timeout, Duration::from_secs(10));
    assert_eq!(usual.propagators, [Propagator::TraceContext, Propagator::Baggage]);
    let batch = Batch {
        delay: Duration::from_secs(5),
        patience: Duration::from_secs(30),
        queue: 2048,
        size: 512,
    };
    assert_eq!(usual.batch, batch);
    assert_eq!(format!("{:?}", usual.sampler), "ParentBased(AlwaysOn)");
    let console = read(&[("OTEL_TRACES_EXPORTER", "console")]).unwrap().unwrap();
    assert_eq!(console.target, Target::Console);
}

#[test]
fn what_is_for_traces_comes_before_what_is_for_all() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1/base/");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:2/in");
    assert_eq!(endpoint_of(&on(&[all])), "https://c:1/base/v1/traces");
    let both = on(&[
        all,
        own,
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20s3cret"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ]);
    assert_eq!(endpoint_of(&both), "http://t:2/in");
    assert!(!format!("{both:?}").contains("s3cret"), "tokens are not shown");
    let Target::Collector(collector) = both.target else { panic!("no collector") };
    assert_eq!(collector.headers.value, [("authorization".into(), "Bearer s3cret".into())]);
    assert_eq!(collector.headers.variable, "OTEL_EXPORTER_OTLP_TRACES_HEADERS");
    assert_eq!((collector.timeout, collector.gzip), (Duration::from_millis(2), true));
    // Some put their key there: it is sent, and not shown.
    let with_key = on(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/in?api_key=s3cret")]);
    assert_eq!(endpoint_of(&with_key), "https://t/in");
    assert!(!format!("{with_key:?}").contains("s3cret"));
    let Target::Collector(collector) = with_key.target else { panic!("no collector") };
    assert_eq!(collector.endpoint, "https://t/in?api_key=s3cret");
}

#[test]
fn a_process_is_what_the_variables_say_it_is() {
    let said = |set: &[(&str, &str)]| {
        let mut all: Vec<_> =
            on(set).resource.iter().map(|one| format!("{}={}", one.key, one.value)).collect();
        all.sort_unstable();
        all.join(" ")
    };
    assert_eq!(said(&[]), "service.name=swarm service.version=1");
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment=b%20c");
    assert_eq!(said(&[attributes]), "deployment=b c service.name=a service.version=1");
    let service = ("OTEL_SERVICE_NAME", "d");
    assert_eq!(said(&[attributes, service]), "deployment=b c service.name=d service.version=1");
}

#[test]
fn samplers_are_those_of_the_specification() {
    let sampler = |name, arg| {
        let set = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)];
        format!("{:?}", on(&set).sampler)
    };
    assert_eq!(sampler("always_on", ""), "AlwaysOn");
    assert_eq!(sampler("always_off", ""), "AlwaysOff");
    assert_eq!(sampler("traceidratio", "0.25"), "TraceIdRatioBased(0.25)");
    assert_eq!(sampler("traceidratio", ""), "TraceIdRatioBased(1.0)");
    assert_eq!(sampler("parentbased_always_off", ""), "ParentBased(AlwaysOff)");
    assert_eq!(sampler("parentbased_traceidratio", "0"), "ParentBased(TraceIdRatioBased(0.0))");
    let none = on(&[("OTEL_PROPAGATORS", "none")]);
    assert_eq!(none.propagators, []);
}

#[test]
fn what_cannot_be_is_refused_in_words_that_name_the_variable() {
    for (name, value, words) in [
        ("OTEL_SDK_DISABLED", "yes", "neither true nor false"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "expected otlp, console or none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf is"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "http/protobuf is"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317", "is no http://HOST:PORT"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@c", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole number"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip or none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "entry 1"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem", "give OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/k.pem", "OTLP_CLIENT_CERTIFICATE, too"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c?key=s3cret", "OTLP_TRACES_ENDPOINT, which"),
        ("OTEL_TRACES_SAMPLER", "xray", "after parentbased_"),
        ("OTEL_PROPAGATORS", "b3", "tracecontext and baggage"),
        ("OTEL_PROPAGATORS", "none,baggage", "none alone"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "entry 1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "1 to 262144"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "whole number"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "OTEL_BSP_MAX_QUEUE_SIZE, which is 2048"),
    ] {
        let exporter = ("OTEL_TRACES_EXPORTER", "otlp");
        let error = read(&[(name, value), exporter]).unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains(words), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let ratio = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    let error = read(&ratio).unwrap_err().to_string();
    assert!(error.starts_with("OTEL_TRACES_SAMPLER_ARG: \"2\" is no share"), "{error}");
    let small = on(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10")]);
    assert_eq!((small.batch.queue, small.batch.size), (10, 10));
}
