//! The text of an event: its message, then each other field as `key=value`.

use std::fmt::{Debug, Write};

use tracing::Event;
use tracing::field::{Field, Visit};

#[derive(Default)]
struct Text {
    message: String,
    rest: String,
}

/// One line for an event.
pub(super) fn text(event: &Event<'_>) -> String {
    let mut text = Text::default();
    event.record(&mut text);
    text.message.push_str(if text.message.is_empty() { text.rest.trim_start() } else { &text.rest });
    text.message
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.rest, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            // Quoted and escaped: a value with a newline must not look like a second record.
            _ => self.record_debug(field, &value),
        }
    }
}
