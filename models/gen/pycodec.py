"""Prints plumbline_codec.py: the drafts as Python tables, and a codec that needs nothing but Python."""
import pprint

HEAD = '''"""Takes virtio-msg messages apart and puts them together, for every draft. Generated from models/.

    message = decode(data, "virtio-msg-r1")     # Message, or an error of its own kind
    message = examine(data, "virtio-msg-r1")    # Message in any case; message.form says how well it fits
    data = encode("virtio-msg-r1", "GET_CONFIG", dev_num=0, token=5, offset=0, length=8)
"""

SPECS = '''

CODE = '''
DEFAULT_SPEC = @DEFAULT@
MSG_MAX = 65535

OK, RUNT, SIZE, UNKNOWN, SHAPE, SHORT, LONG = "ok", "runt", "size", "unknown", "shape", "short", "long"


class CodecError(Exception):
    """A message that does not fit its draft; `message` is what could be taken apart."""

    def __init__(self, text, message=None):
        super().__init__(text)
        self.message = message


class RuntError(CodecError):
    """Shorter than the header."""


class SizeError(CodecError):
    """msg_size is not the number of bytes that arrived."""


class UnknownError(CodecError):
    """No message of this class and id, or no such message name."""


class ShapeError(CodecError):
    """An event with the response bit."""


class ShortError(CodecError):
    """The payload ends before its layout does."""


class LongError(CodecError):
    """The payload goes on after its layout has ended."""


ERRORS = {RUNT: RuntError, SIZE: SizeError, UNKNOWN: UnknownError, SHAPE: ShapeError, SHORT: ShortError,
          LONG: LongError}


class Message:
    """A message taken apart. Header fields are attributes; `fields` has the payload's by name.

    Arrays of u8 are bytes, wider ones lists of numbers. `expected` is the size that the layout and its
    own counts ask for, 0 where unknown; an absent variable array is b"" or [].
    """

    def __init__(self, spec, data):
        self.spec, self.data, self.form = spec, data, OK
        self.name = None
        self.type = self.msg_id = self.dev_num = self.token = self.msg_size = 0
        self.response = self.bus = self.event = False
        self.expected = 0
        self.fields = {}

    def __getitem__(self, name):
        return self.fields[name]

    def as_dict(self):
        """Everything as plain values."""
        out = {key: getattr(self, key) for key in (
            "spec", "form", "name", "type", "msg_id", "dev_num", "token", "msg_size", "response", "bus",
            "event", "expected")}
        out["fields"] = dict(self.fields)
        return out

    def __repr__(self):
        return f"Message({self.as_dict()})"


def table(spec):
    """A draft's table; UnknownError where there is none of this name."""
    if spec not in SPECS:
        raise UnknownError(f"spec '{spec}' is none of {', '.join(SPECS)}")
    return SPECS[spec]


def _tail_bytes(tail, count):
    if tail["unit"] == "bits":
        return (count + 7) // 8
    return count if tail["unit"] == "bytes" else count * tail["width"]


def _elements(data, width):
    if width == 1:
        return bytes(data)
    return [int.from_bytes(data[i:i + width], "little") for i in range(0, len(data) - width + 1, width)]


def _payload(message, layout, payload, header_size):
    """Take a payload apart as far as it goes; returns its form."""
    for name, offset, width in layout["fields"]:
        if offset + width <= len(payload):
            message.fields[name] = int.from_bytes(payload[offset:offset + width], "little")
    message.expected = header_size + layout["size"]
    if len(payload) < layout["size"]:
        return SHORT
    fixed, tail = layout["fixed"], layout["tail"]
    if fixed:
        end = fixed["offset"] + fixed["width"] * fixed["count"]
        message.fields[fixed["name"]] = _elements(payload[fixed["offset"]:end], fixed["width"])
    rest, want = payload[layout["size"]:], 0
    if tail:
        want = _tail_bytes(tail, message.fields[tail["count_field"]])
        if tail["optional"] and not rest:
            want = 0
        message.expected += want
        message.fields[tail["name"]] = _elements(rest[:want], tail["width"])
    return SHORT if len(rest) < want else LONG if len(rest) > want else OK


def examine(data, spec=DEFAULT_SPEC):
    """Take bytes apart as well as they can be; never fails for what they hold."""
    draft, data = table(spec), bytes(data)
    message = Message(spec, data)
    if len(data) < draft["header_size"]:
        message.form = RUNT
        return message
    for name, (offset, width) in draft["header"].items():
        setattr(message, name, int.from_bytes(data[offset:offset + width], "little"))
    message.response = bool(message.type & draft["response_bit"])
    message.bus = bool(message.type & draft["bus_bit"])
    message.event = bool(message.msg_id & draft["event_bit"])
    message.name = draft["by_id"].get((message.bus, message.msg_id))
    if message.name is None:
        message.form = UNKNOWN
        return message
    entry = draft["messages"][message.name]
    layout = entry["response"] if message.response else entry["request"]
    if layout is None:
        message.form = SHAPE
        return message
    message.form = _payload(message, layout, data[draft["header_size"]:], draft["header_size"])
    if message.msg_size != len(data):
        message.form = SIZE
    return message


def decode(data, spec=DEFAULT_SPEC):
    """Take bytes apart; raises the CodecError of what does not fit."""
    message = examine(data, spec)
    if message.form != OK:
        name = message.name or f"message 0x{message.msg_id:02x}"
        raise ERRORS[message.form](f"{spec}: {name}: {ERRORS[message.form].__doc__} "
                                   f"({len(message.data)} bytes, msg_size {message.msg_size})", message)
    return message


def _number(what, value, width):
    if not isinstance(value, int) or not 0 <= value < 1 << (8 * width):
        raise ValueError(f"{what}: {value!r} is no number of {8 * width} bits")
    return value.to_bytes(width, "little")


def _array(what, value, width):
    if isinstance(value, (bytes, bytearray)):
        if len(value) % width:
            raise ValueError(f"{what}: {len(value)} bytes are no multiple of {width}")
        return bytes(value)
    return b"".join(_number(what, item, width) for item in value)


def _encode_payload(name, layout, fields):
    """The payload's bytes. A count that is not given follows from its array."""
    known = [f[0] for f in layout["fields"]] + [a["name"] for a in (layout["fixed"], layout["tail"]) if a]
    for key in fields:
        if key not in known:
            raise ValueError(f"{name} has no field '{key}' here; it has {', '.join(known) or 'none'}")
    out, tail, data = bytearray(layout["size"]), layout["tail"], b""
    if tail:
        data = _array(f"{name}.{tail['name']}", fields.get(tail["name"], b""), tail["width"])
        unit = {"bits": 8 * len(data), "bytes": len(data)}.get(tail["unit"], len(data) // tail["width"])
        fields = {tail["count_field"]: unit, **fields}
    for field, offset, width in layout["fields"]:
        out[offset:offset + width] = _number(f"{name}.{field}", fields.get(field, 0), width)
    fixed = layout["fixed"]
    if fixed and fixed["name"] in fields:
        part = _array(f"{name}.{fixed['name']}", fields[fixed["name"]], fixed["width"])
        if len(part) != fixed["width"] * fixed["count"]:
            raise ValueError(f"{name}.{fixed['name']}: {len(part)} bytes, must be "
                             f"{fixed['width'] * fixed['count']}")
        out[fixed["offset"]:fixed["offset"] + len(part)] = part
    return bytes(out) + data


def encode(spec, name, /, response=False, dev_num=0, token=0, header=None, **fields):
    """Put a message together. `header` overrides header fields, for messages bent on purpose.

    UnknownError: no such message or layout; ValueError: a field that does not fit.
    """
    draft = table(spec)
    entry = draft["messages"].get(name)
    if entry is None:
        raise UnknownError(f"{spec} has no message '{name}'")
    layout = entry["response"] if response else entry["request"]
    if layout is None:
        raise UnknownError(f"{spec}: {name} is an event and has no response")
    payload = _encode_payload(name, layout, fields)
    size = draft["header_size"] + len(payload)
    if size > MSG_MAX:
        raise ValueError(f"{name}: {size} bytes are more than a message can have")
    values = {"type": (draft["response_bit"] if response else 0) | (draft["bus_bit"] if entry["bus"] else 0),
              "msg_id": entry["id"], "dev_num": dev_num, "token": token, "msg_size": size}
    for key, value in (header or {}).items():
        if key not in draft["header"]:
            raise ValueError(f"{spec}: the header has no field '{key}'")
        values[key] = value
    out = bytearray(draft["header_size"])
    for field, (offset, width) in draft["header"].items():
        out[offset:offset + width] = _number(f"header {field}", values[field], width)
    return bytes(out) + payload
'''


