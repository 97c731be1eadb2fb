"""Prints virtio-msg.lua: a Wireshark dissector for the messages of every draft."""

PROTO = "virtio_msg"
UINT = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}
HEADER = ("type", "msg_id", "dev_num", "token", "msg_size")
# The bits of type and msg_id: filter name, the model's group and key, title.
HEADER_BITS = (("response", "type_bits", "response", "response"), ("bus", "type_bits", "bus", "bus message"),
               ("reserved", "type_bits", "reserved", "reserved bits"), ("event", "id_bits", "event", "event"),
               ("implementation", "id_bits", "implementation_defined", "implementation-defined"))


def same_bits(specs):
    """Whether every draft has these bits in the same places, so that fields can show them as masks."""
    return all(len({getattr(s, group)[bit] for s in specs}) == 1 for _, group, bit, _ in HEADER_BITS)


HEAD = """-- Wireshark dissector for virtio-msg, all drafts. Generated from models/.
-- Install: copy it into Wireshark's personal plugin folder, or run: wireshark -X lua_script:virtio-msg.lua FILE
-- It takes link type USER0 (147), which the project's traces have. The draft is the preference's, or, as long as
-- that is "auto", what the trace's interface description says (spec=NAME), or the default draft.
-- No heuristic dissector is registered: nothing else is ever taken for virtio-msg.
"""

