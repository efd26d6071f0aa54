//! The classes of Python's standard library that a snapshot knows, looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

pub(super) struct Types {
    pub date_time: Py<PyType>,
    pub date: Py<PyType>,
    pub time: Py<PyType>,
    pub duration: Py<PyType>,
    pub fixed_zone: Py<PyType>,
    pub named_zone: Py<PyType>,
    pub decimal: Py<PyType>,
    pub uuid: Py<PyType>,
    pub path: Py<PyType>,
    pub complex: Py<PyType>,
    pub deque: Py<PyType>,
    pub ordered_dict: Py<PyType>,
}

impl Types {
    pub(super) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static TYPES: PyOnceLock<Types> = PyOnceLock::new();
        TYPES.get_or_try_init(py, || Self::look_up(py))
    }

    fn look_up(py: Python<'_>) -> PyResult<Self> {
        let class = |module: &str, name: &str| -> PyResult<Py<PyType>> {
            Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        // `Path(".")` is of the platform's own class.
        let path = py.import("pathlib")?.getattr("Path")?.call0()?.get_type().unbind();
        Ok(Self {
            date_time: class("datetime", "datetime")?,
            date: class("datetime", "date")?,
            time: class("datetime", "time")?,
            duration: class("datetime", "timedelta")?,
            fixed_zone: class("datetime", "timezone")?,
            named_zone: class("zoneinfo", "ZoneInfo")?,
            decimal: class("decimal", "Decimal")?,
            uuid: class("uuid", "UUID")?,
            path,
            complex: class("builtins", "complex")?,
            deque: class("collections", "deque")?,
            ordered_dict: class("collections", "OrderedDict")?,
        })
    }

    /// `hagane.rollback.registry.take_apart`: loaded when a class that only it can know comes up.
    pub(super) fn take_apart<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        function(py, &FUNCTION, "hagane.rollback.registry", "take_apart")
    }

    /// `hagane.rollback.registry.unlike`.
    pub(super) fn unlike<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        function(py, &FUNCTION, "hagane.rollback.registry", "unlike")
    }

    /// `hagane.rollback.registry.put_together`.
    pub(super) fn put_together<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        function(py, &FUNCTION, "hagane.rollback.registry", "put_together")
    }

    /// `hagane.engines.isolate.copy_other`.
    pub(super) fn copy_other<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        function(py, &FUNCTION, "hagane.engines.isolate", "copy_other")
    }
}

fn function<'py>(
    py: Python<'py>,
    known: &PyOnceLock<Py<PyAny>>,
    module: &str,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let look_up = || PyResult::Ok(py.import(module)?.getattr(name)?.unbind());
    Ok(known.get_or_try_init(py, look_up)?.bind(py).clone())
}
