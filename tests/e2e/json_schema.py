"""A validator for the part of JSON Schema draft-07 that the schemas under reports/ use; unknown keywords are errors."""
import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
NOTES = ("$schema", "$id", "title", "description", "definitions")


def is_type(value, name):
    if name in ("integer", "number"):
        kinds = int if name == "integer" else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def equal(a, b):
    return type(a) is type(b) and a == b


def check_object(value, schema, root, at):
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{at}: '{key}' is missing"
    known = schema.get("properties", {})
    for key, item in value.items():
        if key in known:
            yield from problems(item, known[key], root, f"{at}.{key}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}: '{key}' is unknown"


def check_array(value, schema, root, at):
    if len(value) < schema.get("minItems", 0):
        yield f"{at}: {len(value)} items"
    if schema.get("uniqueItems") and any(equal(a, b) for i, a in enumerate(value) for b in value[:i]):
        yield f"{at}: an item stands twice"
    for index, item in enumerate(value if "items" in schema else ()):
        yield from problems(item, schema["items"], root, f"{at}[{index}]")


def check_scalar(value, schema, at):
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{at}: {value!r} does not match {schema['pattern']}"
        if len(value) < schema.get("minLength", 0):
            yield f"{at}: is too short"
    if is_type(value, "number") and "minimum" in schema and value < schema["minimum"]:
        yield f"{at}: {value} is below {schema['minimum']}"


KEYWORDS = NOTES + ("$ref", "type", "const", "enum", "oneOf", "required", "properties", "additionalProperties",
                    "minItems", "uniqueItems", "items", "pattern", "minLength", "minimum")


def problems(value, schema, root, at="$"):
    """Every way in which a value does not follow its schema."""
    for keyword in schema:
        assert keyword in KEYWORDS, f"the validator does not know '{keyword}'"
    if "$ref" in schema:
        yield from problems(value, root["definitions"][schema["$ref"].rsplit("/", 1)[1]], root, at)
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_type(value, name) for name in names):
            yield f"{at}: is no {' or '.join(names)}"
            return
    if "const" in schema and not equal(value, schema["const"]):
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and not any(equal(value, item) for item in schema["enum"]):
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "oneOf" in schema:
        fits = sum(not list(problems(value, item, root, at)) for item in schema["oneOf"])
        if fits != 1:
            yield f"{at}: {value!r} fits {fits} of the choices"
    if isinstance(value, dict):
        yield from check_object(value, schema, root, at)
    elif isinstance(value, list):
        yield from check_array(value, schema, root, at)
    else:
        yield from check_scalar(value, schema, at)
