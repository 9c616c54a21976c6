//! One call as the instrumentation of a library writes it: name, kind, attributes, and what went wrong.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::{Call, DATABASE, HTTP, MESSAGING, OWN, SERVICES, Shop, number, text};

/// Behind the service's name.
const ROUTES: [(&str, &str); 5] = [
    ("GET", "items/{id}"),
    ("POST", "items"),
    ("PUT", "items/{id}/state"),
    ("GET", "search"),
    ("DELETE", "items/{id}"),
];
const QUERIES: [(&str, &str); 4] = [
    (
        "SELECT",
        "SELECT id, name, price, stock FROM items WHERE id = $1",
    ),
    (
        "INSERT",
        "INSERT INTO orders (customer, total, currency, state) VALUES ($1, $2, $3, $4) RETURNING id",
    ),
    (
        "UPDATE",
        "UPDATE items SET stock = stock - $1, changed = now() WHERE id = $2 AND stock >= $1",
    ),
    (
        "SELECT",
        "SELECT o.id, o.total FROM orders o JOIN customers c ON c.id = o.customer WHERE c.email = $1",
    ),
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
    "shop-app/4.12.0 okhttp/4.12.0",
];
/// Of a hundred spans.
const FAILED: u32 = 2;

const STACK: &str = "TimeoutError: deadline exceeded\n    at Timeout._onTimeout (/app/node_modules/shop/client.js:118:23)\n    \
    at listOnTimeout (node:internal/timers:581:17)\n    at process.processTimers (node:internal/timers:519:7)";

impl Shop {
    pub(super) fn server(&mut self, service: usize) -> Call {
        let (method, route) = self.route(service);
        let path = self.path(&route);
        let status = self.status();
        let attributes = vec![
            text("http.request.method", method),
            text("http.route", &route),
            text("url.path", &path),
            text("url.scheme", "http"),
            number("http.response.status_code", status),
            text(
                "server.address",
                &format!("{}.shop.svc.cluster.local", SERVICES[service]),
            ),
            number("server.port", 8080),
            text("client.address", &self.address()),
            text(
                "user_agent.original",
                AGENTS.choose(&mut self.random).expect("not empty"),
            ),
        ];
        self.call(
            service,
            HTTP,
            SpanKind::Server,
            format!("{method} {route}"),
            attributes,
            status >= 500,
        )
    }

    pub(super) fn client(&mut self, service: usize) -> Call {
        let other = self.random.random_range(1..SERVICES.len());
        let (method, route) = self.route(other);
        let host = format!("{}.shop.svc.cluster.local", SERVICES[other]);
        let url = format!("http://{host}:8080{}", self.path(&route));
        let status = self.status();
        let attributes = vec![
            text("http.request.method", method),
            text("url.full", &url),
            text("server.address", &host),
            number("server.port", 8080),
            number("http.response.status_code", status),
            text("network.peer.address", &self.address()),
        ];
        self.call(
            service,
            HTTP,
            SpanKind::Client,
            method.to_owned(),
            attributes,
            status >= 500,
        )
    }

    pub(super) fn query(&mut self, service: usize) -> Call {
        let (operation, query) = QUERIES[self.random.random_range(0..QUERIES.len())];
        let attributes = vec![
            text("db.system.name", "postgresql"),
            text("db.namespace", SERVICES[service]),
            text("db.operation.name", operation),
            text("db.query.text", query),
            text(
                "server.address",
                &format!("{}-db.shop.svc.cluster.local", SERVICES[service]),
            ),
            number("server.port", 5432),
        ];
        let failed = self.fails();
        self.call(
            service,
            DATABASE,
            SpanKind::Client,
            format!("{operation} {}", SERVICES[service]),
            attributes,
            failed,
        )
    }

    pub(super) fn message(&mut self, service: usize) -> Call {
        let attributes = vec![
            text("messaging.system", "kafka"),
            text("messaging.destination.name", "orders"),
            text("messaging.operation.type", "send"),
            number(
                "messaging.destination.partition.id",
                self.random.random_range(0..12),
            ),
            text(
                "messaging.kafka.message.key",
                &self.random.random_range(0..90_000_000).to_string(),
            ),
        ];
        let failed = self.fails();
        self.call(
            service,
            MESSAGING,
            SpanKind::Producer,
            "send orders".to_owned(),
            attributes,
            failed,
        )
    }

    pub(super) fn own(&mut self, service: usize) -> Call {
        let function = ["validate", "price", "reserve", "render", "serialize"];
        let function = function[self.random.random_range(0..function.len())];
        let attributes = vec![
            text(
                "code.function.name",
                &format!("shop.{}.{function}", SERVICES[service]),
            ),
            number("thread.id", self.random.random_range(1..64)),
            number("order", self.random.random_range(0..5_000_000)),
            text(
                "customer",
                &format!("c-{:08x}", self.random.random::<u32>()),
            ),
            text(
                "currency",
                ["EUR", "USD", "JPY"][self.random.random_range(0..3)],
            ),
        ];
        let failed = self.fails();
        self.call(
            service,
            OWN,
            SpanKind::Internal,
            function.to_owned(),
            attributes,
            failed,
        )
    }

    fn call(
        &mut self,
        service: usize,
        scope: usize,
        kind: SpanKind,
        name: String,
        attributes: Vec<KeyValue>,
        failed: bool,
    ) -> Call {
        let mut span = Span {
            span_id: self.random.random::<u64>().to_be_bytes().to_vec(),
            name,
            kind: kind.into(),
            attributes,
            flags: 0x101,
            ..Span::default()
        };
        if failed {
            let waited = self.random.random_range(100..30_000);
            let message = format!("deadline exceeded after {waited} ms");
            span.events = vec![Event {
                name: "exception".to_owned(),
                attributes: vec![
                    text("exception.type", "TimeoutError"),
                    text("exception.message", &message),
                    text("exception.stacktrace", STACK),
                ],
                ..Event::default()
            }];
            span.status = Some(Status {
                message,
                code: StatusCode::Error.into(),
            });
        }
        Call {
            service,
            scope,
            span,
        }
    }

    fn route(&mut self, service: usize) -> (&'static str, String) {
        let (method, route) = ROUTES[self.random.random_range(0..ROUTES.len())];
        (method, format!("/api/v1/{}/{route}", SERVICES[service]))
    }

    fn path(&mut self, route: &str) -> String {
        let id = self.random.random_range(0..200_000);
        route.replace("{id}", &id.to_string())
    }

    fn address(&mut self) -> String {
        let [_, a, b, c] = self.random.random::<u32>().to_be_bytes();
        format!("10.{a}.{b}.{c}")
    }

    fn status(&mut self) -> i64 {
        match self.random.random_range(0..100) {
            0..FAILED => 503,
            FAILED..6 => 404,
            6..16 => 201,
            _ => 200,
        }
    }

    fn fails(&mut self) -> bool {
        self.random.random_range(0..100) < FAILED
    }
}
