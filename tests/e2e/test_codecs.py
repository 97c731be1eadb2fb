"""The C codec and the Python codec, held against each other on legal, bent and random messages."""
import glob
import os
import subprocess

import pytest

from report_tools import GEN, ROOT, SPECS, codec, generator, hostile_message, make, plumbline, random_message

ROUNDS = int(os.environ.get("PLUMBLINE_ROUNDS", "20000"))


@pytest.fixture(scope="module")
def c():
    return codec()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A program that answers with what the C codec makes of a message, built with sanitizers."""
    make("gen/.stamp")
    out = tmp_path_factory.mktemp("driver") / "codec_driver"
    sources = [os.path.join(ROOT, "tests", "e2e", "codec_driver.c"), *glob.glob(os.path.join(ROOT, "harness/wire/*.c")),
               os.path.join(GEN, "pl_names.c"), *glob.glob(os.path.join(GEN, "pl_spec_*.c"))]
    subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-g", "-O1",
                    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", os.path.join(ROOT, "harness"),
                    "-I", GEN, *sources, "-o", str(out)], check=True)
    return str(out)


def ask(driver, pairs):
    """The driver's lines for (spec, bytes)."""
    text = "".join(f"{spec} {data.hex()}\n" for spec, data in pairs)
    done = subprocess.run([driver], input=text, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def values(elements, width):
    """An array as the driver prints it."""
    if isinstance(elements, bytes):
        return elements.hex()
    return b"".join(item.to_bytes(width, "little") for item in elements).hex()


def expected_line(c, spec, data):
    """What the driver should say, by the Python codec."""
    m = c.examine(data, spec)
    out = [m.form, m.name or "-", *(f"{key}={int(getattr(m, key))}" for key in (
        "type", "msg_id", "dev_num", "token", "msg_size", "response", "bus", "event", "expected"))]
    entry = c.SPECS[spec]["messages"].get(m.name)
    layout = entry and (entry["response"] if m.response else entry["request"])
    if layout:
        out += [f"{name}={m.fields[name]}" for name, _, _ in layout["fields"] if name in m.fields]
        out += [f"{a['name']}={values(m.fields[a['name']], a['width'])}" for a in (layout["fixed"], layout["tail"])
                if a and a["name"] in m.fields]
    if m.form == "ok":
        again = c.encode(spec, m.name, response=m.response, dev_num=m.dev_num, token=m.token, **m.fields)
        out.append(f"again={again.hex()}")
    return " ".join(out)


def compare(c, driver, pairs):
    for (spec, data), line in zip(pairs, ask(driver, pairs), strict=True):
        assert line == expected_line(c, spec, data), (spec, data.hex())


@pytest.mark.parametrize("spec", SPECS)
def test_both_agree_on_legal_messages(c, driver, spec):
    rng = generator(f"legal {spec}")
    pairs = [(spec, random_message(c, spec, rng)) for _ in range(ROUNDS // 4)]
    compare(c, driver, pairs)
    for _, data in pairs:
        m = c.decode(data, spec)
        assert c.encode(spec, m.name, response=m.response, dev_num=m.dev_num, token=m.token, **m.fields) == data


@pytest.mark.parametrize("spec", SPECS)
def test_both_agree_on_hostile_messages(c, driver, spec):
    rng = generator(f"hostile {spec}")
    pairs = [(spec, hostile_message(c, spec, rng)) for _ in range(ROUNDS)]
    compare(c, driver, pairs)


@pytest.mark.parametrize("spec", SPECS)
def test_both_agree_on_every_header(c, driver, spec):
    """Every type and msg_id, with no payload, a short one and a long one."""
    size = c.SPECS[spec]["header_size"]
    pairs = []
    for kind in range(256):
        for msg_id in range(256) if kind < 4 else (0, 2, 0x40, 0x80, 0xff):
            for extra in (0, 4, 40):
                head = c.encode(spec, "GET_DEVICE_STATUS", header={
                    "type": kind, "msg_id": msg_id, "msg_size": size + extra})
                pairs.append((spec, head + bytes(extra)))
    compare(c, driver, pairs)


@pytest.mark.parametrize("spec", SPECS)
def test_both_agree_on_the_largest_messages(c, driver, spec):
    top = c.MSG_MAX
    pairs = [(spec, b"\xff" * top), (spec, bytes(top)), (spec, b"\xff" * (top + 1))]
    room = top - len(c.encode(spec, "GET_CONFIG", response=True))
    pairs.append((spec, c.encode(spec, "GET_CONFIG", response=True, data=bytes(room))))
    compare(c, driver, pairs)
    with pytest.raises(ValueError):
        c.encode(spec, "GET_CONFIG", response=True, data=bytes(room + 1))


@pytest.mark.parametrize("spec", SPECS)
def test_errors_have_types_of_their_own(c, spec):
    ping = c.encode(spec, "PING", data32=1)
    size = len(ping)
    event = c.encode(spec, "EVENT_USED", vq_index=1)
    cases = [(ping[:3], c.RuntError), (ping[:-1], c.SizeError),
             (c.encode(spec, "PING", header={"msg_size": size - 4})[:size - 4], c.ShortError),
             (c.encode(spec, "PING", header={"msg_size": size + 1}) + b"\0", c.LongError),
             (c.encode(spec, "PING", header={"msg_id": 0x3f}), c.UnknownError),
             (bytes([event[0] | 1]) + event[1:], c.ShapeError)]
    for data, error in cases:
        with pytest.raises(error) as caught:
            c.decode(data, spec)
        assert isinstance(caught.value, c.CodecError)
        assert caught.value.message.data == data


def test_encode_refuses_what_does_not_fit(c):
    spec = SPECS[0]
    for fields in ({"offset": -1}, {"offset": 1 << 32}, {"offset": "1"}, {"ofset": 1}):
        with pytest.raises(ValueError):
            c.encode(spec, "GET_CONFIG", **fields)
    with pytest.raises(ValueError):
        c.encode(spec, "GET_DEVICE_INFO", response=True, device_uuid=bytes(15))
    with pytest.raises(ValueError):
        c.encode(spec, "SET_DRIVER_FEATURES", features=bytes(6))
    for spec_name, name, response in (("no-such", "PING", False), (spec, "NO_SUCH", False),
                                      (spec, "EVENT_USED", True)):
        with pytest.raises(c.UnknownError):
            c.encode(spec_name, name, response=response)


# The sizes that tell drafts apart are facts of their texts, not of the models.
def test_sizes_that_tell_the_drafts_apart(c):
    assert len(c.encode("virtio-msg-r1", "GET_DEVICE_INFO", response=True)) == 52
    assert len(c.encode("virtio-msg-r1", "GET_VQUEUE", response=True)) == 48
    assert len(c.encode("virtio-msg-2025-06", "GET_DEVICE_INFO", response=True)) == 30
    assert len(c.encode("virtio-msg-2025-06", "GET_VQUEUE", response=True)) == 42
    assert len(c.encode("virtio-msg-2025-06", "SET_VQUEUE")) == 42
    data = c.encode("virtio-msg-2025-06", "SET_VQUEUE", desc_addr=0x1122334455667788)
    assert data[18:26] == bytes.fromhex("8877665544332211")


@pytest.mark.parametrize("spec", SPECS)
def test_the_program_decodes_hex(c, spec):
    data = c.encode(spec, "GET_CONFIG", response=True, dev_num=3, token=9, generation=5, offset=8, data=b"\xab\xcd")
    done = plumbline("decode", "--spec", spec, data.hex())
    assert done.returncode == 0, done.stderr
    for part in ("GET_CONFIG response", "dev_num=3", "generation=5", "offset=8", "length=2", "data=abcd"):
        assert part in done.stdout
    for bad in ("", "0", "zz", "0x"):
        assert plumbline("decode", "--spec", spec, bad).returncode == 2
