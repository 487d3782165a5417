"""What a DNS provider does with an address that a customer followed, by the protocol's reference implementation.

Reads one JSON object: the template, the query as it came, the zone's records and where to ask for the public key. Writes
one: the records that are new and those that go, or why nothing was done.
"""

import json
import os
import sys
import tempfile
import urllib.parse

import dns.resolver
from domainconnectzone import DomainConnect, InvalidSignature
from domainconnectzone.qsutil import qs2dict, qsfilter

OURS = ["sig", "key"]
NOT_VARIABLES = ["domain", "host", "redirect_uri", "state", "groupId"] + OURS

task = json.load(sys.stdin)
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = [task["dns"]["ip"]]
resolver.port = task["dns"]["port"]
dns.resolver.default_resolver = resolver

template = task["template"]
query = {name: urllib.parse.unquote_plus(value) for name, value in qs2dict(task["query"]).items()}
with tempfile.TemporaryDirectory() as folder:
    name = f"{template['providerId']}.{template['serviceId']}.json".lower()
    with open(os.path.join(folder, name), "w") as file:
        json.dump(template, file)
    service = DomainConnect(template["providerId"], template["serviceId"], folder)
    try:
        new, gone, _ = service.apply_template(
            task["records"],
            query["domain"],
            query.get("host"),
            {name: value for name, value in query.items() if name not in NOT_VARIABLES},
            qs=qsfilter(task["query"], OURS),
            sig=query.get("sig"),
            key=query.get("key"),
        )
        print(json.dumps({"new": new, "gone": gone}))
    except InvalidSignature as error:
        print(json.dumps({"refused": f"signature: {error}"}))
    except Exception as error:
        print(json.dumps({"refused": f"{type(error).__name__}: {error}"}))