CODE = """
local proto = Proto("virtio_msg", "virtio-msg")
local all = {}
for _, name in ipairs(field_order) do
    all[#all + 1] = fields[name]
end
proto.fields = all

local expert_reserved = ProtoExpert.new("virtio_msg.expert.reserved", "reserved bits are set",
    expert.group.PROTOCOL, expert.severity.WARN)
local expert_size = ProtoExpert.new("virtio_msg.expert.size", "msg_size is not the number of bytes",
    expert.group.MALFORMED, expert.severity.ERROR)
local expert_short = ProtoExpert.new("virtio_msg.expert.short", "the message ends before its layout does",
    expert.group.MALFORMED, expert.severity.ERROR)
local expert_long = ProtoExpert.new("virtio_msg.expert.long", "the message goes on after its layout has ended",
    expert.group.MALFORMED, expert.severity.WARN)
local expert_unknown = ProtoExpert.new("virtio_msg.expert.unknown", "no message of this class and id",
    expert.group.UNDECODED, expert.severity.WARN)
local expert_shape = ProtoExpert.new("virtio_msg.expert.shape", "an event with the response bit",
    expert.group.PROTOCOL, expert.severity.WARN)
proto.experts = { expert_reserved, expert_size, expert_short, expert_long, expert_unknown, expert_shape }

local choices = { { 1, "auto", 0 } }
for index, name in ipairs(spec_order) do
    choices[#choices + 1] = { index + 1, name, index }
end
proto.prefs.draft = Pref.enum("Draft", 0, "The draft of the specification that messages follow", choices, false)

local interface_description = Field.new("frame.interface_description")
local interface_id = Field.new("frame.interface_id")

-- Requests that wait for their responses, by interface, direction, message, device and token; and the pairs.
local waiting, request_of, response_of, time_of

function proto.init()
    waiting, request_of, response_of, time_of = {}, {}, {}, {}
end

-- The draft of a packet, by preference, interface description or default.
local function draft_of()
    local chosen = spec_order[proto.prefs.draft]
    if chosen then
        return specs[chosen], chosen
    end
    local info = interface_description()
    local name = info and string.match(tostring(info), "spec=([%w%-%.]+)")
    if name and specs[name] then
        return specs[name], name
    end
    return specs[default_spec], default_spec
end

local function has_bit(value, mask)
    return bit.band(value, mask) ~= 0
end

-- A little-endian number as a Lua number; what exceeds 2^53 loses its low bits, and no count does.
local function number_at(tvb, offset, width)
    if width <= 4 then
        return tvb(offset, width):le_uint()
    end
    return tvb(offset, width):le_uint64():tonumber()
end

-- Bits of a header byte: shown as a mask where all drafts have them in the same place.
local function add_bits(item, name, range, value)
    if same_bits then
        return item:add(fields["header." .. name], range)
    end
    return item:add(fields["header." .. name], range, value)
end

local function add_header(tree, tvb, spec)
    local header = spec.header
    local head = {}
    for _, name in ipairs({ "type", "msg_id", "dev_num", "token", "msg_size" }) do
        local at = header[name]
        if at then
            head[name] = tvb(at[1], at[2]):le_uint()
            head[name .. "_item"] = tree:add_le(fields["header." .. name], tvb(at[1], at[2]))
        end
    end
    local type_range = tvb(header.type[1], header.type[2])
    local id_range = tvb(header.msg_id[1], header.msg_id[2])
    head.response = has_bit(head.type, header.response_bit)
    head.bus = has_bit(head.type, header.bus_bit)
    head.event = has_bit(head.msg_id, header.event_bit)
    head.reserved = bit.band(head.type, header.reserved_bits)
    add_bits(head.type_item, "response", type_range, head.response)
    add_bits(head.type_item, "bus", type_range, head.bus)
    local reserved_item = add_bits(head.type_item, "reserved", type_range, head.reserved)
    if head.reserved ~= 0 then
        reserved_item:add_proto_expert_info(expert_reserved)
    end
    add_bits(head.msg_id_item, "event", id_range, head.event)
    add_bits(head.msg_id_item, "implementation", id_range, has_bit(head.msg_id, header.implementation_bit))
    return head
end

local function add_elements(tree, tvb, field, offset, width, count)
    if width == 1 then
        return tree:add(fields[field], tvb(offset, count))
    end
    for index = 0, count - 1 do
        tree:add_le(fields[field], tvb(offset + index * width, width)):append_text(" [" .. index .. "]")
    end
end

local function bytes_wanted(tail, count)
    if tail.unit == "bits" then
        return math.floor((count + 7) / 8)
    elseif tail.unit == "bytes" then
        return count
    end
    return count * tail.width
end

-- The numbers of the bits that are set, counted from `first` on.
local function bits_text(range, first)
    local list = {}
    for index = 0, range:len() - 1 do
        local byte = range(index, 1):uint()
        for n = 0, 7 do
            if bit.band(byte, bit.lshift(1, n)) ~= 0 and #list < 64 then
                list[#list + 1] = tostring(first + index * 8 + n)
            end
        end
    end
    return table.concat(list, " ")
end

local function add_tail(tree, tvb, layout, base, values, root)
    local tail, start = layout.tail, base + layout.size
    local rest, wanted = tvb:len() - start, 0
    if tail then
        wanted = bytes_wanted(tail, values[tail.count_field])
        if tail.optional and rest == 0 then
            wanted = 0
        end
        local got = math.min(wanted, rest)
        local count = math.floor(got / tail.width)
        if count > 0 then
            local item = add_elements(tree, tvb, tail.field, start, tail.width, count)
            if tail.unit == "bits" and item then
                item:append_text(" (set: " .. bits_text(tvb(start, got), values.offset or 0) .. ")")
            end
        end
    end
    if rest < wanted then
        root:add_proto_expert_info(expert_short, string.format("%d bytes of %s announced, %d there", wanted,
            tail.name, rest))
    elseif rest > wanted then
        tree:add(fields["surplus"], tvb(start + wanted, rest - wanted)):add_proto_expert_info(expert_long)
    end
end

-- The payload by its layout, as far as it goes; returns the scalars as text.
local function add_payload(tree, tvb, layout, base, root)
    local values, text = {}, {}
    for _, field in ipairs(layout.fields) do
        if base + field.offset + field.width <= tvb:len() then
            local range = tvb(base + field.offset, field.width)
            local item = tree:add_le(fields[field.field], range)
            values[field.name] = number_at(tvb, base + field.offset, field.width)
            if field.name == "reserved" and values[field.name] ~= 0 then
                item:add_proto_expert_info(expert_reserved)
            end
            text[#text + 1] = string.format("%s=%s", field.name,
                field.width == 8 and "0x" .. range:le_uint64():tohex() or tostring(values[field.name]))
        end
    end
    if tvb:len() < base + layout.size then
        root:add_proto_expert_info(expert_short, string.format("a payload of %d bytes, %d at least are needed",
            tvb:len() - base, layout.size))
        return table.concat(text, " ")
    end
    local fixed = layout.fixed
    if fixed then
        add_elements(tree, tvb, fixed.field, base + fixed.offset, fixed.width, fixed.count)
    end
    add_tail(tree, tvb, layout, base, values, root)
    return table.concat(text, " ")
end

local function add_direction(tree, pinfo)
    if pinfo.p2p_dir == P2P_DIR_SENT then
        tree:add(fields["direction"], "to the IUT"):set_generated()
        pinfo.cols.src, pinfo.cols.dst = "harness", "IUT"
    elseif pinfo.p2p_dir == P2P_DIR_RECV then
        tree:add(fields["direction"], "from the IUT"):set_generated()
        pinfo.cols.src, pinfo.cols.dst = "IUT", "harness"
    end
end

-- On the first pass: remember a request, or find the oldest one that a response can answer.
local function pair_up(pinfo, head)
    local interface = interface_id()
    local direction = head.response and 1 - pinfo.p2p_dir or pinfo.p2p_dir
    local key = string.format("%s/%d/%s/%d/%d/%d", interface and tostring(interface) or "-", direction,
        tostring(head.bus), head.msg_id, head.dev_num, head.token or 0)
    local queue = waiting[key] or {}
    waiting[key] = queue
    if not head.response then
        queue[#queue + 1] = pinfo.number
        time_of[pinfo.number] = pinfo.abs_ts
    elseif #queue > 0 then
        local request = table.remove(queue, 1)
        request_of[pinfo.number], response_of[request] = request, pinfo.number
    end
end

local function add_pair(tree, pinfo, head)
    if head.event then
        return
    end
    if not pinfo.visited then
        pair_up(pinfo, head)
    end
    local request, response = request_of[pinfo.number], response_of[pinfo.number]
    if request then
        tree:add(fields["request_in"], request):set_generated()
        local seconds = pinfo.abs_ts - time_of[request]
        local whole = math.floor(seconds)
        tree:add(fields["response_time"], NSTime.new(whole, math.floor((seconds - whole) * 1e9))):set_generated()
    elseif response then
        tree:add(fields["response_in"], response):set_generated()
    end
end

-- What a message is called, and its layout, if it has one.
local function identify(spec, head)
    local message = spec.messages[head.bus and "bus" or "transport"][head.msg_id]
    local part = head.response and "response" or "request"
    if not message then
        return string.format("%s message 0x%02x %s", head.bus and "bus" or "transport", head.msg_id, part), nil, nil
    end
    if message.is_event then
        return message.name, message, not head.response and message.request or nil
    end
    return message.name .. " " .. part, message, message[part]
end

local function dissect_payload(tvb, root, spec, head, message, layout)
    local base = spec.header.size
    if not message then
        head.msg_id_item:add_proto_expert_info(expert_unknown)
    elseif not layout then
        head.type_item:add_proto_expert_info(expert_shape)
    else
        local tree = root
        if tvb:len() > base then
            tree = root:add(proto, tvb(base), "Payload")
        end
        return add_payload(tree, tvb, layout, base, root)
    end
    if tvb:len() > base then
        root:add(fields["payload"], tvb(base))
    end
    return ""
end

function proto.dissector(tvb, pinfo, tree)
    local spec, spec_name = draft_of()
    local root = tree:add(proto, tvb(), "virtio-msg")
    pinfo.cols.protocol = "virtio-msg"
    root:add(fields["spec"], spec_name):set_generated()
    add_direction(root, pinfo)
    if tvb:len() < spec.header.size then
        root:add_proto_expert_info(expert_short, string.format("%d bytes, the header has %d", tvb:len(),
            spec.header.size))
        pinfo.cols.info = "shorter than the header"
        return tvb:len()
    end
    local head = add_header(root, tvb, spec)
    local name, message, layout = identify(spec, head)
    root:add(fields["name"], name):set_generated()
    root:append_text(", " .. name)
    add_pair(root, pinfo, head)
    if head.msg_size ~= tvb:len() then
        head.msg_size_item:add_proto_expert_info(expert_size, string.format("msg_size %d, %d bytes arrived",
            head.msg_size, tvb:len()))
    end
    local text = dissect_payload(tvb, root, spec, head, message, layout)
    local token = head.token and " token=" .. head.token or ""
    pinfo.cols.info = string.format("%s dev_num=%d%s %s", name, head.dev_num, token, text)
    return tvb:len()
end

DissectorTable.get("wtap_encap"):add((wtap_encaps or wtap).USER0, proto)
"""


