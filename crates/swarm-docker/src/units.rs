//! Amounts in the words that Docker and classic Swarm show them in.

/// Whole CPUs without a fraction, as classic prints them; parts of one with what is needed.
pub fn cpus(nano: i64) -> String {
    let whole = nano / 1_000_000_000;
    match nano % 1_000_000_000 {
        0 => whole.to_string(),
        part => {
            let part = format!("{part:09}");
            format!("{whole}.{}", part.trim_end_matches('0'))
        }
    }
}

/// Docker's `BytesSize`: four significant digits, binary units.
pub fn bytes(bytes: i64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = match size {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{size:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_in_docker() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1 << 30), "1 GiB");
        assert_eq!(bytes(25_290_452_992), "23.55 GiB");
        assert_eq!(bytes(1_100 << 20), "1.074 GiB");
    }

    #[test]
    fn cpus_are_whole_where_they_can_be() {
        assert_eq!(cpus(2_000_000_000), "2");
        assert_eq!(cpus(1_250_000_000), "1.25");
        assert_eq!(cpus(0), "0");
    }
}
