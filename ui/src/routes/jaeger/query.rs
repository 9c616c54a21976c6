//! Jaeger's search form as a query of spans.
//!
//! What a client sends becomes a quoted value or an escaped name, whatever it holds: it cannot end its
//! clause and begin another.

use super::form::Search;
use super::span::NO_SERVICE_NAME;

/// The text that finds the spans which the form asks for.
pub(super) fn text(search: &Search) -> String {
    let mut clauses = vec![match search.service.as_str() {
        NO_SERVICE_NAME => "-_exists_:service".to_owned(),
        service => clause("service", service),
    }];
    clauses.extend(
        search
            .operation
            .as_deref()
            .map(|name| clause("operation", name)),
    );
    clauses.extend(search.min_ns.map(|ns| format!("duration:>={ns}ns")));
    clauses.extend(search.max_ns.map(|ns| format!("duration:<={ns}ns")));
    clauses.extend(search.tags.iter().map(|(key, value)| tag(key, value)));
    clauses.join(" ")
}

/// A tag is one of the span, of its process or of one of its logs. Those that Jaeger makes out of a span's
/// own fields are looked for in these, besides.
fn tag(key: &str, value: &str) -> String {
    match (key, value) {
        ("error", "true") => any(["status:error".to_owned(), attribute("error", value)]),
        // Nobody sets it; it is written to mean the spans without an error.
        ("error", "false") => "-status:error".to_owned(),
        ("span.kind", _) => clause("kind", value),
        ("otel.status_code", _) => clause("status", value),
        ("otel.status_description", _) => clause("status_message", value),
        ("otel.scope.name" | "otel.library.name", _) => attribute("scope.name", value),
        ("otel.scope.version" | "otel.library.version", _) => attribute("scope.version", value),
        ("event", _) => any([clause("events.name", value), attribute("event", value)]),
        _ => any([
            attribute(key, value),
            attribute(&format!("resource.{key}"), value),
            clause(&format!("events.{}", escaped(key)), value),
        ]),
    }
}

fn any<const N: usize>(clauses: [String; N]) -> String {
    format!("({})", clauses.join(" OR "))
}

/// By its long name, which no field of the span's own can be taken for.
fn attribute(name: &str, value: &str) -> String {
    clause(&format!("attributes.{}", escaped(name)), value)
}

/// `name` is one of the language's own, or escaped.
fn clause(name: &str, value: &str) -> String {
    format!("{name}:{}", quoted(value))
}

fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Letters and digits of all scripts are a name's as they are; a backslash before them would stay there.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if !c.is_alphanumeric() {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use logboom_query::{Clause, Expr, Field, SPANS, SpanField, Test, parse_in};

    use super::*;

    const HOSTILE: [&str; 14] = [
        "plain",
        "GET /cart?a=1&b=*",
        "a \"quoted\" one",
        r"back\slash\",
        r#"\" OR *"#,
        "x) OR (service:*",
        "a | stats count()",
        "/regex.*/",
        "[1 TO 5]",
        ">=5",
        "AND",
        "两个 词",
        "line\nbreak\ttab",
        "{}'`$@!#%^&;:,<>~",
    ];

    fn search(service: &str) -> Search {
        Search {
            service: service.to_owned(),
            operation: None,
            tags: Vec::new(),
            min_ns: None,
            max_ns: None,
            from_ns: 0,
            to_ns: 1,
            limit: 1,
        }
    }

    fn parsed(text: &str) -> Expr {
        let query = parse_in(text, Some(SPANS)).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(query.pipes.is_empty() && query.index.is_none(), "{text}");
        query.expr
    }

    fn exact(expr: &Expr) -> (&Field, &str) {
        match expr {
            Expr::Clause(Clause {
                field,
                test: Test::Exact(exact),
                ..
            }) => (field, exact.texts().next().unwrap()),
            other => panic!("{other:?} is no exact clause"),
        }
    }

    #[test]
    fn any_value_stays_the_value_of_its_clause() {
        for value in HOSTILE {
            let expr = parsed(&text(&search(value)));
            assert_eq!(
                exact(&expr),
                (&Field::Service, value.to_lowercase().as_str())
            );
        }
    }

    #[test]
    fn any_key_stays_the_name_of_its_clause() {
        for key in HOSTILE.into_iter().chain([
            "service",
            "duration",
            "events.name",
            "a.b",
            "_exists_",
            "index",
        ]) {
            let expr = parsed(&tag(key, "v"));
            let Expr::Or(alternatives) = &expr else {
                panic!("{key}: {expr:?}")
            };
            let fields: Vec<&Field> = alternatives.iter().map(|one| exact(one).0).collect();
            let expected = [
                Field::Attribute(key.to_owned()),
                Field::Attribute(format!("resource.{key}")),
                Field::Span(SpanField::Event(key.to_owned())),
            ];
            assert_eq!(fields, expected.iter().collect::<Vec<_>>(), "{key}");
        }
    }

    #[test]
    fn the_whole_form_is_one_query() {
        let mut form = search("cart");
        form.operation = Some("GET /".into());
        (form.min_ns, form.max_ns) = (Some(1_500_000), Some(2_000_000_000));
        form.tags = [
            ("error", "true"),
            ("span.kind", "server"),
            ("otel.status_code", "ERROR"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec();
        let written = "service:cart operation:\"GET /\" duration:>=1500us duration:<=2s \
            (status:error OR attributes.error:true) kind:server status:error";
        assert_eq!(parsed(&text(&form)), parsed(written));
    }

    #[test]
    fn tags_made_of_own_fields_are_looked_for_there() {
        for (key, value, written) in [
            ("error", "false", "-status:error"),
            (
                "otel.status_description",
                "too late",
                "status_message:\"too late\"",
            ),
            ("otel.scope.name", "lib", "attributes.scope.name:lib"),
            (
                "event",
                "exception",
                "events.name:exception OR attributes.event:exception",
            ),
        ] {
            assert_eq!(parsed(&tag(key, value)), parsed(written), "{key}");
        }
        assert_eq!(
            parsed(&text(&search(NO_SERVICE_NAME))),
            parsed("-_exists_:service")
        );
    }

    #[test]
    fn an_empty_value_is_a_value() {
        let expr = parsed(&clause("attributes.a", ""));
        assert_eq!(exact(&expr), (&Field::Attribute("a".to_owned()), ""));
    }
}