def quote(text):
    """A Lua string."""
    safe = "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else "".join(f"\\{b:03d}" for b in c.encode())
                   for c in str(text))
    return f'"{safe}"'


def all_layouts(specs):
    for spec in specs:
        for message in spec.messages:
            for lay in (message.request, message.response, message.event):
                if lay is not None:
                    yield lay


def scalar_widths(specs):
    """Payload scalars of all drafts with their greatest width: one filter name serves every message."""
    widths = {}
    for lay in all_layouts(specs):
        for field in lay.fields:
            widths[field.name] = max(widths.get(field.name, 0), field.width)
    return widths


def array_widths(specs):
    widths = {}
    for lay in all_layouts(specs):
        for a in (lay.fixed, lay.tail):
            if a:
                widths.setdefault(a.name, set()).add(a.width)
    return widths


def array_key(name, width):
    return f"array.{name}.{width}"


def taken(specs):
    """Filter names that the header and the dissector itself use."""
    own = {"response", "bus", "reserved_bits", "event", "implementation", "spec", "direction", "name",
           "payload", "surplus", "expert", "request_in", "response_in", "response_time"}
    return own | {name for spec in specs for name in spec.header}


def scalar_filter(name, reserved):
    return f"{PROTO}.{'field_' if name in reserved else ''}{name}"


