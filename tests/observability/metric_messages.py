"""`io.prometheus.client` messages, described by hand for google.protobuf, which reads what hagane writes."""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.decoder import _DecodeVarint32

Field = descriptor_pb2.FieldDescriptorProto
KINDS = {
    "string": Field.TYPE_STRING,
    "double": Field.TYPE_DOUBLE,
    "uint64": Field.TYPE_UINT64,
    "uint32": Field.TYPE_UINT32,
    "int64": Field.TYPE_INT64,
    "int32": Field.TYPE_INT32,
    "sint32": Field.TYPE_SINT32,
    "sint64": Field.TYPE_SINT64,
    "enum": Field.TYPE_ENUM,
}
# Numbers and types as Prometheus' client_model defines them; a star is a repeated field.
MESSAGES = {
    "Time": "seconds=1 int64, nanos=2 int32",
    "LabelPair": "name=1 string, value=2 string",
    "Gauge": "value=1 double",
    "Exemplar": "label=1 *LabelPair, value=2 double, timestamp=3 Time",
    "Counter": "value=1 double, exemplar=2 Exemplar, created_timestamp=3 Time",
    "Bucket": "cumulative_count=1 uint64, upper_bound=2 double, exemplar=3 Exemplar",
    "BucketSpan": "offset=1 sint32, length=2 uint32",
    "Histogram": "sample_count=1 uint64, sample_sum=2 double, bucket=3 *Bucket, schema=5 sint32, "
    "zero_threshold=6 double, zero_count=7 uint64, negative_span=9 *BucketSpan, negative_delta=10 *sint64, "
    "positive_span=12 *BucketSpan, positive_delta=13 *sint64, created_timestamp=15 Time",
    "Metric": "label=1 *LabelPair, gauge=2 Gauge, counter=3 Counter, histogram=7 Histogram",
    "MetricFamily": "name=1 string, help=2 string, type=3 uint32, metric=4 *Metric",
}


def _message_class(name):
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="io.prometheus.client", syntax="proto3")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for field in fields.split(", "):
            naming, kind = field.split(" ")
            label, number = naming.split("=")
            added = described.field.add(name=label, number=int(number))
            added.label = Field.LABEL_REPEATED if kind.startswith("*") else Field.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            if kind in KINDS:
                added.type = KINDS[kind]
            else:
                added.type, added.type_name = Field.TYPE_MESSAGE, f".io.prometheus.client.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"io.prometheus.client.{name}"))


MetricFamily = _message_class("MetricFamily")


def families(body: bytes) -> dict[str, MetricFamily]:
    """Every family of a delimited body, by name; nothing may be left over."""
    found, at = {}, 0
    while at < len(body):
        length, at = _DecodeVarint32(body, at)
        family = MetricFamily.FromString(body[at : at + length])
        assert family.name not in found
        found[family.name] = family
        at += length
    assert at == len(body)
    return found


def labels(metric) -> dict[str, str]:
    return {pair.name: pair.value for pair in metric.label}