def array(a):
    if a is None:
        return None
    return {"name": a.name, "offset": a.offset, "width": a.width, "count": a.count,
            "count_field": a.count_field, "unit": a.unit, "optional": a.optional}


def layout(lay):
    if lay is None:
        return None
    return {"size": lay.size, "fields": [(f.name, f.offset, f.width) for f in lay.fields],
            "fixed": array(lay.fixed), "tail": array(lay.tail)}


def message(m):
    """A message's entry; an event's layout stands under `request`, as in the C tables."""
    return {"id": m.id, "bus": m.bus, "binding": m.binding, "from": m.side, "is_event": m.event is not None,
            "request": layout(m.event if m.event is not None else m.request), "response": layout(m.response)}


def spec_table(spec):
    return {
        "title": spec.title, "revision": spec.revision, "header_size": spec.header_size,
        "header": {f.name: (f.offset, f.width) for f in spec.header.values()},
        "response_bit": spec.type_bits["response"], "bus_bit": spec.type_bits["bus"],
        "reserved_bits": spec.type_bits["reserved"], "event_bit": spec.id_bits["event"],
        "implementation_bit": spec.id_bits["implementation_defined"],
        "limits": dict(spec.limits), "fence": spec.fence, "constants": dict(spec.constants),
        "transport_features": dict(spec.transport_features),
        "messages": {m.name: message(m) for m in spec.messages},
        "by_id": {(m.bus, m.id): m.name for m in spec.messages},
    }


def render(specs):
    """The whole module as text."""
    tables = {spec.name: spec_table(spec) for spec in specs}
    default = "virtio-msg-r1" if "virtio-msg-r1" in tables else specs[0].name
    text = pprint.pformat(tables, width=110, sort_dicts=False)
    return HEAD + text + "\n\n" + CODE.replace("@DEFAULT@", repr(default))
