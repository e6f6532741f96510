"""Prints, of Microsoft Graph's metadata, the types that azir speaks of, a line a thing; `v1.0.txt` is what it printed.

    git show COMMIT:schemas/v1.0-Prod.csdl | python3 extract.py COMMIT > v1.0.txt

The metadata is that of github.com/microsoftgraph/msgraph-metadata (MIT). Complex types and base types that these speak
of come along.
"""

import sys
import xml.etree.ElementTree as tree

TYPES = """
administrativeUnit appRoleAssignment application auditLogRoot authentication authenticationMethod
authorizationPolicy conditionalAccessPolicy conditionalAccessRoot device directory directoryAudit directoryObject
directoryRole domain emailAuthenticationMethod federatedIdentityCredential fido2AuthenticationMethod group
identityContainer identityProtectionRoot mailFolder mailboxSettings messageRule
microsoftAuthenticatorAuthenticationMethod namedLocation oAuth2PermissionGrant organization
passwordAuthenticationMethod phoneAuthenticationMethod policyRoot rbacApplication riskDetection
riskyServicePrincipal riskyUser roleManagement servicePrincipal servicePrincipalRiskDetection signIn
softwareOathAuthenticationMethod temporaryAccessPassAuthenticationMethod unifiedRoleAssignment
unifiedRoleAssignmentScheduleInstance unifiedRoleAssignmentScheduleRequest unifiedRoleDefinition
unifiedRoleEligibilityScheduleInstance unifiedRoleEligibilityScheduleRequest user
windowsHelloForBusinessAuthenticationMethod
""".split()

ROOT = {"users", "groups", "applications", "servicePrincipals", "oauth2PermissionGrants", "devices", "domains",
        "organization", "directoryObjects", "auditLogs", "identityProtection", "identity", "policies",
        "roleManagement", "directory", "directoryRoles"}


def plain(name):
    """Returns a type's name without its namespace, `*` before it for a collection."""
    many = name.startswith("Collection(")
    name = name.removeprefix("Collection(").removesuffix(")")
    for prefix in ("microsoft.graph.", "graph.", "self."):
        name = name.removeprefix(prefix)
    return ("*" if many else "") + name


def main():
    root = tree.parse(sys.stdin).getroot()
    schema = next(s for s in root.iter() if s.tag.endswith("}Schema") and s.get("Namespace") == "microsoft.graph")
    kind = lambda element: element.tag.split("}")[1]
    types = {t.get("Name"): t for t in schema if kind(t) in ("EntityType", "ComplexType")}
    missing = [name for name in TYPES if name not in types]
    assert not missing, missing
    wanted, queue = set(), list(TYPES)
    while queue:
        name = queue.pop()
        if name in wanted or name not in types:
            continue
        wanted.add(name)
        if types[name].get("BaseType"):
            queue.append(plain(types[name].get("BaseType")))
        for member in types[name]:
            other = plain(member.get("Type", "")).lstrip("*")
            if kind(member) == "Property" and other in types:
                queue.append(other)
    print(f"# Microsoft Graph v1.0, commit {sys.argv[1]} of microsoftgraph/msgraph-metadata; made by extract.py.")
    for container in schema:
        if kind(container) == "EntityContainer":
            for entry in sorted(container, key=lambda e: e.get("Name")):
                if entry.get("Name") in ROOT:
                    many = "*" if kind(entry) == "EntitySet" else ""
                    print("root", entry.get("Name"), many + plain(entry.get("EntityType") or entry.get("Type")))
    for name in sorted(wanted):
        base = types[name].get("BaseType")
        print("type", name, *([plain(base)] if base else []))
        for member in types[name]:
            if kind(member) in ("Property", "NavigationProperty"):
                word = "has" if kind(member) == "Property" else "links"
                print("", word, member.get("Name"), plain(member.get("Type")))
    for call in schema:
        if kind(call) in ("Action", "Function"):
            given = [p for p in call if kind(p) == "Parameter"]
            bound = plain(given[0].get("Type")) if call.get("IsBound") == "true" else ""
            if bound.lstrip("*") in wanted:
                names = sorted(p.get("Name") for p in given[1:])
                result = next((plain(r.get("Type")) for r in call if kind(r) == "ReturnType"), "-")
                print(kind(call).lower(), call.get("Name"), bound, result, *names)


main()
