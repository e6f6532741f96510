"""Checks requests against the routes and models of Microsoft's own clients for Azure Resource Manager.

Called with folders of Python packages; reads requests from standard input, one a line as JSON (method, path,
api_version, body), and writes one line for each that no client could have sent, and why. The clients are read, not
run: an operation's address, method and version stand in its `build_..._request`, the model of its body in the
annotation of the operation that calls it, and a model's members in `rest_field` or `_attribute_map`.
"""

import ast
import json
import pathlib
import re
import sys

ROUTE = re.compile(
    r'\ndef (build_\w+_request)\((.*?)return HttpRequest\(\s*method="(\w+)"', re.S
)
ADDRESS = re.compile(r'_url = (?:kwargs\.pop\(\s*"template_url",\s*)?\(?\s*((?:"[^"]*"\s*)+)')
VERSION = re.compile(r'"api-version",\s*"([^"]+)"')
# What stands for a whole scope, and not for one segment.
WIDE = {"scope", "resourceId", "resourceUri", "resourceGroupId", "parentResourcePath", "roleId", "id", "roleAssignmentId"}
# Members that the client library itself sends in any resource, though no model has them as writable.
ANYWHERE = {"id", "name", "type", "etag", "systemData"}


class Route:
    def __init__(self, build, method, address, version, operations):
        self.build, self.method, self.version = build, method, version
        self.operations = operations
        parts = []
        for part in address.strip("/").split("/"):
            if part.startswith("{") and part.endswith("}"):
                parts.append(None if part[1:-1] in WIDE else "")
            else:
                parts.append(part.lower())
        self.parts = parts

    def takes_anything(self):
        """Whether it is for resources of any type, which says nothing of one."""
        named = any(part and part.startswith("microsoft.") for part in self.parts)
        return self.parts == [None] or ("providers" in self.parts and not named)

    def fits(self, parts):
        def at(mine, theirs):
            if mine == len(self.parts):
                return theirs == len(parts)
            part = self.parts[mine]
            if part is None:
                # At least one segment, as many as it takes.
                return any(at(mine + 1, end) for end in range(theirs + 1, len(parts) + 1))
            if theirs == len(parts) or (part and part != parts[theirs].lower()):
                return False
            return at(mine + 1, theirs + 1)

        return at(0, 0)


def routes(packages):
    for operations in sorted(packages.glob("azure/mgmt/**/operations")):
        for file in sorted(operations.glob("*operations.py")):
            text = file.read_text()
            for build, inside, method in ROUTE.findall(text):
                address = ADDRESS.search(inside)
                if address:
                    whole = "".join(re.findall(r'"([^"]*)"', address.group(1)))
                    version = VERSION.search(inside)
                    route = Route(build, method, whole, version and version.group(1), file)
                    if not route.takes_anything():
                        yield route


def body_models(route, cache={}):
    """Returns the names of the models that the body of an operation may have."""
    file = route.operations
    if file not in cache:
        found = {}
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            called = {
                call.func.id
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
            }
            arguments = node.args.args + node.args.kwonlyargs
            for argument in arguments:
                annotation = ast.unparse(argument.annotation) if argument.annotation else ""
                names = re.findall(r"_models\.(\w+)", annotation)
                if names:
                    for one in called:
                        found.setdefault(one, set()).update(names)
        cache[file] = found
    return cache[file].get(route.build, set())


def models(operations, cache={}):
    """Returns the members of each model of a package: by wire name, the annotation or the type."""
    folder = operations.parent.parent / "models"
    if folder not in cache:
        classes = {}
        for file in sorted(folder.glob("_models*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    bases = [ast.unparse(base).split(".")[-1] for base in node.bases]
                    classes[node.name] = (bases, dict(members(node)))
        cache[folder] = classes
    return cache[folder]


def members(node):
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call):
            if ast.unparse(line.value.func) in ("rest_field", "rest_discriminator"):
                named = [word.value for word in line.value.keywords if word.arg == "name"]
                wire = named[0].value if named else line.target.id
                yield wire, ast.unparse(line.annotation)
        elif isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "_attribute_map":
            for one in ast.literal_eval(line.value).values():
                # A dot divides the members that the class flattens; one with a backslash is part of a name.
                yield tuple(re.split(r"(?<!\\)\.", one["key"])), one["type"]


def all_members(name, classes):
    own = {}
    for base in classes.get(name, ([], {}))[0]:
        own.update(all_members(base, classes))
    own.update(classes.get(name, ([], {}))[1])
    return own


def unknown(value, kind, classes, where):
    """Yields the paths of members that a value has and its type does not."""
    if isinstance(value, list):
        for one in value:
            yield from unknown(one, kind, classes, where + "[]")
        return
    if not isinstance(value, dict):
        return
    if re.search(r"dict\[str|Dict\[str|^\{", kind):
        inner = kind.split(",", 1)[-1]
        for name, one in value.items():
            yield from unknown(one, inner, classes, f"{where}.{name}")
        return
    names = [name for name in re.findall(r"\w+", kind) if name in classes]
    if not names:
        if not re.search(r"\b(Any|JSON|object|MutableMapping)\b", kind):
            yield f"{where} ({kind} is no object)"
        return
    tried = [list(of_class(value, name, classes, where)) for name in names]
    yield from min(tried, key=len)


def of_class(value, name, classes, where):
    flat, nested = {}, {}
    for wire, kind in all_members(name, classes).items():
        parts = wire if isinstance(wire, tuple) else (wire,)
        parts = tuple(part.replace("\\.", ".") for part in parts)
        if len(parts) == 1:
            flat[parts[0]] = kind
        else:
            nested.setdefault(parts[0], {})[parts[1:]] = kind
    for member, inner in value.items():
        path = f"{where}.{member}"
        if member in flat:
            yield from unknown(inner, flat[member], classes, path)
        elif member in nested and isinstance(inner, dict):
            for below, deeper in inner.items():
                kind = nested[member].get((below,))
                if kind is None:
                    yield f"{path}.{below}"
                else:
                    yield from unknown(deeper, kind, classes, f"{path}.{below}")
        elif member not in ANYWHERE:
            yield path


def judge(request, known):
    parts = request["path"].strip("/").split("/")
    fitting = [
        route for route in known if route.method == request["method"] and route.fits(parts)
    ]
    if not fitting:
        return ["no client has this route"]
    version = request["api_version"] or ""
    versions = {route.version for route in fitting if route.version}
    if version not in versions and not any(version[:10] <= one[:10] for one in versions):
        return [f"no client is as new as {version}: {sorted(versions)}"]
    if "preview" in version and version not in versions:
        return [f"no client has {version}"]
    body = request.get("body")
    if not isinstance(body, dict):
        return []
    tried = []
    for route in fitting:
        classes = models(route.operations)
        for name in body_models(route):
            if name in classes:
                tried.append(list(of_class(body, name, classes, name)))
    if not tried:
        return ["no client sends a body there"] if body else []
    # A member that one version of the client has is a member.
    return min(tried, key=len)


def main():
    known = [route for folder in sys.argv[1:] for route in routes(pathlib.Path(folder))]
    if len(known) < 500:
        print(f"only {len(known)} routes were found in the clients")
    count = 0
    for line in sys.stdin:
        request = json.loads(line)
        count += 1
        for why in judge(request, known):
            print(f"{request['method']} {request['path']} {request['api_version']}: {why}")
    print(f"judged {count} by {len(known)}")


main()
