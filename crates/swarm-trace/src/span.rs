//! One span, from its making to its end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use opentelemetry::trace::{Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Array, Context, ContextGuard, KeyValue, StringValue, Value};
use pin_project_lite::pin_project;

use crate::{TRACING, Tracing};

/// A span under way, or nothing where there is nobody to make one. It ends when this is dropped.
#[derive(Debug, Default)]
pub struct Traced(pub(crate) Option<Context>);

impl Traced {
    /// A span below the one that the running code is in; nothing where it is in none.
    pub fn within(name: &'static str) -> Self {
        let Some((tracing, parent)) = parent() else { return Self(None) };
        Self::begin(tracing, tracing.tracer.span_builder(name), &parent)
    }

    pub(crate) fn begin(tracing: &Tracing, builder: SpanBuilder, parent: &Context) -> Self {
        let span = tracing.tracer.build_with_context(builder, parent);
        if !span.span_context().is_valid() {
            return Self(None);
        }
        Self(Some(parent.with_span(span)))
    }

    /// Whether what is told of it is heard: worth asking before it costs something to tell.
    pub fn is_heard(&self) -> bool {
        self.0.as_ref().is_some_and(|context| context.span().is_recording())
    }

    /// Tells one more thing of it.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Tells several things under one name.
    pub fn list(&self, key: &'static str, all: impl IntoIterator<Item = String>) {
        let all = all.into_iter().map(StringValue::from).collect();
        self.set(key, Value::Array(Array::String(all)));
    }

    /// It failed: how, in one of this program's own words, and why, in words for people.
    pub fn fail(&self, kind: impl Into<Value>, words: impl Into<String>) {
        if let Some(context) = &self.0 {
            let span = context.span();
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(words.into()));
        }
    }

    /// `future` within this span, wherever it is driven from.
    pub fn run<F: Future>(&self, future: F) -> In<F> {
        In { span: self.0.clone(), future }
    }

    /// What follows is within this span, until the guard is dropped. Not for code that waits.
    pub fn enter(&self) -> Option<ContextGuard> {
        self.0.as_ref().map(|context| context.clone().attach())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

/// The span that the running code is in, where there is one.
pub(crate) fn parent() -> Option<(&'static Tracing, Context)> {
    let tracing = TRACING.get()?;
    let current = Context::map_current(|now| now.has_active_span().then(|| now.clone()))?;
    Some((tracing, current))
}

/// `future` within the span that the caller is in: for work that is handed to a task of its own.
pub fn carried<F: Future>(future: F) -> In<F> {
    In { span: parent().map(|(_, context)| context), future }
}

pin_project! {
    /// A future within a span.
    #[derive(Debug)]
    pub struct In<F> {
        span: Option<Context>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for In<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _within = this.span.as_ref().map(|context| context.clone().attach());
        this.future.poll(task)
    }
}
