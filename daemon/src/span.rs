//! One span.

use std::time::SystemTime;

use opentelemetry::{KeyValue, Value};

use crate::Place;

/// Something that took its time. Made when it is over, with the times at which it began and ended.
#[derive(Clone, Debug)]
pub struct Span {
    pub(crate) name: &'static str,
    /// None: one of its own, below the parent.
    pub(crate) place: Option<Place>,
    pub(crate) parent: Option<Place>,
    pub(crate) begun: SystemTime,
    pub(crate) ended: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) failure: Option<String>,
    pub(crate) link: Option<Place>,
}

/// The time of spans.
pub fn now() -> SystemTime {
    SystemTime::now()
}

impl Span {
    /// One that others can name.
    pub fn at(place: Place, name: &'static str, begun: SystemTime, ended: SystemTime) -> Span {
        Span {
            name,
            place: Some(place),
            parent: None,
            begun,
            // Clocks are set back now and then.
            ended: ended.max(begun),
            attributes: Vec::new(),
            failure: None,
            link: None,
        }
    }

    /// One below another that nobody needs to name.
    pub fn below(parent: Place, name: &'static str, begun: SystemTime, ended: SystemTime) -> Span {
        Span {
            place: None,
            parent: Some(parent),
            ..Span::at(parent, name, begun, ended)
        }
    }

    /// Part of this one.
    pub fn part_of(self, parent: Place) -> Span {
        Span {
            parent: Some(parent),
            ..self
        }
    }

    /// With a fact.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Span {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// It came to nothing.
    pub fn failed(self, why: impl Into<String>) -> Span {
        Span {
            failure: Some(why.into()),
            ..self
        }
    }

    /// It has to do with another span, of this trace or another.
    pub fn linked(self, other: Place) -> Span {
        Span {
            link: Some(other),
            ..self
        }
    }
}
