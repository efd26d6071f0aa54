//! Stored bytes to Python. What was read from a store is still untrusted: a text that is no date is damage.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyComplex, PyDict, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple};

use super::super::error::{raise, snapshot_error};
use super::types::Types;
use crate::rollback::snapshot::{Blob, SnapshotError};
use crate::rollback::{Build, Entries, Malformed, Sequence, Value, Zone, read_with};

/// From how many packed bytes on the GIL is released while a blob is unpacked.
const DETACHED: usize = 32 << 10;

/// A fresh Python object for what `blob` holds.
pub(in super::super) fn decode<'py>(py: Python<'py>, blob: &Blob) -> PyResult<Bound<'py, PyAny>> {
    // To let others run takes longer than to unpack a little.
    let plain = if blob.packed() < DETACHED { blob.plain() } else { py.detach(|| blob.plain()) };
    read(py, &plain.map_err(snapshot_error)?)
}

/// A fresh Python object for an encoded value.
pub(super) fn read<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    read_with(bytes, &mut Objects { py, keys: HashMap::new() }).map_err(|fault| fault.0)
}

struct Objects<'py> {
    py: Python<'py>,
    /// Keys of dictionaries come again and again; each is made once.
    keys: HashMap<String, Bound<'py, PyString>>,
}

/// An exception on its way out of the reader.
struct Fault(PyErr);

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        SnapshotError::Damaged(malformed.to_string()).into()
    }
}

impl From<SnapshotError> for Fault {
    fn from(error: SnapshotError) -> Self {
        Self(snapshot_error(error))
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl<'py> Build for Objects<'py> {
    type Out = Bound<'py, PyAny>;
    type Error = Fault;

    fn leaf(&mut self, value: Value) -> Result<Self::Out, Fault> {
        let py = self.py;
        Ok(match value {
            Value::None => py.None().into_bound(py),
            Value::Bool(flag) => flag.into_pyobject(py).map_err(PyErr::from)?.to_owned().into_any(),
            Value::Int(number) => number.into_pyobject(py).map_err(PyErr::from)?.into_any(),
            Value::Float(number) => number.into_pyobject(py).map_err(PyErr::from)?.into_any(),
            Value::Complex(real, imaginary) => PyComplex::from_doubles(py, real, imaginary).into_any(),
            Value::ByteArray(bytes) => PyByteArray::new(py, &bytes).into_any(),
            other => library(py, &other).map_err(|error| damage(&error))?,
        })
    }

    fn text(&mut self, text: &str) -> Result<Self::Out, Fault> {
        Ok(PyString::new(self.py, text).into_any())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<Self::Out, Fault> {
        Ok(PyBytes::new(self.py, bytes).into_any())
    }

    fn sequence(&mut self, kind: Sequence, items: Vec<Self::Out>) -> Result<Self::Out, Fault> {
        let py = self.py;
        let made = match kind {
            Sequence::List => return Ok(PyList::new(py, items)?.into_any()),
            Sequence::Tuple => return Ok(PyTuple::new(py, items)?.into_any()),
            Sequence::Set => PySet::new(py, items).map(Bound::into_any),
            Sequence::FrozenSet => PyFrozenSet::new(py, items).map(Bound::into_any),
            Sequence::Deque(longest) => Types::get(py)?.deque.bind(py).call1((items, longest)),
        };
        // A list in a set has no hash: nobody stored that.
        made.map_err(|error| Fault(damage(&error)))
    }

    fn mapping(&mut self, ordered: bool, entries: Entries<'_, Self::Out>) -> Result<Self::Out, Fault> {
        let made = if ordered {
            Types::get(self.py)?.ordered_dict.bind(self.py).call0()?
        } else {
            PyDict::new(self.py).into_any()
        };
        for (key, value) in entries {
            let key = self.key(key);
            match made.cast_exact::<PyDict>() {
                Ok(dict) => dict.set_item(key, value)?,
                Err(_) => made.set_item(key, value)?,
            }
        }
        Ok(made)
    }

    fn object(&mut self, name: &str, content: Self::Out) -> Result<Self::Out, Fault> {
        Ok(Types::put_together(self.py)?.call1((name, content))?)
    }
}

impl<'py> Objects<'py> {
    fn key(&mut self, key: &str) -> Bound<'py, PyString> {
        if let Some(known) = self.keys.get(key) {
            return known.clone();
        }
        let made = PyString::new(self.py, key);
        if self.keys.len() < 1024 {
            self.keys.insert(key.to_owned(), made.clone());
        }
        made
    }
}

fn damage(error: &PyErr) -> PyErr {
    raise("StoreCorrupt", format!("stored state is damaged: {error}"))
}

fn library<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    let types = Types::get(py)?;
    match value {
        Value::BigInt(bytes) => big_int(py, bytes),
        Value::DateTime(text, fold, zone) => moment(types.date_time.bind(py), text, *fold, zone, types),
        Value::Time(text, fold, zone) => moment(types.time.bind(py), text, *fold, zone, types),
        Value::Date(text) => types.date.bind(py).call_method1("fromisoformat", (text,)),
        Value::Duration(days, seconds, micros) => types.duration.bind(py).call1((days, seconds, micros)),
        Value::Decimal(text) => types.decimal.bind(py).call1((text,)),
        Value::Path(text) => types.path.bind(py).call1((text,)),
        Value::Uuid(bytes) => {
            let arguments = PyDict::new(py);
            arguments.set_item("bytes", PyBytes::new(py, bytes))?;
            types.uuid.bind(py).call((), Some(&arguments))
        }
        other => Err(pyo3::exceptions::PyTypeError::new_err(format!("{other:?} has no place here"))),
    }
}

fn big_int<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let signed = PyDict::new(py);
    signed.set_item("signed", true)?;
    py.get_type::<PyInt>().call_method("from_bytes", (PyBytes::new(py, bytes), "little"), Some(&signed))
}

fn moment<'py>(
    class: &Bound<'py, pyo3::types::PyType>,
    text: &str,
    fold: bool,
    zone: &Zone,
    types: &Types,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let changes = PyDict::new(py);
    changes.set_item("fold", u8::from(fold))?;
    changes.set_item("tzinfo", time_zone(py, zone, types)?)?;
    class.call_method1("fromisoformat", (text,))?.call_method("replace", (), Some(&changes))
}

fn time_zone<'py>(py: Python<'py>, zone: &Zone, types: &Types) -> PyResult<Bound<'py, PyAny>> {
    let offset = |micros: &i64| types.duration.bind(py).call1((0, 0, *micros));
    match zone {
        Zone::Naive => Ok(py.None().into_bound(py)),
        Zone::Fixed(micros, None) => types.fixed_zone.bind(py).call1((offset(micros)?,)),
        Zone::Fixed(micros, Some(name)) => types.fixed_zone.bind(py).call1((offset(micros)?, name)),
        Zone::Named(key) => types.named_zone.bind(py).call1((key,)),
    }
}