def header_fields(specs):
    """ProtoFields of the header and of what the dissector adds."""
    rows = []
    for name in HEADER:
        widths = [s.header[name].width for s in specs if name in s.header]
        if widths:
            base = "base.HEX" if name in ("type", "msg_id") else "base.DEC_HEX"
            rows.append((f"header.{name}", f'ProtoField.{UINT[max(widths)]}("{PROTO}.{name}", "{name}", {base})'))
    for name, group, bit, title in HEADER_BITS:
        mask = f"0x{getattr(specs[0], group)[bit]:02x}" if same_bits(specs) else "0x0"
        if name == "reserved":
            kind = f'ProtoField.uint8("{PROTO}.reserved_bits", "{title}", base.HEX, nil, {mask})'
        else:
            kind = f'ProtoField.bool("{PROTO}.{name}", "{title}", 8, nil, {mask})'
        rows.append((f"header.{name}", kind))
    for name, title in (("spec", "draft"), ("direction", "direction"), ("name", "message")):
        rows.append((name, f'ProtoField.string("{PROTO}.{name}", "{title}")'))
    for name, kind, title in (("request_in", "REQUEST", "request"), ("response_in", "RESPONSE", "response")):
        rows.append((name, f'ProtoField.framenum("{PROTO}.{name}", "{title}", base.NONE, frametype.{kind})'))
    rows.append(("response_time", f'ProtoField.relative_time("{PROTO}.response_time", "time since the request")'))
    for name in ("payload", "surplus"):
        rows.append((name, f'ProtoField.bytes("{PROTO}.{name}", "{name}")'))
    return rows


