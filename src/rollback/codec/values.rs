//! `Value` to bytes and back.

use super::super::value::{Value, Zone};
use super::{Build, Entries, Malformed, Sequence, Writer, tag};

/// Appends `value` to `out`.
pub fn write(out: &mut Writer, value: &Value) {
    match value {
        Value::None => out.none(),
        Value::Bool(flag) => out.boolean(*flag),
        Value::Int(number) => out.int(*number),
        Value::Float(number) => out.float(*number),
        Value::Str(text) => out.text(text),
        Value::Bytes(bytes) => out.bytes(bytes),
        Value::List(items) => list(out, items),
        Value::Dict(entries) => map(out, entries),
        tagged => write_tagged(out, tagged),
    }
}

fn write_tagged(out: &mut Writer, value: &Value) {
    match value {
        Value::BigInt(bytes) => mark(out, tag::BIG_INT).bytes(bytes),
        Value::ByteArray(bytes) => mark(out, tag::BYTE_ARRAY).bytes(bytes),
        Value::Uuid(bytes) => mark(out, tag::UUID).bytes(bytes),
        Value::Date(text) => mark(out, tag::DATE).text(text),
        Value::Decimal(text) => mark(out, tag::DECIMAL).text(text),
        Value::Path(text) => mark(out, tag::PATH).text(text),
        Value::Tuple(items) => list(mark(out, tag::TUPLE), items),
        Value::Set(items) => mark(out, tag::SET).sorted(encoded(items)),
        Value::FrozenSet(items) => mark(out, tag::FROZEN_SET).sorted(encoded(items)),
        Value::DateTime(text, fold, place) => moment(mark(out, tag::DATE_TIME), text, *fold, place),
        Value::Time(text, fold, place) => moment(mark(out, tag::TIME), text, *fold, place),
        Value::OrderedDict(entries) => map(mark(out, tag::ORDERED_DICT), entries),
        Value::Duration(days, seconds, micros) => {
            mark(out, tag::DURATION).list(3);
            [days, seconds, micros].into_iter().for_each(|part| out.int(*part));
        }
        Value::Complex(real, imaginary) => {
            mark(out, tag::COMPLEX).list(2);
            out.float(*real);
            out.float(*imaginary);
        }
        Value::Deque(longest, items) => {
            mark(out, tag::DEQUE).list(2);
            match longest {
                Some(number) => out.int(*number),
                None => out.none(),
            }
            list(out, items);
        }
        Value::Object(name, content) => {
            mark(out, tag::OBJECT).list(2);
            out.text(name);
            write(out, content);
        }
        plain => write(out, plain),
    }
}

fn mark(out: &mut Writer, tag: u8) -> &mut Writer {
    out.tag(tag);
    out
}

fn moment(out: &mut Writer, text: &str, fold: bool, place: &Zone) {
    out.list(4);
    out.text(text);
    out.boolean(fold);
    match place {
        Zone::Fixed(micros, _) => out.int(*micros),
        Zone::Naive | Zone::Named(_) => out.none(),
    }
    match place {
        Zone::Fixed(_, Some(name)) | Zone::Named(name) => out.text(name),
        Zone::Naive | Zone::Fixed(_, None) => out.none(),
    }
}

fn list(out: &mut Writer, items: &[Value]) {
    out.list(items.len());
    items.iter().for_each(|item| write(out, item));
}

fn map(out: &mut Writer, entries: &[(String, Value)]) {
    out.map(entries.len());
    for (key, value) in entries {
        out.text(key);
        write(out, value);
    }
}

fn encoded(items: &[Value]) -> Vec<Writer> {
    let encode = |item| {
        let mut one = Writer::new();
        write(&mut one, item);
        one
    };
    items.iter().map(encode).collect()
}

/// Makes `Value`s.
pub struct Values;

impl Build for Values {
    type Out = Value;
    type Error = Malformed;

    fn leaf(&mut self, value: Value) -> Result<Value, Malformed> {
        Ok(value)
    }

    fn text(&mut self, text: &str) -> Result<Value, Malformed> {
        Ok(Value::Str(text.to_owned()))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<Value, Malformed> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn sequence(&mut self, kind: Sequence, items: Vec<Value>) -> Result<Value, Malformed> {
        Ok(match kind {
            Sequence::List => Value::List(items),
            Sequence::Tuple => Value::Tuple(items),
            Sequence::Set => Value::Set(items),
            Sequence::FrozenSet => Value::FrozenSet(items),
            Sequence::Deque(longest) => Value::Deque(longest, items),
        })
    }

    fn mapping(&mut self, ordered: bool, entries: Entries<'_, Value>) -> Result<Value, Malformed> {
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(if ordered { Value::OrderedDict(entries) } else { Value::Dict(entries) })
    }

    fn object(&mut self, name: &str, content: Value) -> Result<Value, Malformed> {
        Ok(Value::Object(name.to_owned(), Box::new(content)))
    }
}
