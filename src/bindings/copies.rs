//! Copies of the values of a running pipeline: structure anew, leaves shared. What a store keeps is a `Blob` instead.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::convert::Shape;

/// Copies the containers in `value`; other objects stay the same ones.
#[pyfunction]
fn isolate<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    Shape::of(value)?.copy(value.py())
}

/// What the stages of a run are given: the inputs, and over them the accepted outputs. Its parts must not change: it
/// finds out once how each is copied.
#[pyclass(module = "hagane._core")]
struct Layers {
    /// Everything by its name, as it was put in.
    originals: Py<PyDict>,
    /// What is not the same in a copy.
    changing: Vec<(Py<PyAny>, Shape)>,
}

#[pymethods]
impl Layers {
    #[new]
    fn new(py: Python<'_>, inputs: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut layers = Self { originals: PyDict::new(py).unbind(), changing: Vec::new() };
        layers.put_all(py, inputs)?;
        Ok(layers)
    }

    /// Puts an output over what is there: its fields, and all of it as `<stage>_result`.
    fn add(&mut self, py: Python<'_>, stage: &str, output: &Bound<'_, PyDict>) -> PyResult<()> {
        let name = format!("{stage}_result").into_pyobject(py)?.into_any();
        self.put(py, &name, output.as_any())?;
        self.put_all(py, output)
    }

    /// All of it, for somebody who may change it.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let copied = self.originals.bind(py).copy()?;
        for (name, shape) in &self.changing {
            copied.set_item(name, shape.copy(py)?)?;
        }
        Ok(copied)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.originals)?;
        self.changing.iter().try_for_each(|(name, shape)| visit.call(name).and_then(|()| shape.traverse(&visit)))
    }

    fn __clear__(&mut self) {
        self.changing.clear();
    }
}

impl Layers {
    fn put_all(&mut self, py: Python<'_>, values: &Bound<'_, PyDict>) -> PyResult<()> {
        values.iter().try_for_each(|(name, value)| self.put(py, &name, &value))
    }

    fn put(&mut self, py: Python<'_>, name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let shape = Shape::of(value)?;
        if self.originals.bind(py).contains(name)? {
            let mut kept = Vec::with_capacity(self.changing.len());
            for (known, shape) in self.changing.drain(..) {
                if !known.bind(py).eq(name)? {
                    kept.push((known, shape));
                }
            }
            self.changing = kept;
        }
        self.originals.bind(py).set_item(name, value)?;
        if !shape.is_same() {
            self.changing.push((name.clone().unbind(), shape));
        }
        Ok(())
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Layers>()?;
    module.add_function(wrap_pyfunction!(isolate, module)?)
}