def payload_fields(specs):
    """ProtoFields of all payloads."""
    scalars, rows, reserved = scalar_widths(specs), [], taken(specs)
    for name, width in scalars.items():
        base = "base.HEX" if width == 8 else "base.DEC_HEX"
        rows.append((f"scalar.{name}",
                     f'ProtoField.{UINT[width]}("{scalar_filter(name, reserved)}", "{name}", {base})'))
    for name, widths in array_widths(specs).items():
        clash = name in scalars or name in reserved
        for width in sorted(widths):
            abbr = f"{PROTO}.{name}{'_array' if clash else ''}{f'_u{8 * width}' if len(widths) > 1 else ''}"
            kind = f'ProtoField.bytes("{abbr}", "{name}")' if width == 1 else \
                f'ProtoField.{UINT[width]}("{abbr}", "{name}", base.HEX)'
            rows.append((array_key(name, width), kind))
    return rows


def array(a):
    if a is None:
        return "nil"
    return (f"{{ name = {quote(a.name)}, field = {quote(array_key(a.name, a.width))}, offset = {a.offset}, "
            f"width = {a.width}, count = {a.count}, count_field = {quote(a.count_field or '')}, "
            f"unit = {quote(a.unit)}, optional = {'true' if a.optional else 'false'} }}")


def layout(lay, indent):
    if lay is None:
        return "nil"
    pad = " " * indent
    rows = [f"{pad}    {{ name = {quote(f.name)}, field = {quote('scalar.' + f.name)}, offset = {f.offset}, "
            f"width = {f.width} }}," for f in lay.fields]
    return "\n".join([f"{{ size = {lay.size}, fixed = {array(lay.fixed)},", f"{pad}  tail = {array(lay.tail)},",
                      f"{pad}  fields = {{", *rows, f"{pad}  }} }}"])


def message(m):
    is_event = m.event is not None
    return (f"            [0x{m.id:02x}] = {{ name = {quote(m.name)}, from = {quote(m.side)}, "
            f"is_event = {'true' if is_event else 'false'},\n"
            f"                request = {layout(m.event if is_event else m.request, 16)},\n"
            f"                response = {layout(m.response, 16)} }},")


def spec_table(spec):
    head = [f"{f.name} = {{ {f.offset}, {f.width} }}" for f in spec.header.values()]
    out = [f"    [{quote(spec.name)}] = {{", f"        title = {quote(spec.title)},",
           f"        header = {{ size = {spec.header_size}, {', '.join(head)},",
           f"            response_bit = 0x{spec.type_bits['response']:02x}, "
           f"bus_bit = 0x{spec.type_bits['bus']:02x}, reserved_bits = 0x{spec.type_bits['reserved']:02x},",
           f"            event_bit = 0x{spec.id_bits['event']:02x}, "
           f"implementation_bit = 0x{spec.id_bits['implementation_defined']:02x} }},",
           "        messages = {"]
    for word, bus in (("transport", False), ("bus", True)):
        out.append(f"          {word} = {{")
        out += [message(m) for m in spec.messages if m.bus == bus]
        out.append("          },")
    return out + ["        },", "    },"]


def render(specs):
    """The whole dissector as text."""
    names = sorted((s.name for s in specs), key=lambda n: (n != "virtio-msg-r1", n))
    rows = header_fields(specs) + payload_fields(specs)
    out = [HEAD, f"local spec_order = {{ {', '.join(quote(n) for n in names)} }}",
           f"local default_spec = {quote(names[0])}",
           f"local same_bits = {'true' if same_bits(specs) else 'false'}", "", "local specs = {"]
    for spec in specs:
        out += spec_table(spec)
    out += ["}", "", "local fields = {"]
    out += [f"    [{quote(key)}] = {text}," for key, text in rows]
    out += ["}", "local field_order = {"]
    out += [f"    {quote(key)}," for key, _ in rows]
    return "\n".join(out) + "\n}\n" + CODE
